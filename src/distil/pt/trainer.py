"""transformers' Trainer, which saves models of this library as whole checkpoints.

transformers' own class asks whether a model and a tokenizer are its own.  Of another's it saves the
weights without config.json, and fails where two of them are one, as in masked LM; and it does not
fill up the rows of a batch.  Nothing else differs, so whatever else is done with a Trainer is done
with this one.
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


class Trainer(transformers.Trainer):
    """transformers' Trainer; its arguments are those of `transformers.Trainer`.

    Without a `data_collator`, the tokenizer that is passed as `processing_class` fills up the rows
    of a batch.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        tokenizer = self.processing_class
        if isinstance(tokenizer, TokenizerBase) and self.data_collator is default_data_collator:
            self.data_collator = DataCollatorWithPadding(tokenizer)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
        if not isinstance(model, DistilBertPreTrainedModel):
            super()._save(output_dir, state_dict)  # of peft, which saves adapters
            return
        folder = Path(output_dir or self.args.output_dir)
        model.save_pretrained(
            folder,
            state_dict=state_dict,
            safe_serialization=getattr(self.args, "save_safetensors", True),
        )
        tokenizer = self.processing_class or getattr(self.data_collator, "tokenizer", None)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
        torch.save(self.args, folder / TRAINING_ARGS_NAME)
