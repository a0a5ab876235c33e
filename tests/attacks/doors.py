"""The public functions that other people's files come in through."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import distil
from attacks.made import TASK
from distil.checkpoints import open_checkpoint
from distil.checkpoints.matching import match_weights
from distil.common.config import DistilBertConfig
from distil.errors import DistilError


def _config(folder: Path) -> object:
    return DistilBertConfig.from_pretrained(folder)


def _weights(folder: Path, *, check_finite: bool = False) -> object:
    config = DistilBertConfig.from_pretrained(folder)
    with open_checkpoint(folder) as checkpoint:
        match = match_weights(checkpoint, config, TASK)
        match.report.check(name=str(folder))
        for source in match.sources.values():
            source.read(check_finite=check_finite)
    return match


def _info(folder: Path) -> object:
    found = distil.info(folder)
    use = next(use for use in found.uses if use.task == TASK)
    if use.status != "loads":
        # What it says instead of an error: a table of what would load, and why not.
        raise DistilError(use.reason, where=folder, fix="see the table")
    return found


def _load(framework: str) -> Callable[[Path], object]:
    return lambda folder: distil.load(folder, framework=framework, task=TASK)


def _tokenizer(fast: bool) -> Callable[[Path], Any]:
    def door(folder: Path) -> Any:
        tokenizer = distil.load_tokenizer(folder, fast=fast)
        return tokenizer("the good film " + "a" * 40)["input_ids"]

    return door


DOORS: dict[str, Callable[[Path], object]] = {
    "DistilBertConfig": _config,
    "open_checkpoint": _weights,
    "open_checkpoint, finite": lambda folder: _weights(folder, check_finite=True),
    "info": _info,
    "load, pt": _load("pt"),
    "load, tf": _load("tf"),
    "tokenizer": _tokenizer(True),
    "Python tokenizer": _tokenizer(False),
}
# The doors that each kind of attack may come in through.
WHERE = {
    "config": ("DistilBertConfig", "info", "load, pt", "load, tf"),
    "announcement": ("DistilBertConfig",),
    "weights": ("open_checkpoint", "info", "load, pt", "load, tf"),
    # These are read by PyTorch, and by nothing of TensorFlow.
    "bin": ("open_checkpoint", "load, pt"),
    "finite": ("open_checkpoint, finite",),
    # What only those see who read the weights.
    "values": ("open_checkpoint", "load, pt", "load, tf"),
    "tokenizer": ("tokenizer", "Python tokenizer"),
}


def enter(door: str, folder: Path) -> object:
    """Load what is in the folder, as a program would that takes warnings for no answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DOORS[door](folder)
