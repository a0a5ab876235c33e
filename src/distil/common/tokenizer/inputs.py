"""Reading what a tokenizer is called with: texts, and arguments that several modules share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from distil.common.tokenizer.pipeline import Words
from distil.errors import InputError, shown

Side = Literal["left", "right"]

_ONE_TEXT = "a string"
_ONE_LIST = "a list of strings (the words of one text)"


class Texts(NamedTuple):
    """What to encode.

    Attributes:
        first: A text, or a list of words, for each row.
        second: The same for the second text of each row; None without.
        split: Whether texts are given as lists of words.
        batched: Whether a batch was given, not one row.
    """

    first: Sequence[str] | Sequence[Words]
    second: Sequence[str] | Sequence[Words] | None
    split: bool
    batched: bool


def read_texts(text: Any, text_pair: Any, *, split: bool) -> Texts:
    """Tell a text from a batch of texts, and both from anything else.

    Args:
        text: A string; with `split` a list of words; or a list of either.  A list may also hold
            pairs of texts when `text_pair` is None.
        text_pair: None, or the second texts, nested like `text`.
        split: Whether texts are given as lists of words.

    Raises:
        InputError: Something else was given; says which row.
    """
    if not _is_batch(text, split=split):
        _check(text, split=split, where="text")
        if text_pair is not None:
            _check(text_pair, split=split, where="text_pair")
        return Texts([text], None if text_pair is None else [text_pair], split, batched=False)

    first, second = text, text_pair
    if text_pair is None:
        first, second = _separate_pairs(text, split=split)
    elif not isinstance(text_pair, list | tuple) or len(text_pair) != len(text):
        raise InputError(
            "text and text_pair do not match",
            expected=f"a list of {len(text)} texts, one for each in text",
            found=f"{len(text_pair)} texts"
            if isinstance(text_pair, list | tuple)
            else shown(text_pair),
            where="text_pair",
        )
    for name, rows in (("text", first), ("text_pair", second)):
        for index, row in enumerate(rows or ()):
            # The common case, spelled out: a call a row would cost as much as tokenizing.
            if split or not isinstance(row, str):
                _check(row, split=split, where=f"{name}, row {index}")
    return Texts(first, second, split, batched=True)


def _is_batch(text: Any, *, split: bool) -> bool:
    if not isinstance(text, list | tuple):
        return False
    # A list of strings is one text of words, or a batch of texts.
    return bool(text) and isinstance(text[0], list | tuple) if split else True


def _separate_pairs(rows: Any, *, split: bool) -> tuple[Any, Any]:
    """Tell a batch of pairs from a batch of single texts."""
    kind = list | tuple if split else str
    are_pairs = [
        isinstance(row, list | tuple)
        and len(row) == 2
        and isinstance(row[0], kind)
        and isinstance(row[1], kind)
        for row in rows
    ]
    if not rows or not are_pairs[0]:
        return rows, None
    if not all(are_pairs):
        index = are_pairs.index(False)
        raise InputError(
            "a batch holds pairs of texts and something else", expected="pairs of texts only",
            found=shown(rows[index]), where=f"text, row {index}",
        )  # fmt: skip
    return [row[0] for row in rows], [row[1] for row in rows]


def _check(text: Any, *, split: bool, where: str) -> None:
    """Refuse what is not one text."""
    if not split:
        if not isinstance(text, str):
            raise _refusal(_ONE_TEXT, text, where)
    elif not isinstance(text, list | tuple):
        raise _refusal(_ONE_LIST, text, where)
    else:
        for index, word in enumerate(text):
            if not isinstance(word, str):
                raise _refusal(_ONE_TEXT, word, f"{where}, word {index}")


def _refusal(expected: str, found: Any, where: str) -> InputError:
    if isinstance(found, bytes):
        fix = "decode it: text.decode('utf-8')"
    elif expected == _ONE_LIST:
        fix = "leave is_split_into_words out, or split the text into words"
    elif isinstance(found, list | tuple):
        fix = "pass is_split_into_words=True if the texts are lists of words"
    else:
        fix = None
    return InputError(
        "this cannot be tokenized", expected=expected, found=shown(found), where=where, fix=fix
    )


def check_surrogates(texts: Texts) -> None:
    """Refuse lone surrogates: they are not characters, and UTF-8 cannot hold them.

    Raises:
        InputError: A text has one; says which row and where in it.
    """
    for name, rows in (("text", texts.first), ("text_pair", texts.second)):
        for index, row in enumerate(rows or ()):
            for part in row if texts.split else (row,):
                try:
                    str(part).encode()
                except UnicodeEncodeError as error:
                    raise InputError(
                        "a text holds a lone surrogate, which is not a character",
                        found=f"U+{ord(error.object[error.start]):04X} at index {error.start}",
                        where=f"{name}, row {index}",
                        fix="decode the bytes it came from with errors='replace'",
                    ) from None


def read_columns(encoded_inputs: Any) -> dict[str, Any]:
    """Return inputs by name, of a batch or of a list of rows."""
    if isinstance(encoded_inputs, list | tuple) and all(
        isinstance(row, Mapping) for row in encoded_inputs
    ):
        names = list(encoded_inputs[0]) if encoded_inputs else []
        for index, row in enumerate(encoded_inputs):
            if set(row) != set(names):
                raise InputError(
                    "rows do not have the same inputs", expected=", ".join(names),
                    found=", ".join(row), where=f"row {index}",
                )  # fmt: skip
        return {name: [row[name] for row in encoded_inputs] for name in names}
    if isinstance(encoded_inputs, Mapping):
        return dict(encoded_inputs)
    raise InputError(
        "this cannot be padded", expected="a batch, or a list of dictionaries",
        found=type(encoded_inputs).__name__,
    )  # fmt: skip


def read_count(value: Any, name: str, *, least: int = 0) -> int | None:
    """Return a whole number or None, or raise InputError for anything else or less."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise InputError(
            f"{name} is not valid", expected=f"a whole number, {least} or more", found=shown(value)
        )
    return int(value)
