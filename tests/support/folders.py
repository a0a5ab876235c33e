"""Checkpoints of tiny models as whole folders: config.json, weights, vocab.txt."""

import string
import tempfile
from pathlib import Path

import numpy as np

from distil.checkpoints import save_checkpoint
from distil.common.tasks import TASKS
from distil.common.tokenizer import DistilBertTokenizerFast
from support.models import config_for, spread

WORDS = ("the", "good", "bad", "film", "who", "was", "born", "in", "paris", "it", "is")
VOCABULARY = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *string.ascii_lowercase,
    *(f"##{letter}" for letter in string.ascii_lowercase), *".,!?$'",
)  # fmt: skip


def make_tokenizer(**options):
    """The tokenizer of those folders, without one; texts have at most 40 tokens."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_text("".join(f"{token}\n" for token in VOCABULARY))
        return DistilBertTokenizerFast(path, **({"model_max_length": 40} | options))


def make_folder(folder, task, *, format="safetensors", max_shard_size=None, **changes):  # noqa: A002
    """Write a tiny model with spread weights for a task, and its tokenizer."""
    sizes = {"vocab_size": len(VOCABULARY), "max_position_embeddings": 40}
    config = config_for(task, **(sizes | changes))
    config = config.replace(architectures=[TASKS[task].class_name])
    config.save_pretrained(folder)
    weights = {name: x.astype(np.float32) for name, x in spread(config, task).items()}
    save_checkpoint(
        folder, iter(weights.items()), config=config, task=task, format=format,
        max_shard_size=max_shard_size,
    )  # fmt: skip
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in VOCABULARY))
    return folder
