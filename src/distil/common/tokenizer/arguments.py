"""Reading arguments that several parts of the tokenizer take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast, get_args

from distil.errors import InputError

Side = Literal["left", "right"]


def read_side(side: object, name: str, error: Callable[..., Exception]) -> Side:
    """Return a side of a row, or raise `error` when it is neither "left" nor "right"."""
    if side not in get_args(Side):
        raise error(f"{name} is not a side", expected="'left' or 'right'", found=repr(side))
    return cast(Side, side)


def read_count(value: Any, name: str, *, least: int = 0) -> int | None:
    """Return a whole number (or None), or raise InputError when it is none or too small."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise InputError(
            f"{name} is impossible", expected=f"a whole number, {least} or more", found=repr(value)
        )
    return int(value)
