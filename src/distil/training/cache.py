"""Tokenized data kept on disk: tokenized once, and mapped into memory rather than read.

Token ids are written to a file while they are made, so that a corpus may be larger than memory.
Where all that a split comes to is numbers, they are kept, too, and the next training on the same
files begins at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from distil.arrays import Array
from distil.common.steps.batching import Features
from distil.common.steps.recipe import Recipe
from distil.errors import InputError
from distil.storage.files import atomic_write

# Seconds after which nobody is taken to be writing to a file any more.
_GIVEN_UP = 3600

# Features of a split in its file of arrays.
_TARGET, _TOKEN_TARGET = "target/", "token_target/"


class IdsFile:
    """Token ids on their way to a file.

    Args:
        path: The file; it is there, and on disk, once `finish` has returned.

    Raises:
        InputError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # A name of its own: several processes may be writing the same data.
        self._temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(path)
            self._file = self._temporary.open("wb")
        except OSError as error:
            raise _not_kept(self._path, error) from None

    def add(self, ids: Array) -> None:
        """Append int32 ids."""
        try:
            self._file.write(ids.astype("<i4").data)
        except OSError as error:
            raise _not_kept(self._path, error) from None

    def finish(self) -> Array:
        """All ids, mapped from the file."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._path)
        except OSError as error:
            raise _not_kept(self._path, error) from None
        return read_ids(self._path)


def remove_leftovers(path: Path) -> None:
    """Remove what kills have left of a file: nobody has written to it for an hour."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        with suppress(FileNotFoundError):  # another process has removed it
            if time.time() - leftover.stat().st_mtime > _GIVEN_UP:
                leftover.unlink()


def read_ids(path: Path) -> Array:
    """The ids in a file, mapped into memory."""
    if path.stat().st_size == 0:  # which cannot be mapped
        return np.zeros(0, np.int32)
    return np.memmap(path, dtype="<i4", mode="r")


def cache_path(recipe: Recipe, split: str, tokenizer: Any, labels: tuple[str, ...]) -> Path | None:
    """Where the ids of a split are kept: a name for this data, tokenized in this way.

    None where the recipe keeps nothing.
    """
    data = recipe.data
    if data.cache is None:
        return None
    names = {"train": data.train, "dev": data.dev}[split] or ()
    stats = [(Path(data.folder) / name).stat() for name in names]
    table = recipe.to_table()["data"]
    described = [
        recipe.task, split, labels, recipe.data.dev_share and recipe.seed,
        {name: value for name, value in table.items() if name not in ("cache", "labels")},
        [(stat.st_size, stat.st_mtime_ns) for stat in stats],
        tokenizer.backend_tokenizer.to_str(),
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]
    return Path(data.cache) / f"{recipe.task}-{split}-{key}.ids"


def load_features(path: Path) -> Features | None:
    """What `save_features` kept; None where there is nothing, or not what was kept."""
    try:
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            named = {name: arrays[name] for name in arrays.files}
        length, checksum = named["ids"].tolist()
        ids = read_ids(path)
        features = Features(
            ids=ids,
            starts=named["starts"],
            choices=int(named["choices"]),
            targets=_under(_TARGET, named),
            token_targets=_under(_TOKEN_TARGET, named),
        )
    # A file that is missing, cut off, or none of these.
    except (OSError, EOFError, ValueError, TypeError, LookupError, BadZipFile):
        return None
    return features if len(ids) == length and zlib.crc32(ids.data) == checksum else None


def save_features(path: Path, features: Features) -> None:
    """Keep what there is of features besides the ids, and the length and checksum of those.

    Raises:
        InputError: It cannot be written.
    """
    ids = np.array([len(features.ids), zlib.crc32(features.ids.data)], np.int64)
    arrays = {"ids": ids, "starts": features.starts, "choices": np.array(features.choices)}
    arrays |= {_TARGET + name: array for name, array in features.targets.items()}
    arrays |= {_TOKEN_TARGET + name: array for name, array in features.token_targets.items()}
    try:
        with atomic_write(path.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise _not_kept(path, error) from None


def _not_kept(path: Path, error: OSError) -> InputError:
    return InputError(
        "tokenized data cannot be kept", found=error, where=path,
        fix="make room, or choose another data.cache",
    )  # fmt: skip


def _under(prefix: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
