"""Opening files that somebody else wrote: only plain ones, and only where they belong."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from distil.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    DistilError,
    UnsafeCheckpointError,
)

# A file is opened first and judged afterwards, by what was opened: between a look at a path and
# its opening, somebody else could put another file there.  Without O_NONBLOCK, opening a pipe
# waits for its writer.  (Windows has neither flag, and no need of them.)
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def open_own(path: Path) -> BufferedReader:
    """Open a file of the folder that `path` lies in, and of no other place.

    A link may lead to another file of the folder.  The hub's cache is made of links,
    snapshots/<revision>/<file> -> ../../blobs/<hash>, and those blobs are as much the
    repository's own as a file in the folder.

    Raises:
        CheckpointNotFoundError: There is no such file.
        CheckpointError: It is a folder, a pipe, a device, or a loop of links.
        UnsafeCheckpointError: It is a link to somewhere else.
    """
    with _errors_of(path):
        target = path.resolve(strict=True)
        root = _root_of(target, path)
        return _regular(_open_below(root, target.relative_to(root)), path)


def check_own_file(path: Path) -> None:
    """Raise what `open_own` would."""
    open_own(path).close()


def read_bytes(path: Path, *, limit: int, own: bool = False) -> bytes:
    """The content of a file that is not expected to be large.

    Args:
        path: The file.
        limit: The most bytes that it may have.
        own: Open it as `open_own` does; by default, a link may lead anywhere.

    Raises:
        CheckpointNotFoundError: There is no such file.
        CheckpointError: It is not a plain file, cannot be read, or has more than `limit` bytes.
        UnsafeCheckpointError: It is a link that leaves its folder, where it should be `own`.
    """
    with _errors_of(path):
        file = open_own(path) if own else _regular(os.open(path, _FLAGS), path)
        with file:
            data = file.read(limit + 1)
            size = os.fstat(file.fileno()).st_size
    if len(data) > limit:
        raise CheckpointError(
            f"{path.name} is too large", expected=f"at most {limit} bytes",
            found=f"{size} bytes", where=path,
        )  # fmt: skip
    return data


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Say which file a system's error is about."""
    try:
        yield
    except DistilError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointNotFoundError(
            f"{path.name} is missing", where=path,
            fix="download or save the checkpoint again",
        ) from None  # fmt: skip
    # RuntimeError and ELOOP: a loop of links; ValueError: a NUL in the name.
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path.name} cannot be read", found=error, where=path) from error


def _root_of(target: Path, path: Path) -> Path:
    """The folder of the checkpoint's own files that `target`, which `path` leads to, lies in."""
    folder = path.parent.resolve()
    if target.is_relative_to(folder):
        return folder
    for above in folder.parents:
        blobs = above.parent / "blobs"
        if above.name == "snapshots" and target.is_relative_to(blobs):
            return blobs
    raise UnsafeCheckpointError(
        f"{path.name} leaves the checkpoint's folder",
        expected=f"a file in {folder}", found=target, where=path,
        fix="put the file itself into the folder",
    )  # fmt: skip


def _open_below(root: Path, inside: Path) -> int:
    """Open `root / inside`, where nothing below `root` is a link."""
    *folders, name = inside.parts
    if not folders or os.open not in os.supports_dir_fd:
        return os.open(root / inside, _FLAGS | _NO_LINK)
    outer = os.open(root, _FLAGS | os.O_DIRECTORY)
    try:
        for step in folders:
            inner = os.open(step, _FLAGS | _NO_LINK | os.O_DIRECTORY, dir_fd=outer)
            os.close(outer)
            outer = inner
        return os.open(name, _FLAGS | _NO_LINK, dir_fd=outer)
    finally:
        os.close(outer)


def _regular(descriptor: int, path: Path) -> BufferedReader:
    """`descriptor` as a file, if it is a plain one; closed otherwise."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CheckpointError(
            f"{path.name} is not a file", expected="a plain file", where=path,
            fix="do not trust this checkpoint, or download it again",
        )  # fmt: skip
    return os.fdopen(descriptor, "rb")
