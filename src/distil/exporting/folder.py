"""The folder of an export: written beside its place, and put there whole, or not at all.

Several types of one export share a folder, with one export.json that says what each file is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distil.errors import CheckpointError
from distil.storage.files import lock, read_json, refusals, write_json

RECORD = "export.json"


def digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def types_there(target: Path, identity: Mapping[str, Any], dtype: str) -> Mapping[str, Any]:
    """What the target's export.json says of each type that is already there.

    Args:
        target: The folder to write to.
        identity: The part of export.json that must match for another type to join.
        dtype: The type to be written.

    Raises:
        CheckpointError: The target is no folder, holds something else, or this type already.
    """
    if not os.path.lexists(target):
        return {}
    if not target.is_dir():
        raise CheckpointError("target is not a folder", where=target, fix="name another one")
    there = sorted(path.name for path in target.iterdir())
    if not there:
        return {}
    known: Mapping[str, Any] = read_json(target / RECORD) if RECORD in there else {}
    types = known.get("types")
    differing = [name for name in identity if known.get(name) != identity[name]]
    if not isinstance(types, dict) or differing:
        listed = ", ".join(there[:5]) + (", ..." if there[5:] else "")
        raise CheckpointError(
            "the folder holds something else",
            expected="a new or an empty folder, or an export of the same model in the same form",
            found=f"an export with another {', '.join(differing)}" if types else listed,
            where=target, fix="name another folder",
        )  # fmt: skip
    if dtype in types:
        raise CheckpointError(
            "the folder holds this export already", expected="another type, or another folder",
            found=dtype, where=target, fix="remove the folder to write it again",
        )  # fmt: skip
    return types


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """A new folder near the target, which `place` moves there; it is removed if it was not.

    Raises:
        CheckpointError: The system refuses to write.
    """
    mark = f"{os.getpid()}-{os.urandom(4).hex()}"
    near = next(one for one in target.absolute().parents if one.exists())
    temporary = near / f".{target.absolute().name}.{mark}.tmp"
    try:
        with refusals("the export cannot be written", target):
            temporary.mkdir()
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def place(
    temporary: Path, target: Path, identity: Mapping[str, Any], dtype: str, entry: Mapping[str, Any]
) -> None:
    """Move what was written to its place: at once, or, beside other types, export.json last.

    Args:
        temporary: What was written.
        target: The place.
        identity: As in `types_there`.
        dtype: Likewise.
        entry: What export.json says of this type.

    Raises:
        CheckpointError: As in `types_there`: another process may have been there meanwhile.
    """
    parent = target.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    with lock(parent):
        types = {**types_there(target, identity, dtype), dtype: entry}
        write_json(temporary / RECORD, {**identity, "types": types})
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        if not target.exists():
            temporary.replace(target)
            return
        for path in sorted(_files(temporary), key=lambda path: path.name == RECORD):
            home = target / path.relative_to(temporary)
            home.parent.mkdir(parents=True, exist_ok=True)
            path.replace(home)


def _files(folder: Path) -> Sequence[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def described(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and digest of every file below a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size, "sha256": digest(path),
        }
        for path in _files(folder)
    }  # fmt: skip
