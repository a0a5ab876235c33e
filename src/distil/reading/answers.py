"""Right answers to questions, in the forms that SQuAD's have in files, tables and data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

from distil.errors import InputError, shown

# What a column `is_impossible` may hold, as text.
_WORDS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class RightAnswers:
    """The right answers to a question.

    Attributes:
        texts: Their texts; none where the context does not answer the question (SQuAD 2).
        starts: Their first characters in the context; none where they are not known.
    """

    texts: tuple[str, ...]
    starts: tuple[int, ...] = ()


def right_answers(answers: Any, impossible: Any = None) -> RightAnswers:
    """The answers to a question, from what its row has.

    Args:
        answers: {"text": [...], "answer_start": [...]}, as data sets have it; a list of
            {"text", "answer_start"}, as SQuAD's files have it; or texts alone.  Empty, or None
            with `impossible`, where there is no answer.
        impossible: What the row says of that in `is_impossible`; None where it says nothing.

    Raises:
        InputError: It is none of these, or the two contradict each other.
    """
    none = _flag(impossible)
    if _is_missing(answers):
        found = RightAnswers(texts=()) if none else None
    else:
        found = _read(_plain(answers))
    if found is None or (none is False and not found.texts):
        raise InputError(
            "no answer", expected="texts and answer_starts, at least one; or, for a question that "
            "has none, empty lists, and is_impossible true or left out",
            found=shown(answers),
        )  # fmt: skip
    if none and found.texts:
        raise InputError(
            "a question without an answer has one", expected="is_impossible false, or no answers",
            found=shown(answers),
        )  # fmt: skip
    return found


def _read(answers: Any) -> RightAnswers | None:
    """What can be made of answers; None if nothing can."""
    if isinstance(answers, list) and answers and all(isinstance(x, Mapping) for x in answers):
        answers = {
            name: [one[name] for one in answers if name in one] for name in ("text", "answer_start")
        }
    starts: Any = ()
    if isinstance(answers, Mapping):
        starts = _listed(answers.get("answer_start"))
        answers = answers.get("text")
    texts = _listed(answers)
    if texts is None or not all(isinstance(text, str) for text in texts):
        return None
    try:
        numbers = tuple(int(start) for start in starts or ())
    except (TypeError, ValueError):
        return None
    if numbers and len(numbers) != len(texts):
        return None
    return RightAnswers(texts=tuple(texts), starts=numbers)


def _listed(value: Any) -> list[Any] | None:
    """A list, or one of a single value; None for what is neither."""
    value = _plain(value)
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, str | int) else None


def _plain(value: Any) -> Any:
    """A value without numpy's types, and tuples as lists."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return list(value) if isinstance(value, tuple) else value


def _is_missing(value: Any) -> bool:
    """Whether a cell is empty; pandas has NaN there."""
    return value is None or (isinstance(value, float) and isnan(value))


def _flag(value: Any) -> bool | None:
    value = _plain(value)
    if _is_missing(value):
        return None
    found = _WORDS.get(str(value).lower()) if isinstance(value, bool | int | str) else None
    if found is None:
        raise InputError(
            "is_impossible is neither true nor false", expected="true or false", found=shown(value)
        )
    return found
