"""What it takes to continue an interrupted training: one file, replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from distil.arrays import Array
from distil.common.steps.stepping import MEAN, SQUARE, WEIGHT
from distil.errors import CheckpointError, shown
from distil.storage.files import atomic_write
from distil.storage.safetensors_file import SafetensorsWriter

FILE_NAME = "checkpoint.safetensors"
_KEY = "training"


def save_state(folder: Path, arrays: Mapping[str, Array], info: Mapping[str, Any]) -> None:
    """Write arrays and some plain data, in place of what was written before.

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
            text = json.dumps({**info, "arrays": len(arrays)})
            writer = SafetensorsWriter(temporary, shapes, {_KEY: text})
            try:
                for name, array in arrays.items():
                    writer.add(name, array)
                writer.finish(alone=True)
            finally:
                writer.abandon()
    except CheckpointError as error:
        raise CheckpointError(
            "training checkpoint cannot be saved", found=error.found, where=path,
            fix="free some space and run it again: it continues from the previous checkpoint",
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
        if not path.is_file():  # a pipe, say, which would keep it waiting
            raise OSError("not a file")
        with safe_open(path, "np") as file:
            info = json.loads(file.metadata()[_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not isinstance(info["position"], dict) or not isinstance(info["identity"], dict):
            raise TypeError("position and identity are not tables")
        if info["arrays"] != len(arrays):
            raise ValueError(f"{len(arrays)} arrays of {info['arrays']}")
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(folder, error) from None
    return arrays, info


def check_arrays(folder: Path, arrays: Mapping[str, Array], now: Mapping[str, Array]) -> None:
    """See that what was saved has the names, shapes and types of what it is restored into.

    Args:
        folder: Of the training.
        arrays: As `load_state` gives them.
        now: The state of a step that has done nothing yet; it may lack the optimizer's means.

    Raises:
        CheckpointError: It has not.
    """
    kinds = {name: (array.shape, array.dtype) for name, array in now.items()}
    for name in list(kinds):
        if name.startswith(WEIGHT):
            for mean in (MEAN, SQUARE):
                kinds.setdefault(mean + name.removeprefix(WEIGHT), kinds[name])
    for name, kind in kinds.items():
        if name not in arrays and name in now:
            raise _damaged(folder, f"no {name}")
        if name in arrays and (arrays[name].shape, arrays[name].dtype) != kind:
            found = f"{name}: {arrays[name].dtype} of {arrays[name].shape}"
            raise _damaged(folder, found, expected=f"{kind[1]} of {kind[0]}")
    others = arrays.keys() - kinds.keys()
    if others:
        raise _damaged(folder, f"an array {shown(min(others))}")


def _damaged(folder: Path, found: Any, **parts: Any) -> CheckpointError:
    return CheckpointError(
        "training checkpoint is damaged", found=found, where=folder / FILE_NAME,
        fix="remove it to start over", **parts,
    )  # fmt: skip


def remove_state(folder: Path) -> None:
    """Remove what was saved, once training is done."""
    (folder / FILE_NAME).unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a kill left of a checkpoint that was being written."""
    for path in folder.glob(f".{FILE_NAME}.*.tmp"):
        path.unlink(missing_ok=True)
