"""Which configuration belongs to the weights, also after a kill between the two.

Weights and config.json are two files, and no rename replaces both.  So the new configuration is
first put beside the old one, under a name with the digest of the weights (or of the index of
their shards) that it belongs to: ``.config.<sha256>.json``.  As soon as those weights are the
ones in place, readers take it; config.json follows, and then it goes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from distil.storage.files import atomic_write
from distil.storage.formats import FILE_KINDS

_CONFIG = "config.json"
_PATTERN = ".config.*.json"


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
    """The file that holds the configuration of the weights in `folder`: config.json, as a rule."""
    config = folder / _CONFIG
    announced = {path.name: path for path in folder.glob(_PATTERN)}
    weights = _first_weights(folder) if announced else None
    if weights is None:
        return config
    pending = announced.get(f".config.{_digest(weights)}.json")
    # A config.json that somebody has edited since is meant.
    if pending is None or _changed(config) > _changed(pending):
        return config
    return pending


def forget(folder: Path) -> None:
    """Remove what was announced."""
    for path in folder.glob(_PATTERN):
        path.unlink(missing_ok=True)


def _first_weights(folder: Path) -> Path | None:
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


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0
