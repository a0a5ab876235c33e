"""Looking through a pickle, without running it, for what no state dict needs.

``torch.load(weights_only=True)`` runs no foreign code, but what it does run can be made to take
all memory (``bytearray(10**11)``), to take for ever, or to overflow the stack (hashing tuples
within tuples).  So only pickles that are built as those of state dicts are given to it.
"""

from __future__ import annotations

import pickletools
from pathlib import Path
from typing import Any, BinaryIO, Never

from distil.errors import CheckpointError, UnsafeCheckpointError, shorten

# What ``torch.save`` writes before a state dict in its older form: as pickles of their own, this
# number, the version, and facts of the machine; and after it, the names of the storages.
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PICKLES_BEFORE, _PICKLES_AFTER = 3, 1

_GLOBALS = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch.nn.parameter Parameter",
        "torch.storage TypedStorage",
        "torch.storage UntypedStorage",
    }
    | {
        f"torch {kind}Storage"
        for kind in (
            "BFloat16", "Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short",
        )
    }
)  # fmt: skip
_VALUES = frozenset(
    {
        "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING", "BINUNICODE", "EMPTY_DICT",
        "EMPTY_LIST", "EMPTY_TUPLE", "GLOBAL", "LONG1", "NEWFALSE", "NEWTRUE", "NONE",
        "SHORT_BINSTRING",
    }
)  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_POPS = {"APPEND": 1, "BUILD": 1, "REDUCE": 1, "SETITEM": 2}

# A tensor's arguments hold its shape, and stand in a tuple themselves.
_DEEPEST_TUPLE = 4


def check_pickle(file: BinaryIO, path: Path) -> None:
    """Refuse the pickle at the place where `file` stands, unless it is that of a state dict.

    Raises:
        CheckpointError: It is damaged.
        UnsafeCheckpointError: It holds more than tensors.
    """
    _Scan(path).run(file)


def check_older_form(file: BinaryIO, path: Path) -> None:
    """As `check_pickle`, for a file in the form of ``torch.save`` before version 1.6."""
    first = _Scan(path)
    first.run(file)
    if first.numbers != [_MAGIC_NUMBER]:
        raise CheckpointError(
            "not a file of PyTorch weights", expected="a file written by torch.save", where=path,
            fix="download or save it again",
        )  # fmt: skip
    # The first of those before has been seen, and the state dict itself is one more.
    for _ in range(_PICKLES_BEFORE + _PICKLES_AFTER):
        _Scan(path).run(file)


class _Scan:
    """Follows one pickle: how deep the tuples on its stack are, and the numbers in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size
        # The depth of each tuple, 0 for anything else, None for a mark.
        self._stack: list[int | None] = []
        self._memo: dict[Any, int] = {}
        self.numbers: list[int] = []

    def run(self, file: BinaryIO) -> None:
        try:
            for opcode, argument, _ in pickletools.genops(file):
                self._step(opcode.name, argument)
        except CheckpointError:
            raise
        # pickletools and a stack that runs empty say it in many ways.
        except Exception as error:
            raise CheckpointError(
                "not a file of PyTorch weights",
                found=shorten(f"{type(error).__name__}: {error}"), where=self._path,
                fix="download or save it again",
            ) from None  # fmt: skip

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            self._check_value(name, argument)
            stack.append(0)
        elif name == "MARK":
            stack.append(None)
        elif name in _TUPLES:
            self._tuple(len(stack) - _TUPLES[name])
        elif name == "TUPLE":
            self._tuple(self._mark())
            del stack[-2]  # the mark
        elif name in _POPS:
            del stack[len(stack) - _POPS[name] :]
            stack[-1] = 0
        elif name in ("APPENDS", "SETITEMS"):
            del stack[self._mark() - 1 :]
        elif name == "BINPERSID":
            stack[-1] = 0
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1] or 0
        elif name in ("BINGET", "LONG_BINGET"):
            # Each tuple of a state dict stands for itself; used twice, they grow without end.
            if self._memo[argument]:
                self._refuse("one tuple in two places")
            stack.append(0)
        elif name not in ("PROTO", "STOP"):
            self._refuse(f"opcode {name}")

    def _check_value(self, name: str, value: Any) -> None:
        if name == "GLOBAL" and value not in _GLOBALS:
            self._refuse(str(value))
        if isinstance(value, int):
            self.numbers.append(value)
            # Sizes, offsets and lengths of what is in this very file.
            if not 0 <= value <= self._size and value != _MAGIC_NUMBER:
                self._refuse(f"the number {value:.6g}")

    def _mark(self) -> int:
        """The place after the last mark."""
        return len(self._stack) - self._stack[::-1].index(None)

    def _tuple(self, start: int) -> None:
        """Make one tuple of what lies on the stack from `start` on."""
        depth = 1 + max((item or 0 for item in self._stack[start:]), default=0)
        if depth > _DEEPEST_TUPLE:
            self._refuse("tuples within tuples")
        self._stack[start:] = [depth]

    def _refuse(self, found: str) -> Never:
        raise UnsafeCheckpointError(
            "file is damaged, or holds more than tensors", expected="a state dict",
            found=shorten(found), where=self._path,
            fix="convert it to safetensors where you trust it",
        )  # fmt: skip
