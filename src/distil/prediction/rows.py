"""Rows for a pipeline: texts put together with what goes with them, and shown with a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distil.common.rules import as_list
from distil.common.tasks import TASKS
from distil.errors import InputError

# The arguments that hold what goes with texts, by its field.
_ARGUMENTS = {"text_pair": "pair", "context": "context", "choices": "choices"}


def fields_of(task: str) -> tuple[str, str | None]:
    """The names of a task's text, and of what goes with it."""
    return TASKS[task].row


def make_rows(
    task: str, texts: Sequence[str], given: Mapping[str, Any]
) -> list[str | dict[str, Any]]:
    """Texts with what goes with them, as rows of a pipeline.

    Args:
        task: Of the pipeline.
        texts: One or more.
        given: Of "pair", "context" and "choices", what there is.

    Raises:
        InputError: There is no text, or the task needs something that is not given, or has no
            use for what is.
    """
    if not texts:
        raise InputError("there are no texts", expected="at least one", where="texts")
    first, second = fields_of(task)
    values = seconds(task, given, len(texts))
    if values is None or second is None:
        return list(texts)
    return [{first: text, second: value} for text, value in zip(texts, values, strict=True)]


def seconds(task: str, given: Mapping[str, Any], count: int | None = None) -> list[Any] | None:
    """What goes with texts.

    Args:
        task: Of the pipeline.
        given: Of "pair", "context" and "choices", what there is.
        count: How many texts there are; None if that is not known: then there has to be one for
            all, or none.

    Returns:
        One for each text, one for all where `count` is None; None if there is none.

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
            f"there must be one {wanted} for each text, or one for all",
            expected="1" + (f" or {count}" if count else ""),
            found=len(values), where=wanted,
        )  # fmt: skip
    return values


def describe(row: str | Mapping[str, Any], result: Any) -> dict[str, Any]:
    """A row with its result, of lists and numbers.

    What may be long, or is in the result (a context, choices), is left out.
    """
    if isinstance(row, str):
        shown: dict[str, Any] = {"text": row}
    else:
        shown = {name: value for name, value in row.items() if name not in ("context", "choices")}
    # Vectors are arrays.
    return shown | {"result": result.tolist() if hasattr(result, "tolist") else result}
