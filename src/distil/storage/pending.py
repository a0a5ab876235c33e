"""Which configuration belongs to the weights, also after a kill between the two.

Weights and config.json are two files, and no rename replaces both.  So the new configuration is
first put beside the old one, under a name with the digest of the weights (or of the index of
their shards) that it belongs to: ``.config.<sha256>.json``.  As soon as those weights are the
ones in place, readers take it; config.json follows, and then it goes.

Whoever can write into the folder can announce a configuration as well as change config.json.
So an announcement is held to the same rules as any file of the folder, and weights are only
read for it when it is newer than config.json and they are of a size that a kill can have left.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from distil.errors import CheckpointError, CheckpointNotFoundError
from distil.storage.files import atomic_write
from distil.storage.formats import FILE_KINDS
from distil.storage.opened import open_own

_CONFIG = "config.json"
_PATTERN = f".config.{'[0-9a-f]' * 64}.json"
# Three times the size of the largest BERT in float32; read in some seconds.
_MAX_WEIGHTS = 4 * 1024**3


def announce(folder: Path, text: str, weights: bytes | Path) -> Path:
    """Make `text` the configuration of the folder from the moment that `weights` are in place.

    Args:
        folder: The checkpoint's folder.
        text: The content of the new config.json.
        weights: What will be the only file of the weights, or the content of the new index.

    Returns:
        The file that says so, to be removed if those weights are never put in place.
    """
    path = folder / f".config.{_digest(weights)}.json"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def current_config(folder: Path) -> Path:
    """The file that holds the configuration of the weights in `folder`: config.json, as a rule.

    Raises:
        CheckpointError: An announcement is not a plain file of the folder, or the weights are too
            large to tell whether it is theirs.
    """
    config = folder / _CONFIG
    # A config.json that somebody has edited since is meant.
    announced = {path.name for path in folder.glob(_PATTERN) if _changed(path) >= _changed(config)}
    weights = first_weights(folder) if announced else None
    if weights is None:
        return config
    name = f".config.{_digest_of(weights)}.json"
    return folder / name if name in announced else config


def forget(folder: Path) -> None:
    """Remove what was announced."""
    for path in folder.glob(_PATTERN):
        path.unlink(missing_ok=True)


def first_weights(folder: Path) -> Path | None:
    """The file of weights, or index of shards, that a reader prefers."""
    for kind in FILE_KINDS:
        for name in (kind.file_name(), kind.index_name()):
            if (folder / name).is_file():
                return folder / name
    return None


def _digest(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(weights: Path) -> str:
    """The digest of weights that are in place."""
    with open_own(weights) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _MAX_WEIGHTS:
            raise CheckpointError(
                "weights are too large to look for the configuration announced for them",
                expected=f"at most {_MAX_WEIGHTS} bytes", found=f"{size} bytes", where=weights,
                fix="remove the files .config.*.json from the folder once config.json is right",
            )  # fmt: skip
        return hashlib.file_digest(file, "sha256").hexdigest()


def _changed(path: Path) -> int:
    """When a file was last changed, in nanoseconds; 0 if it is not there."""
    try:
        with open_own(path) as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except CheckpointNotFoundError:
        return 0
