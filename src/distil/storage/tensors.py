"""What an open checkpoint is: named tensors, each read when it is asked for."""

from __future__ import annotations

import mmap as mmap_module
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from mmap import ACCESS_COPY, PAGESIZE, mmap
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ml_dtypes
import numpy as np

from distil.arrays import Array
from distil.errors import CheckpointError, shorten
from distil.storage.formats import Layout
from distil.storage.opened import open_own

MADV_DONTNEED: int | None = getattr(mmap_module, "MADV_DONTNEED", None)  # Windows has none

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16), BFLOAT16)
INT8 = np.dtype(np.int8)
# The types that weights may be written in, by name.
WRITTEN: Mapping[str, np.dtype[Any]] = {dtype.name: dtype for dtype in (*FLOATS, INT8)}

# What a reader of one kind of file gives: the tensors by name, and how to let go of the file.
Opened = tuple[dict[str, "StoredTensor"], Callable[[], None]]

_MAX_DIMENSIONS = 32
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class StoredTensor:
    """One tensor in a file.

    Attributes:
        name: Its name in the file; a TensorFlow name without the leading name of the model.
        file: The file that holds it.
        shape: Its shape as stored.
        dtype: Its type, as `read` gives it.
        load: Gives the values; `read` is the way to call it.
        let_go: Gives back the memory of what was read; `release` is the way to call it.
        kept: Its type in the file, where that is another.
    """

    name: str
    file: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[], Array] = field(repr=False, compare=False)
    let_go: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    kept: np.dtype[Any] | None = None

    @property
    def stored(self) -> np.dtype[Any]:
        """Its type in the file."""
        return self.kept or self.dtype

    def read(self) -> Array:
        """The values: a view of the file's memory map, copied by the system where written to.

        No byte is read before it is used, and the array stays valid after the checkpoint is
        closed.  Where the file keeps another type, it is an array of its own.
        """
        return self.load()

    def release(self) -> None:
        """Give back the memory of what was read and then copied; it can be read again."""
        if self.let_go is not None:
            self.let_go()


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of an open checkpoint; see `distil.checkpoints.open_checkpoint`.

    Attributes:
        folder: The folder that it lies in.
        files: The files that hold the tensors.
        format: "safetensors", "tf-safetensors", "bin" or "h5".
        layout: Whose names and orientation the tensors have, see `distil.common.spec`.
        tensors: The tensors by name.
    """

    folder: Path
    files: tuple[Path, ...]
    format: str
    layout: Layout
    tensors: Mapping[str, StoredTensor]
    _close: Callable[[], None] = field(repr=False, compare=False)

    def close(self) -> None:
        """Let go of the files. Arrays that were read stay valid; no other can be read."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class MappedFile:
    """The bytes of a file, mapped into memory copy-on-write.

    PyTorch adopts such arrays as they are (it wants writable memory), so that loading a model
    takes the memory of its weights once.  Files are replaced by renaming, here and in the
    hub's cache, so a mapping never sees another file's bytes.  Who writes into the mapped file
    itself changes the weights that nobody has touched yet; who truncates it crashes the process
    (SIGBUS).

    Args:
        path: The file, opened as `distil.storage.opened.open_own` does.

    Raises:
        CheckpointError: It is empty, or not a plain file of its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_own(path) as file:
            self.size = file.seek(0, 2)
            if self.size == 0:
                raise CheckpointError("file is empty", where=path, fix="download or save it again")
            self._map = mmap(file.fileno(), 0, access=ACCESS_COPY)
        self._bytes: Array | None = np.frombuffer(self._map, np.uint8)

    def bytes(self, start: int, stop: int) -> bytes:
        """A copy of the bytes from `start` to below `stop`."""
        return self._open_bytes()[start:stop].tobytes()

    def tensor(
        self, name: str, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> StoredTensor:
        """The tensor of `shape` and `dtype` that begins at byte `start`; see `array`."""
        length = prod(shape) * dtype.itemsize
        return StoredTensor(
            name, self.path, shape, dtype,
            load=lambda: self.array(start, shape, dtype),
            let_go=lambda: self.release(start, length),
        )  # fmt: skip

    def array(self, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """The array of `shape` and `dtype` that begins at byte `start`.

        The caller has checked that the file is long enough.
        """
        flat = self._open_bytes()[start : start + prod(shape) * dtype.itemsize]
        if (flat.ctypes.data % dtype.alignment) != 0:
            flat = flat.copy()  # frameworks want aligned memory
        return flat.view(dtype).reshape(shape)

    def release(self, start: int, length: int) -> None:
        """Let the system take back the whole pages in these bytes, and what was written there."""
        first = -(-start // PAGESIZE) * PAGESIZE
        last = (start + length) // PAGESIZE * PAGESIZE
        if first < last and MADV_DONTNEED is not None:
            self._map.madvise(MADV_DONTNEED, first, last - first)

    def close(self) -> None:
        """Drop this reference; the mapping goes when the last array does."""
        self._bytes = None

    def _open_bytes(self) -> Array:
        if self._bytes is None:
            raise CheckpointError("checkpoint is closed", where=self.path, fix="read before close")
        return self._bytes


def same_values(one: StoredTensor, other: StoredTensor) -> bool:
    """Whether two tensors hold the same bytes."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    first, second = np.atleast_1d(one.read()), np.atleast_1d(other.read())
    if first.ctypes.data == second.ctypes.data and first.strides == second.strides:
        return True
    return same_bytes(first, second, of=(one, other))


def same_bytes(first: Array, second: Array, *, of: tuple[StoredTensor, StoredTensor]) -> bool:
    """Whether two arrays of one shape hold the same bytes; `of` are the tensors they come from."""
    for rows in _rows_of(first):
        if first[rows].tobytes() != second[rows].tobytes():
            return False
        # Pages read from a file stay in memory until they are released.
        for tensor in of:
            tensor.release()
    return True


def not_finite(values: Array) -> str | None:
    """How many values are NaN or infinite, and in which rows; None where there is none."""
    for rows in _rows_of(values):
        finite = np.isfinite(values[rows])
        if not finite.all():
            count, last = finite.size - np.count_nonzero(finite), rows.start + len(finite) - 1
            return f"{count} in rows {rows.start} to {last}"
    return None


def _rows_of(values: Array) -> Iterator[slice]:
    """All rows, a few at a time: what is computed of them takes as much memory as they do."""
    return (
        slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(values), _ROWS_AT_ONCE)
    )  # fmt: skip


def check_shape(shape: Any, *, name: str, where: Path) -> tuple[int, ...]:
    """`shape`, if it is that of an array that can exist.

    Raises:
        CheckpointError: A size is no integer or below 0, or there are too many of them.
    """
    valid = (
        isinstance(shape, list | tuple)
        and len(shape) <= _MAX_DIMENSIONS
        and all(type(size) is int and 0 <= size < 2**63 for size in shape)
        # numpy multiplies the sizes of an empty array too
        and prod(size for size in shape if size) < 2**60
    )
    if not valid:
        raise CheckpointError(
            f"shape of {shorten(name)} is impossible",
            expected=f"at most {_MAX_DIMENSIONS} sizes of 0 or more",
            found=shorten(repr(shape)), where=where,
        )  # fmt: skip
    return tuple(shape)
