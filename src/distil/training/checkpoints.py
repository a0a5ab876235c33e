"""What training is gone on with after an interruption: one file, replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from distil.arrays import Array
from distil.errors import CheckpointError
from distil.storage.files import atomic_write
from distil.storage.safetensors_file import SafetensorsWriter

FILE_NAME = "checkpoint.safetensors"
_KEY = "training"


def save_state(folder: Path, arrays: Mapping[str, Array], info: Mapping[str, Any]) -> None:
    """Write arrays, and what is known besides, in place of those written before.

    A kill at any moment leaves the old file or the new one, and so does a full disk.

    Args:
        folder: Of the training.
        arrays: By name.
        info: Plain data.

    Raises:
        CheckpointError: It cannot be written.
    """
    path = folder / FILE_NAME
    shapes = [(name, array.shape) for name, array in arrays.items()]
    try:
        with atomic_write(path) as temporary:
            writer = SafetensorsWriter(temporary, shapes, {_KEY: json.dumps(dict(info))})
            try:
                for name, array in arrays.items():
                    writer.add(name, array)
                writer.finish(alone=True)
            finally:
                writer.abandon()
    except CheckpointError as error:
        raise CheckpointError(
            "checkpoint of the training cannot be saved", found=error.found, where=path,
            fix="make room and start again: it goes on from the checkpoint before",
        ) from None  # fmt: skip


def load_state(folder: Path) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """What was saved last, or None if nothing was.

    Raises:
        CheckpointError: The file is damaged.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as file:
            info = json.loads(file.metadata()[_KEY])
            return {name: file.get_tensor(name) for name in file.keys()}, info  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            "checkpoint of the training is damaged", found=error, where=path,
            fix="remove it to begin anew",
        ) from None  # fmt: skip


def remove_state(folder: Path) -> None:
    """Remove what was saved, once nothing is to be gone on with."""
    (folder / FILE_NAME).unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a kill left of a checkpoint that was being written."""
    for path in folder.glob(f".{FILE_NAME}.*.tmp"):
        path.unlink(missing_ok=True)
