"""Reading and writing .safetensors files.

Source: safetensors format, README of huggingface/safetensors: eight bytes with the length of
the header, the header (JSON), and the tensors one after another.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from distil.arrays import Array
from distil.errors import CheckpointError, shorten, shown
from distil.storage.files import parse_json
from distil.storage.tensors import BFLOAT16, MappedFile, Opened, StoredTensor, check_shape

_DTYPES = {
    "F64": np.dtype(np.float64), "F32": np.dtype(np.float32), "F16": np.dtype(np.float16),
    "BF16": BFLOAT16, "BOOL": np.dtype(np.bool_),
    "I64": np.dtype(np.int64), "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16), "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64), "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16), "U8": np.dtype(np.uint8),
}  # fmt: skip
_CODES = {dtype: code for code, dtype in _DTYPES.items()}

_LENGTH = struct.Struct("<Q")
# The header of a 24-layer BERT has about 60 kB.
_MAX_HEADER = 16 * 1024 * 1024


def read_safetensors(path: Path) -> Opened:
    """The tensors in `path`.

    The rules are those of the safetensors library (the tests hold one against the other), and a
    repeated key is an error, too.  The library itself would have to open the file again.

    Raises:
        CheckpointError: It is damaged, or holds types that no weight has.
        UnsafeCheckpointError: It is a link that leaves its folder.
    """
    file = MappedFile(path)
    start, header = _header(file)
    _check_metadata(header.pop("__metadata__", None), path)
    tensors: dict[str, StoredTensor] = {}
    runs: list[tuple[int, int]] = []
    for name, entry in header.items():
        tensors[name], run = _tensor(file, start, name, entry)
        runs.append(run)
    _check_runs(runs, file.size - start, path)
    return tensors, file.close


def _header(file: MappedFile) -> tuple[int, dict[str, Any]]:
    """Where the data begins, and the content of the header."""
    if file.size < _LENGTH.size:
        raise CheckpointError(
            "file is too short for a safetensors header", expected="at least 8 bytes",
            found=f"{file.size} bytes", where=file.path,
        )  # fmt: skip
    (length,) = _LENGTH.unpack(file.bytes(0, _LENGTH.size))
    room = min(file.size - _LENGTH.size, _MAX_HEADER)
    if length > room:
        raise CheckpointError(
            "safetensors header is longer than it can be", expected=f"at most {room} bytes",
            found=f"{length} bytes", where=file.path, fix="download or save the file again",
        )  # fmt: skip
    start = _LENGTH.size + length
    return start, parse_json(file.bytes(_LENGTH.size, start), where=str(file.path))


def _check_metadata(metadata: Any, path: Path) -> None:
    """Refuse metadata that is not a table of strings; what it says is not used."""
    texts = isinstance(metadata, dict) and all(isinstance(one, str) for one in metadata.values())
    if metadata is not None and not texts:
        raise CheckpointError(
            "not a valid safetensors file", expected="metadata of texts by name",
            found=shown(metadata), where=path,
        )  # fmt: skip


def _tensor(
    file: MappedFile, start: int, name: str, entry: Any
) -> tuple[StoredTensor, tuple[int, int]]:
    """The tensor that a header entry describes, and where it begins and ends in the data."""
    fields = entry if isinstance(entry, dict) else {}
    code = fields.get("dtype")
    dtype = _DTYPES.get(code) if isinstance(code, str) else None
    if dtype is None:
        raise CheckpointError(
            f"type of {shorten(name)} is not supported", expected=", ".join(_DTYPES),
            found=shown(code), where=file.path,
        )  # fmt: skip
    shape = check_shape(fields.get("shape"), name=name, where=file.path)
    length = prod(shape) * dtype.itemsize
    begin = _place(
        fields.get("data_offsets"), length, file.size - start, name=name, where=file.path
    )
    return file.tensor(name, start + begin, shape, dtype), (begin, begin + length)


def _place(offsets: Any, length: int, room: int, *, name: str, where: Path) -> int:
    """Where a weight begins, if its offsets are those of `length` bytes within `room`."""
    begin = offsets[0] if isinstance(offsets, list) and offsets else None
    if type(begin) is not int or begin < 0 or offsets != [begin, begin + length]:
        begin = None
    if begin is None or begin + length > room:
        raise CheckpointError(
            f"{shorten(name)} does not lie where the header says",
            expected=f"{length} bytes within data of {room}",
            found=f"data_offsets {shown(offsets)}", where=where,
        )  # fmt: skip
    return begin


def _check_runs(runs: list[tuple[int, int]], size: int, path: Path) -> None:
    """Refuse tensors that overlap, or bytes that belong to none."""
    place = 0
    for begin, end in sorted(runs):
        if begin != place:
            raise CheckpointError(
                "not a valid safetensors file",
                expected=f"a weight that begins at byte {place} of the data",
                found=f"one that begins at byte {begin}", where=path,
                fix="download or save it again",
            )  # fmt: skip
        place = end
    if place != size:
        raise CheckpointError(
            "not a valid safetensors file", expected=f"{place} bytes of data",
            found=f"{size} bytes", where=path, fix="download or save it again",
        )  # fmt: skip


class SafetensorsWriter:
    """Writes tensors as they come, so that never more than one is in memory.

    The header stands first but is known last: room for it is left, and the rest of that room
    filled with spaces, as the format allows.

    Args:
        path: The file to write.
        shapes: Shape of every tensor that will come, by name.
        metadata: Goes into the header.
    """

    def __init__(
        self, path: Path, shapes: Iterable[tuple[str, tuple[int, ...]]], metadata: dict[str, str]
    ) -> None:
        self._metadata = metadata
        self._entries: dict[str, Any] = {}
        self._end = 0
        # float64 is the widest type; no offset can get longer than with it.
        widest: dict[str, Any] = {}
        end = 0
        for name, shape in shapes:
            begin, end = end, end + prod(shape) * 8
            widest[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
        self._room = -(-(len(self._encode(widest))) // 8) * 8
        self._file: BinaryIO = path.open("wb")
        try:
            self._file.write(bytes(_LENGTH.size + self._room))
        except OSError:
            self.abandon()
            raise

    def add(self, name: str, array: Array) -> None:
        """Write one tensor."""
        array = np.ascontiguousarray(array)
        self._file.write(array.reshape(-1).view(np.uint8).data)
        begin, self._end = self._end, self._end + array.nbytes
        self._entries[name] = {
            "dtype": _CODES[array.dtype],
            "shape": array.shape,
            "data_offsets": [begin, self._end],
        }

    def finish(self, *, alone: bool) -> None:
        """Write the header and close the file; a shard is laid out as a whole file is."""
        self._file.seek(0)
        self._file.write(_LENGTH.pack(self._room))
        self._file.write(self._encode(self._entries).ljust(self._room))
        self._file.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        with suppress(OSError):  # what could not be written cannot be written now
            self._file.close()

    def _encode(self, entries: dict[str, Any]) -> bytes:
        content = {"__metadata__": self._metadata, **entries}
        return json.dumps(content, separators=(",", ":")).encode()
