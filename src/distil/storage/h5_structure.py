"""The parts of an HDF5 file that lead from its first byte to an array: headers, trees, names.

Only the older of HDF5's two forms is read, which h5py, Keras and transformers write unless told
otherwise.  Everything is bounded: a part is visited once, the levels of a tree fall by one, and
all parts together have a limit, so that reading takes no longer than a large file could.

Source: HDF5 File Format Specification 3.0 (sections II.A, III.A.1, III.B to III.E, IV.A).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Never

from distil.errors import CheckpointError, shorten
from distil.storage.tensors import MappedFile

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NOWHERE = 0xFFFFFFFFFFFFFFFF
# The names and headers of a checkpoint have some 100 kB.
_MAX_BYTES = 16 * 1024 * 1024

# Types of messages in an object's header.
DATASPACE, DATATYPE, LAYOUT = 0x01, 0x03, 0x08
_LINK_INFO, _LINK, _CONTINUATION, _SYMBOLS = 0x02, 0x06, 0x10, 0x11
# Of values that lie in other files, or have to be computed.
ELSEWHERE = frozenset({0x07, 0x0B})
_ONCE = frozenset({DATASPACE, DATATYPE, LAYOUT, _LINK_INFO, _SYMBOLS})

_SHARED = 2
_CONTIGUOUS = 1
_NULL_SPACE = 2
_SOFT_SYMBOL = 2
_LINK_KINDS = {0: "hard", 1: "soft", 64: "external"}

# The contents of the messages in an object's header, by type.
Messages = dict[int, list[bytes]]


@dataclass(frozen=True, kw_only=True)
class Link:
    """A name in a group; the address of its object's header is None unless the link is hard."""

    name: str
    kind: str
    address: int | None


def is_group(messages: Messages) -> bool:
    """Whether an object with these messages is a group."""
    return bool(messages.keys() & {_SYMBOLS, _LINK, _LINK_INFO})


def contiguous(messages: Messages) -> tuple[int, int] | None:
    """Offset and size of a dataset's bytes, None where they do not lie in one piece."""
    (layout,) = messages[LAYOUT]
    try:
        version, kind, offset, size = struct.unpack_from("<2B2Q", layout)
    except struct.error:
        return None
    return (offset, size) if version in (3, 4) and kind == _CONTIGUOUS else None


def shape(messages: Messages) -> tuple[int, ...] | None:
    """The shape of a dataset, None where it is damaged or has no values at all."""
    (space,) = messages[DATASPACE]
    try:
        version, rank, _, kind = struct.unpack_from("<4B", space)
        sizes: tuple[int, ...] = struct.unpack_from(f"<{rank}Q", space, {1: 8, 2: 4}[version])
    except (struct.error, KeyError):
        return None
    return None if version == 2 and kind == _NULL_SPACE else sizes


class Structure:
    """Reads the parts of one file.

    Every method raises a `CheckpointError` where the file is damaged, or in HDF5's newer form.

    Args:
        mapped: The file.
    """

    def __init__(self, mapped: MappedFile) -> None:
        self._mapped = mapped
        self._left = _MAX_BYTES
        self._seen: set[int] = set()

    def root(self) -> int:
        """The address of the root group's header."""
        found = self._mapped.bytes(0, len(_SIGNATURE))
        if found != _SIGNATURE:
            raise CheckpointError(
                "not an HDF5 file", expected=_SIGNATURE, found=found, where=self._mapped.path,
                fix="download or save it again",
            )  # fmt: skip
        (version,) = self._unpack("<B", len(_SIGNATURE))
        if version in (2, 3):
            self._newer(f"version {version} of its first block")
        sizes = self._unpack("<2B", 13)
        if version not in (0, 1) or sizes != (8, 8):
            self._damaged(f"version {version} with sizes of {sizes}")
        place = 24 + 4 * version  # version 1 has one more field
        base, _, end, _, _, root = self._unpack("<6Q", place)
        if base != 0 or end > self._mapped.size:
            self._damaged(f"{self._mapped.size} bytes of {end}")
        return int(root)

    def messages(self, address: int) -> Messages:
        """The contents of the header of the object at `address`."""
        version, _, count, _, size = self._unpack("<2BH2L", address)
        if version != 1:
            self._damaged(f"version {version} of the header at {address}")
        blocks = [(address + 16, size)]
        found: Messages = {}
        for start, length in blocks:
            self._once(start)
            block, place = self._read(start, length), 0
            while place + 8 <= length and count > 0:
                kind, size, flags = struct.unpack_from("<2HB", block, place)
                content = block[place + 8 : place + 8 + size]
                place, count = place + 8 + size, count - 1
                if place > length or (kind in _ONCE and (kind in found or flags & _SHARED)):
                    self._damaged(f"message {kind} in the header at {address}")
                if kind == _CONTINUATION and size >= 16:
                    blocks.append(struct.unpack_from("<2Q", content))
                else:
                    found.setdefault(kind, []).append(content)
        return found

    def links(self, group: Messages) -> list[Link]:
        """The names in a group, sorted."""
        for info in group.get(_LINK_INFO, ()):
            flags = info[1] if len(info) > 1 else 0
            if info[2 + 8 * (flags & 1) :][:8] != _NOWHERE.to_bytes(8, "little"):
                self._newer("a group whose names are in a heap of their own")
        found = [self._link(message) for message in group.get(_LINK, ())]
        for message in group.get(_SYMBOLS, ()):
            if len(message) < 16:
                self._damaged("an invalid symbol table")
            tree, heap = struct.unpack_from("<2Q", message)
            names = self._names(heap)
            found += [self._symbol(names, entry) for entry in self._entries(tree, None)]
        return sorted(found, key=lambda link: link.name)

    def spend(self, size: int) -> None:
        """Count `size` bytes towards what the parts of a file may have together."""
        self._left -= size
        if self._left < 0:
            raise CheckpointError(
                "HDF5 file has too many names", expected=f"at most {_MAX_BYTES} bytes of them",
                where=self._mapped.path, fix="do not trust this file",
            )  # fmt: skip

    def _link(self, message: bytes) -> Link:
        """A link stored in a header."""
        try:
            flags, place = message[1], 2
            kind = 0
            if flags & 8:
                kind, place = message[place], place + 1
            place += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
            width = 1 << (flags & 3)
            start = place + width
            end = start + int.from_bytes(message[place:start], "little")
            (address,) = struct.unpack_from("<Q", message, end) if kind == 0 else (None,)
        except (IndexError, struct.error):
            self._damaged("a link that is cut off")
        kind_name = _LINK_KINDS.get(kind, "user-defined")
        return Link(name=self._text(message[start:end]), kind=kind_name, address=address)

    def _symbol(self, names: bytes, entry: bytes) -> Link:
        """A link stored in a symbol table."""
        place, address, cache = struct.unpack_from("<2QL", entry)
        end = names.find(b"\0", place)
        if end < 0:
            self._damaged("a name without an end")
        self.spend(end - place)
        soft = cache == _SOFT_SYMBOL or address == _NOWHERE
        return Link(
            name=self._text(names[place:end]), kind="soft" if soft else "hard",
            address=None if soft else address,
        )  # fmt: skip

    def _entries(self, address: int, level: int | None) -> Iterator[bytes]:
        """The entries of a symbol table, whose tree has a node of `level` at `address`."""
        if level == -1:
            *_, count = self._part("<4s2BH", address, b"SNOD")
            for number in range(count):
                yield self._read(address + 8 + 40 * number, 40)
            return
        _, kind, found, count, *_ = self._part("<4s2BH2Q", address, b"TREE")
        if kind != 0:
            self._damaged(f"a node of type {kind} at {address}")
        self._check_level(level, found, address)
        for number in range(count):
            (child,) = self._unpack("<Q", address + 24 + 8 + 16 * number)
            yield from self._entries(child, found - 1)

    def _check_level(self, expected: int | None, found: int, address: int) -> None:
        if expected not in (None, found):
            self._damaged(f"a node of level {found} at {address}, expected {expected}")

    def _names(self, address: int) -> bytes:
        """The heap that holds the names of a group."""
        _, _, size, _, start = self._part("<4s4s3Q", address, b"HEAP")
        return self._read(start, size)

    def _part(self, form: str, address: int, signature: bytes) -> tuple[Any, ...]:
        """The fields of a part that begins with `signature`, and that no other way leads to."""
        self._once(address)
        fields = self._unpack(form, address)
        if fields[0] != signature:
            self._damaged(f"{fields[0]!r} at {address} instead of {signature!r}")
        return fields

    def _once(self, address: int) -> None:
        if address in self._seen:
            self._damaged(f"the part at {address} is reached twice")
        self._seen.add(address)

    def _unpack(self, form: str, address: int) -> tuple[Any, ...]:
        return struct.unpack(form, self._read(address, struct.calcsize(form)))

    def _read(self, start: int, size: int) -> bytes:
        if start + size > self._mapped.size:
            self._damaged(f"{self._mapped.size} bytes, and {size} wanted at {start}")
        self.spend(size)
        return self._mapped.bytes(start, start + size)

    def _text(self, name: bytes) -> str:
        try:
            return name.decode("utf-8")
        except UnicodeDecodeError:
            self._damaged(f"the name {shorten(repr(name))}")

    def _damaged(self, found: str) -> Never:
        raise CheckpointError(
            "not a valid HDF5 file", found=found, where=self._mapped.path,
            fix="download or save it again",
        )  # fmt: skip

    def _newer(self, found: str) -> Never:
        raise CheckpointError(
            "HDF5 file is in a newer form than Keras and transformers write",
            expected='h5py\'s default, libver="earliest"', found=found, where=self._mapped.path,
            fix='save it again with h5py.File(path, "w"), or use its safetensors file',
        )  # fmt: skip
