"""Looking through a pickle, without running it, for what no state dict needs.

``torch.load(weights_only=True)`` runs no foreign code, but what it does run can be made to take
all memory (``bytearray(10**11)``), to run forever, to overflow the stack (hashing tuples
within tuples), or to give tensors more elements than the file has bytes for.  So only pickles
that are built as those of state dicts are given to it: the scan follows each opcode with the
kinds of what lies on the stack, and checks every call before it is made.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

from distil.errors import CheckpointError, UnsafeCheckpointError, shorten, shown

# What ``torch.save`` writes before a state dict in its older form: as pickles of their own, this
# number, the version, and facts of the machine; and after it, the names of the storages.
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_PICKLES_BEFORE = 2

# The bytes of an element.
_STORAGES = {
    **dict.fromkeys((f"torch {kind}Storage" for kind in ("Bool", "Byte", "Char")), 1),
    **dict.fromkeys((f"torch {kind}Storage" for kind in ("BFloat16", "Half", "Short")), 2),
    **dict.fromkeys((f"torch {kind}Storage" for kind in ("Float", "Int")), 4),
    **dict.fromkeys((f"torch {kind}Storage" for kind in ("Double", "Long")), 8),
    "torch.storage UntypedStorage": 1,
}
_DICT = "collections OrderedDict"
_TENSORS = ("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2")
_PARAMETERS = ("torch._utils _rebuild_parameter", "torch.nn.parameter Parameter")
_GLOBALS = frozenset({_DICT, *_TENSORS, *_PARAMETERS, *_STORAGES})

_VALUES = frozenset(
    {
        "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING", "BINUNICODE", "EMPTY_DICT",
        "EMPTY_LIST", "EMPTY_TUPLE", "GLOBAL", "LONG1", "NEWFALSE", "NEWTRUE", "NONE",
        "SHORT_BINSTRING",
    }
)  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_POPS = {"APPEND": 1, "SETITEM": 2}

# That of 400 tensors has 80 kB.  PyTorch takes some 10 microseconds for each byte.
MAX_PICKLE_BYTES = 1024 * 1024
# A tensor's arguments hold its shape, and stand in a tuple themselves.
_DEEPEST_TUPLE = 4
_DEEPEST_MARK = 16


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What a pickle says of the run of numbers that some of its tensors share."""

    key: object
    elements: int
    itemsize: int


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Tuple:
    items: Sequence[Any]
    depth: int


class _Kind:
    """Something of which no more than its kind matters."""


_DICTIONARY, _TENSOR, _OTHER = _Kind(), _Kind(), _Kind()
_EMPTY = _Tuple((), 1)


def check_pickle(data: bytes, path: Path, *, size: int) -> Mapping[object, Storage]:
    """Refuse `data` unless it begins with the pickle of a state dict.

    Args:
        data: The pickle.
        path: The file that it comes from, of `size` bytes: no tensor can have more of anything.

    Returns:
        The storages that its tensors lie in, by their keys.

    Raises:
        CheckpointError: It is damaged.
        UnsafeCheckpointError: It holds more than tensors.
    """
    return _Scan(path, size).run(io.BytesIO(data)).storages


def check_older_form(data: bytes, path: Path, *, size: int) -> None:
    """As `check_pickle`, for the first bytes of a file as ``torch.save`` before 1.6 wrote it."""
    stream = io.BytesIO(data)
    if _Scan(path, 0).run(stream).result != _MAGIC_NUMBER:
        raise CheckpointError(
            "not a file of PyTorch weights", expected="a file written by torch.save", where=path,
            fix="download or save it again",
        )  # fmt: skip
    for _ in range(_PICKLES_BEFORE):
        _Scan(path, _VERSION).run(stream)
    storages = _Scan(path, size).run(stream).storages.values()
    _Scan(path, size).run(stream)
    _check_room(storages, size, path)


def _check_room(storages: Iterable[Storage], size: int, path: Path) -> None:
    """Refuse storages larger than their file: PyTorch makes room for all before it reads any."""
    declared = sum(storage.elements * storage.itemsize for storage in storages)
    if declared > size:
        raise UnsafeCheckpointError(
            "weights are larger than the bytes stored for them", expected=f"at most {size} bytes",
            found=f"{declared} bytes", where=path, fix="download or save it again",
        )  # fmt: skip


class _Scan:
    """Follows one pickle."""

    def __init__(self, path: Path, largest: int) -> None:
        self._path = path
        self._largest = largest
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []  # what lies below each mark
        self._memo: dict[Any, Any] = {}
        self.storages: dict[object, Storage] = {}
        self.result: Any = None

    def run(self, stream: io.BytesIO) -> _Scan:
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                self._step(opcode.name, argument)
            (self.result,) = self._stack
        except CheckpointError:
            raise
        # pickletools and a stack that runs empty say it in many ways.
        except Exception as error:
            raise CheckpointError(
                "not a file of PyTorch weights",
                found=shorten(f"{type(error).__name__}: {error}"), where=self._path,
                fix="download or save it again",
            ) from None  # fmt: skip
        return self

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(self._value(name, argument))
        elif name == "MARK":
            if len(self._marked) == _DEEPEST_MARK:
                self._refuse("marks within marks")
            self._marked.append(stack)
            self._stack = []
        elif name in _TUPLES:
            self._tuple([stack.pop() for _ in range(_TUPLES[name])][::-1])
        elif name == "TUPLE":
            self._tuple(self._pop_to_mark())
        elif name in _POPS:
            for _ in range(_POPS[name]):
                stack.pop()
        elif name in ("APPENDS", "SETITEMS"):
            self._pop_to_mark()
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            # Each tuple of a state dict stands for itself; used twice, they can grow without bound.
            if isinstance(self._memo[argument], _Tuple) and self._memo[argument] is not _EMPTY:
                self._refuse("one tuple in two places")
            stack.append(self._memo[argument])
        else:
            self._act(name)

    def _act(self, name: str) -> None:
        """Follow an opcode that calls something, or none that there should be."""
        stack = self._stack
        if name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(self._call(function, arguments))
        elif name == "BUILD":
            stack.pop()
            if stack[-1] is not _DICTIONARY:
                self._refuse("opcode BUILD")
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "STOP":
            if self._marked:
                self._refuse("a mark at the end")
        elif name != "PROTO":
            self._refuse(f"opcode {name}")

    def _value(self, name: str, value: Any) -> Any:
        if name == "GLOBAL":
            if value not in _GLOBALS:
                self._refuse(str(value))
            return _Global(value)
        if name in ("EMPTY_DICT", "EMPTY_LIST"):
            return _DICTIONARY if name == "EMPTY_DICT" else _OTHER
        if name == "EMPTY_TUPLE":
            return _EMPTY
        # Sizes, offsets and lengths of what is in this very file.
        if isinstance(value, int) and not 0 <= value <= self._largest and value != _MAGIC_NUMBER:
            self._refuse(f"the number {shown(value)}")
        return value

    def _pop_to_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marked.pop()
        return items

    def _tuple(self, items: list[Any]) -> None:
        """Put one tuple of `items` onto the stack."""
        inner = [item.depth for item in items if isinstance(item, _Tuple)]
        depth = 1 + max(inner, default=0)
        if depth > _DEEPEST_TUPLE:
            self._refuse("tuples within tuples")
        self._stack.append(_Tuple(items, depth))

    def _storage(self, identity: Any) -> Storage:
        """The storage that ``("storage", class, key, place, elements, ...)`` stands for."""
        items = identity.items if isinstance(identity, _Tuple) else ()
        if len(items) not in (5, 6) or items[0] not in ("storage", b"storage"):
            self._refuse("something other than a storage")
        kind, key, elements = items[1], items[2], items[4]
        itemsize = _STORAGES.get(kind.name) if isinstance(kind, _Global) else None
        if itemsize is None or type(elements) is not int or not isinstance(key, str | bytes):
            self._refuse("a storage without a type or a size")
        storage = Storage(key=key, elements=elements, itemsize=itemsize)
        if self.storages.setdefault(key, storage) != storage:
            self._refuse("a storage of two sizes")
        return storage

    def _call(self, function: Any, arguments: Any) -> Any:
        """What calling `function` gives."""
        name = function.name if isinstance(function, _Global) else ""
        items = arguments.items if isinstance(arguments, _Tuple) else ()
        if name == _DICT:
            return _DICTIONARY
        if name in _TENSORS and len(items) >= 4:
            self._check_tensor(*items[:4])
        elif name not in _PARAMETERS or not items or items[0] is not _TENSOR:
            self._refuse(f"a call of {name or 'something that is not a function'}")
        return _TENSOR

    def _check_tensor(self, storage: Any, offset: Any, sizes: Any, strides: Any) -> None:
        """Refuse a tensor that reaches beyond its storage: PyTorch would make that larger."""
        if not (
            isinstance(storage, Storage)
            and isinstance(sizes, _Tuple)
            and isinstance(strides, _Tuple)
            and len(sizes.items) == len(strides.items)
            and all(type(one) is int for one in (offset, *sizes.items, *strides.items))
        ):
            self._refuse("a tensor without a storage, a shape or strides")
        steps = zip(sizes.items, strides.items, strict=True)
        end = offset + sum((size - 1) * stride for size, stride in steps) + 1
        if 0 not in sizes.items and end > storage.elements:
            self._refuse(f"a tensor {shown(tuple(sizes.items))} in {storage.elements} numbers")

    def _refuse(self, found: str) -> Never:
        raise UnsafeCheckpointError(
            "file is damaged, or holds more than tensors", expected="a state dict",
            found=shorten(found), where=self._path,
            fix="convert it to safetensors on a machine where you trust it",
        )  # fmt: skip
