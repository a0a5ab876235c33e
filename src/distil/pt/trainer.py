"""transformers' Trainer, which saves models of this library as whole checkpoints.

transformers' own class asks whether a model and a tokenizer are its own.  For any other model it
saves the weights without config.json, and fails where two of them are tied, as in masked LM; and it
does not pad the rows of a batch.  Nothing else differs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from distil.common.tokenizer.base import TokenizerBase
from distil.errors import not_installed
from distil.pt.model import DistilBertPreTrainedModel

try:
    import transformers
    from transformers.data.data_collator import DataCollatorWithPadding, default_data_collator
    from transformers.trainer import TRAINING_ARGS_NAME
except ImportError as error:
    raise not_installed(
        "transformers", where="distil.pt.trainer",
        fix="pip install transformers accelerate, or train with distil.train",
    ) from error  # fmt: skip


class WholeCheckpoints:
    """The difference, for any class of Trainer: `class Mine(WholeCheckpoints, Theirs): ...`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        trainer: Any = self
        tokenizer = trainer.processing_class
        if isinstance(tokenizer, TokenizerBase) and trainer.data_collator is default_data_collator:
            trainer.data_collator = DataCollatorWithPadding(tokenizer)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        trainer: Any = self
        model = trainer.accelerator.unwrap_model(trainer.model, keep_torch_compile=False)
        if not isinstance(model, DistilBertPreTrainedModel):
            parent: Any = super()
            parent._save(output_dir, state_dict)  # peft's models save their adapters
            return
        folder = Path(output_dir or trainer.args.output_dir)
        model.save_pretrained(
            folder,
            state_dict=state_dict,
            safe_serialization=getattr(trainer.args, "save_safetensors", True),
        )
        tokenizer = trainer.processing_class or getattr(trainer.data_collator, "tokenizer", None)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
        torch.save(trainer.args, folder / TRAINING_ARGS_NAME)


class Trainer(WholeCheckpoints, transformers.Trainer):
    """transformers' Trainer; its arguments are those of `transformers.Trainer`.

    Without a `data_collator`, the tokenizer that is passed as `processing_class` pads the rows of
    a batch.
    """
