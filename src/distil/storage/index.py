"""The index of a sharded checkpoint: which file holds which weight.

Source: ``*.index.json`` as transformers 4 writes it: ``{"metadata": {"total_size": n},
"weight_map": {weight: file}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distil.errors import CheckpointError, CheckpointNotFoundError, UnsafeCheckpointError, shorten
from distil.storage.files import read_json
from distil.storage.opened import check_own_file

_MAX_SHARDS = 10_000
_LONGEST_NAME = 255


def read_index(path: Path) -> Mapping[str, frozenset[str]]:
    """The names of the weights in each shard, by the shard's file name.

    Raises:
        CheckpointError: The index is not one, or a shard is missing.
        UnsafeCheckpointError: A shard is not a plain file of the index's own folder.
    """
    shards = shards_in(path)
    for file in shards:
        try:
            check_own_file(path.parent / file)
        except CheckpointNotFoundError as error:
            raise CheckpointNotFoundError(
                "shard is missing", where=error.where, fix=error.fix
            ) from None
    return shards


def shards_in(path: Path) -> Mapping[str, frozenset[str]]:
    """As `read_index`, for shards that need not be there yet."""
    weight_map = _weight_map(read_json(path, own=True), path)
    shards: dict[str, set[str]] = {}
    for weight, file in weight_map.items():
        _check_shard_name(file, suffix=_suffix(path), where=path)
        shards.setdefault(file, set()).add(weight)
    if len(shards) > _MAX_SHARDS:
        raise CheckpointError(
            "index names too many shards", expected=f"at most {_MAX_SHARDS}",
            found=len(shards), where=path,
        )  # fmt: skip
    return {file: frozenset(weights) for file, weights in shards.items()}


def _weight_map(index: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The part of an index that says where the weights are."""
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(
            "index names no weights", expected='"weight_map": {weight: file, ...}', where=path
        )
    return weight_map


def _check_shard_name(name: object, *, suffix: str, where: object) -> None:
    """Refuse a shard name that is more than the name of a file beside the index."""
    plain = (
        isinstance(name, str)
        and len(name) <= _LONGEST_NAME
        and name.endswith(suffix)
        and not name.startswith(".")
        # A colon begins a drive or a stream on Windows.
        and not any(character in "/\\:\0" for character in name)
    )
    if not plain:
        raise UnsafeCheckpointError(
            "index names a shard that is not a plain file of its folder",
            expected=f"a file name ending in {suffix}",
            found=shorten(repr(name)), where=where,
        )  # fmt: skip


def _suffix(index: Path) -> str:
    """The suffix of the shards of model.safetensors.index.json: .safetensors."""
    return "." + index.name.split(".")[1]
