"""Where the entries of an archive lie that ``torch.save`` has written, or nothing at all.

A zip archive can be made so that two readers see two contents: by a second directory, a record
that two of them look for in different places, bytes before or after it, a name that occurs
twice.  What is checked here must be what PyTorch then unpickles.  So only one form is taken, the
one that PyTorch writes: everything in one piece from the first byte to the last, each entry
stored as it is, in the order of the directory's offsets.

Source: APPNOTE.TXT 6.3.10 (PKWARE); caffe2/serialize/inline_container.cc and miniz of PyTorch.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Never

from distil.errors import CheckpointError, UnsafeCheckpointError

# Signature; fields that follow it.  In 64-bit archives a field full of ones stands for one of 64
# bits elsewhere.
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_DIRECTORY = struct.Struct("<4s4B4H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")

_ONES_16, _ONES_32 = 0xFFFF, 0xFFFFFFFF
_EXTRA_64 = 1
# A data descriptor follows the entry; its name is UTF-8.
_KNOWN_FLAGS = 1 << 3 | 1 << 11

_FOLDER = 0x10  # MS-DOS' attribute

# A checkpoint in one file has two hundred entries.
_MAX_DIRECTORY = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where the bytes of an entry lie in the file."""

    start: int
    size: int


def read_archive(file: BinaryIO, path: Path) -> dict[str, Entry]:
    """The entries by their names below the folder that all of them lie in.

    Raises:
        CheckpointError: It is damaged.
        UnsafeCheckpointError: It is not as PyTorch writes it.
    """
    return _Archive(file, path).entries()


class _Archive:
    """Reads one archive."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._size = file.seek(0, 2)

    def entries(self) -> dict[str, Entry]:
        count, start, end = self._directory()
        if not 0 <= start <= end or end - start > _MAX_DIRECTORY:
            self._damaged("a directory within the file", f"bytes {start} to {end}")
        directory = self._read(start, end - start)
        found: list[tuple[int, int, bytes]] = []
        place = 0
        while place < len(directory):
            place, one = self._directory_entry(directory, place)
            found.append(one)
        if len(found) != count:
            self._ambiguous(f"{len(found)} entries in a directory of {count}")
        return self._named(found, start)

    def _directory(self) -> tuple[int, int, int]:
        """The number of entries, and where the directory starts and ends."""
        where = self._size - _END.size
        signature, disk, first, here, count, size, start, comment = _END.unpack(
            self._read(where, _END.size)
        )
        if signature != b"PK\x05\x06":
            self._damaged("the end of an archive at the end of the file", signature)
        narrow = (disk, first, here, count, size, start)
        end = where
        if where >= _LOCATOR.size + _END_64.size:
            locator = _LOCATOR.unpack(self._read(where - _LOCATOR.size, _LOCATOR.size))
            if locator[0] == b"PK\x06\x07":
                end = where - _LOCATOR.size - _END_64.size
                # Some readers take the record before the locator, some the one it points to.
                if locator[1:] != (0, end, 1):
                    self._ambiguous("an end record in another place")
                record = _END_64.unpack(self._read(end, _END_64.size))
                if record[:2] != (b"PK\x06\x06", _END_64.size - 12):
                    self._ambiguous("an invalid end record")
                disk, first, here, count, size, start = record[4:]
        wide = (disk, first, here, count, size, start)
        limits = (_ONES_16,) * 4 + (_ONES_32,) * 2
        pairs = zip(narrow, wide, limits, strict=True)
        if any(one not in (other, limit) for one, other, limit in pairs):
            self._ambiguous("two end records that differ")
        if comment or disk or first or here != count or start + size != end:
            self._ambiguous("bytes between its parts, or after them")
        return count, start, end

    def _directory_entry(self, directory: bytes, place: int) -> tuple[int, tuple[int, int, bytes]]:
        """Where the next entry of the directory begins; offset, size and name of this one."""
        if place + _DIRECTORY.size > len(directory):
            self._damaged("whole entries in the directory", "a part of one")
        fields = _DIRECTORY.unpack_from(directory, place)
        flags, method = fields[5:7]
        packed, size, name_length, extra_length, comment, disk = fields[10:16]
        attributes, offset = fields[17:]
        if fields[0] != b"PK\x01\x02":
            self._damaged("an entry in the directory", fields[0])
        name_end = place + _DIRECTORY.size + name_length
        name = directory[place + _DIRECTORY.size : name_end]
        extra = directory[name_end : name_end + extra_length]
        sizes = [size, packed, offset]
        wide = [number for number, value in enumerate(sizes) if value == _ONES_32]
        expected = struct.Struct(f"<2H{len(wide)}Q")
        if wide and len(extra) == expected.size:
            kind, length, *values = expected.unpack(extra)
            if (kind, length) == (_EXTRA_64, 8 * len(wide)):
                extra = b""
                for number, value in zip(wide, values, strict=True):
                    sizes[number] = value
        size, packed, offset = sizes
        self._check_stored(method, packed, size)
        if extra or comment or disk or flags & ~_KNOWN_FLAGS:
            self._ambiguous("an entry with more than a name and a size")
        # PyTorch reads nothing of a folder, and gives memory that was never set as its content.
        if attributes & _FOLDER or name.endswith(b"/"):
            self._ambiguous("a folder as an entry")
        return name_end + extra_length, (offset, size, name)

    def _named(self, found: list[tuple[int, int, bytes]], end: int) -> dict[str, Entry]:
        """The entries by name, after a look at what stands before each of them."""
        # PyTorch takes the folder of the first entry for that of all.
        folder = found[0][2].partition(b"/")[0] + b"/" if found else b""
        entries: dict[str, Entry] = {}
        place = 0
        for offset, size, name in sorted(found):
            local = _LOCAL.unpack(self._read(offset, _LOCAL.size))
            start = offset + _LOCAL.size + local[9] + local[10]
            in_order = place <= offset if place else offset == 0
            if local[0] != b"PK\x03\x04" or not in_order or start + size > end:
                self._ambiguous("entries that overlap, or bytes before the first")
            if self._read(offset + _LOCAL.size, local[9]) != name or not name.startswith(folder):
                self._ambiguous("an entry with two names, or in another folder")
            try:
                entries[name[len(folder) :].decode("utf-8")] = Entry(start=start, size=size)
            except UnicodeDecodeError:
                self._damaged("names in UTF-8", name[:100])
            place = start + size
        # PyTorch finds names whatever the case of their letters.
        if len({name.lower() for name in entries}) != len(found):
            self._ambiguous("a name that occurs twice")
        return entries

    def _read(self, start: int, size: int) -> bytes:
        if start < 0 or start + size > self._size:
            self._damaged("a whole archive", f"{self._size} bytes")
        self._file.seek(start)
        data = self._file.read(size)
        if len(data) != size:
            self._damaged("a whole archive", f"{start + len(data)} bytes")
        return data

    def _check_stored(self, method: int, packed: int, size: int) -> None:
        if method != 0 or size != packed:
            raise UnsafeCheckpointError(
                "archive is compressed", expected="entries stored uncompressed",
                where=self._path,
            )  # fmt: skip

    def _damaged(self, expected: str, found: object) -> Never:
        raise CheckpointError(
            "not a file of PyTorch weights", expected=expected, found=found, where=self._path,
            fix="download or save it again",
        )  # fmt: skip

    def _ambiguous(self, found: str) -> Never:
        raise UnsafeCheckpointError(
            "archive can be read in two ways", expected="an archive as torch.save writes it",
            found=found, where=self._path, fix="do not trust this file, or save it again",
        )  # fmt: skip
