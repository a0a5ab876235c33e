"""Rows: what a pipeline is given, one at a time, and what is wrong with some of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distil.errors import InputError, shown

# A text, or a text and a second one (the context of a question, say).
Item = str | tuple[str, Any]

# Names the row with a number, in errors.
Place = Callable[[int], str]


def as_list(inputs: Any) -> Any:
    """A list of what an array, a data frame's column or another sequence holds; else `inputs`."""
    for name in ("tolist", "to_list", "to_pylist"):
        convert = getattr(inputs, name, None)
        if callable(convert):
            return convert()
    is_rows = isinstance(inputs, Sequence) and not isinstance(inputs, str | list | tuple)
    return list(inputs) if is_rows else inputs


def check_text(text: Any, where: str) -> str:
    """The text itself.

    Args:
        text: What is to be one.
        where: Its row, and its field where a row has several.

    Raises:
        InputError: It is not a string, is blank, or holds something that is not a character.
    """
    if not isinstance(text, str):
        raise InputError("not a text", expected="a string", found=shown(text), where=where)
    if not text or text.isspace():
        raise InputError(
            "not a text", expected="a string that is not blank", found=shown(text),
            where=where,
        )  # fmt: skip
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                "a text holds a lone surrogate, which is not a character",
                found=f"U+{ord(text[error.start]):04X} at character {error.start}", where=where,
                fix="decode the bytes it came from with errors='replace'",
            ) from None  # fmt: skip
    return text


def check_fields(row: Any, names: tuple[str, ...], where: str) -> Mapping[str, Any]:
    """The row itself, which has to be a table with just these fields.

    Raises:
        InputError: It is not.
    """
    if not isinstance(row, Mapping) or set(row) != set(names):
        fields = ", ".join(map(str, row)) if isinstance(row, Mapping) else None
        raise InputError(
            "the row lacks a field, or has one too many",
            expected=f"a table (dict) of {' and '.join(names)}", where=where,
            found=shown(row) if fields is None else f"a table of {fields}",
        )  # fmt: skip
    return row


def characters(item: Any) -> int:
    """How many characters of text an item holds."""
    if isinstance(item, str):
        return len(item)
    return sum(map(characters, item))
