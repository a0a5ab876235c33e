"""A checkpoint to damage, and how its weights are read in each format."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from distil.checkpoints import open_checkpoint
from distil.checkpoints.matching import match_weights
from support.checkpoints import save, tiny_config

CONFIG = tiny_config(n_layers=1)


def files_of(name: str, **options: Any) -> Iterator[bytes]:
    """The file called `name` of checkpoints with and without a head."""
    for task in ("base", "sequence-classification"):
        with tempfile.TemporaryDirectory() as folder:
            save(Path(folder), CONFIG, task, **options)
            yield (Path(folder) / name).read_bytes()


def read_weights(folder: Path) -> None:
    """Open the checkpoint, match it, and touch every value."""
    with open_checkpoint(folder) as checkpoint:
        for tensor in checkpoint.tensors.values():
            assert tensor.read().shape == tensor.shape
        match = match_weights(checkpoint, CONFIG, "sequence-classification")
        match.report.check(name="fuzz")
        for source in match.sources.values():
            np.sum(source.read(dtype=np.dtype(np.float64), check_finite=True))
