"""Rows for a pipeline: texts with their second field, and rows shown with a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distil.common.rules import as_list
from distil.common.tasks import TASKS
from distil.errors import InputError

# The argument of `predict` for each second field.
_ARGUMENTS = {"text_pair": "pair", "context": "context", "choices": "choices"}


def fields_of(task: str) -> tuple[str, str | None]:
    """The names of a task's first field, and of its second if it has one."""
    return TASKS[task].row


def make_rows(
    task: str, texts: Sequence[str], given: Mapping[str, Any]
) -> list[str | dict[str, Any]]:
    """Rows of a pipeline: each text with its pair, context or choices.

    Args:
        task: Of the pipeline.
        texts: One or more.
        given: "pair", "context" and "choices", or those that are given.

    Raises:
        InputError: There is no text, or the second field is missing or does not fit the task.
    """
    if not texts:
        raise InputError("there are no texts", expected="at least one", where="texts")
    first, second = fields_of(task)
    values = seconds(task, given, len(texts))
    if values is None or second is None:
        return list(texts)
    return [{first: text, second: value} for text, value in zip(texts, values, strict=True)]


def seconds(task: str, given: Mapping[str, Any], count: int | None = None) -> list[Any] | None:
    """The values of the second field.

    Args:
        task: Of the pipeline.
        given: "pair", "context" and "choices", or those that are given.
        count: Number of texts; None if it is not known: then one value must do for all.

    Returns:
        One for each text, or one for all if `count` is None; None if there is none.

    Raises:
        InputError: As `make_rows`.
    """
    wanted = _ARGUMENTS.get(fields_of(task)[1] or "", "")
    for name, value in given.items():
        if value is not None and name != wanted:
            raise InputError(
                f"this task has no {name}", found=f"a model for {task}", where=name,
                fix=f"pass {wanted} instead" if wanted else "leave it out",
            )  # fmt: skip
    value = given.get(wanted)
    if value is None:
        if TASKS[task].needs_second and count is not None:
            raise InputError(f"{task} needs {wanted}", found="none", where=wanted)
        return None
    if wanted == "choices":
        return [as_list(value, wanted)] * (count or 1)
    values = [value] if isinstance(value, str) else as_list(value, wanted)
    if len(values) == 1:
        return values * (count or 1)
    if len(values) != count:
        raise InputError(
            f"expected one {wanted} for each text, or one for all",
            expected="1" + (f" or {count}" if count else ""),
            found=len(values), where=wanted,
        )  # fmt: skip
    return values


def describe(row: str | Mapping[str, Any], result: Any) -> dict[str, Any]:
    """A row with its result, as plain lists and numbers.

    Contexts and choices are left out: they may be long, or are part of the result.
    """
    if isinstance(row, str):
        shown: dict[str, Any] = {"text": row}
    else:
        shown = {name: value for name, value in row.items() if name not in ("context", "choices")}
    # Vectors are arrays.
    return shown | {"result": result.tolist() if hasattr(result, "tolist") else result}
