"""The labels of a row that may have several of them, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distil.errors import InputError, shown

# What a cell says of its column's label, in any kind of table.
_APPLIES = {"1": True, "true": True, "0": False, "false": False}


def labels_in(values: Mapping[str, Any], column: str | Sequence[str]) -> list[str]:
    """The labels of a row, each by its name, or by its number as text.

    Args:
        values: The row, by column.
        column: Of a list of labels; or a column for each label, named after it, with 1 or 0 (also
            true or false).

    Raises:
        InputError: A column is missing, or holds something else, or a label twice.
    """
    for name in [column] if isinstance(column, str) else column:
        if values.get(name) is None:
            raise InputError(
                f"row has no {name!r}", expected="a column of labels",
                found=", ".join(map(shown, values)) or "none",
                fix="give a text without labels an empty list",
            )  # fmt: skip
    if not isinstance(column, str):
        return [name for name in column if _applies(name, values[name])]
    given = values[column]
    labels = given.tolist() if hasattr(given, "tolist") else given
    if not isinstance(labels, list | tuple):
        raise InputError(
            "labels are not a list", expected='as ["a", "b"], [0, 2], or []', found=shown(labels),
            fix="or give every label a column of 0 and 1, and name these: "
            'columns={"label": ["a", "b"]}, in a recipe data.columns.label=[a, b]',
        )  # fmt: skip
    wrong = [one for one in labels if isinstance(one, bool) or not isinstance(one, str | int)]
    if wrong:
        raise InputError(
            "a label is neither a name nor a number", expected="the labels that apply",
            found=shown(labels), fix="list labels by name; vectors of 0 and 1 are not read",
        )  # fmt: skip
    names = [str(one) for one in labels]
    if len({*names}) < len(names):
        raise InputError(
            "a label is there twice", expected="each label that applies, once", found=shown(labels)
        )
    return names


def _applies(name: str, cell: Any) -> bool:
    found = _APPLIES.get(str(cell).strip().lower().removesuffix(".0"))
    if found is None:
        raise InputError("neither 0 nor 1", expected=f"whether {name!r} applies", found=shown(cell))
    return found
