"""Rows of data from files: one reader for all commands.

Files are read as rows are asked for, however long they are.  A row that cannot be read is there
in its place, with what is wrong with it and where; what follows it can still be read.  What never
ends is an error: a line, a cell or a paragraph without an end, a device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from distil.errors import InputError, shown
from distil.reading.answers import RightAnswers, right_answers
from distil.reading.columnar import data_set
from distil.reading.files import Row, RowFile, format_of
from distil.reading.formats import FORMATS, rows_of
from distil.reading.frames import rows_from
from distil.reading.labels import labels_in

__all__ = [
    "FORMATS",
    "RightAnswers",
    "Row",
    "RowFile",
    "data_set",
    "format_of",
    "labels_in",
    "read_lines",
    "right_answers",
    "rows_from",
    "rows_of",
    "sound",
    "table_of",
    "to_input",
    "to_inputs",
]

# The option of a command that names the column of a field.
_OPTIONS = {
    "text_pair": "--pair-column", "context": "--context-column", "choices": "--choices-column",
    "label": "--label-column",
}  # fmt: skip


def sound(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows.

    Raises:
        InputError: One of them cannot be read.
    """
    for row in rows:
        if row.error is not None:
            raise row.error
        yield row


def read_lines(path: Path | None) -> list[str]:
    """The lines of a file that are not blank.

    Args:
        path: The file; None or "-" is stdin.

    Raises:
        InputError: It cannot be read, is not UTF-8, or has nothing but blank lines.
    """
    file = RowFile(path, "text")
    texts = [row.values["text"] for row in sound(rows_of(file))]
    if not texts:
        raise InputError("there are no texts", expected="one text a line", where=file.where)
    return texts


def to_inputs(
    file: RowFile, columns: Mapping[str, str | None]
) -> Iterator[tuple[int, str | dict[str, Any] | InputError]]:
    """The rows of a file as a pipeline takes them, each with its number.

    Args:
        file: What is read.
        columns: The fields that a row is to have, and the columns that hold them.  None for a
            column: that of the field's own name; for the first field also the only one there
            is.  A field without a column is left out.

    Yields:
        Numbers, and texts where there is no other field, or fields by name; or what is wrong.

    Raises:
        InputError: The file cannot be read, or a table has no such column.
    """
    for row in rows_of(file):
        try:
            yield row.number, to_input(row, columns, table=table_of(file))
        except InputError as problem:
            if problem.where == file.where:  # the table's, and so of every row
                raise
            yield row.number, problem


def table_of(file: RowFile) -> str | None:
    """The file's name, if all its rows have the same columns."""
    return file.where if file.format in ("csv", "tsv", "parquet") else None


def to_input(
    row: Row, columns: Mapping[str, str | None], *, table: str | None
) -> str | dict[str, Any]:
    """A row as a pipeline takes it.

    Args:
        row: The row.
        columns: As in `to_inputs`.
        table: As `table_of` gives it.

    Raises:
        InputError: It could not be read, or lacks a field; in a table, it lacks the column.
    """
    if row.error is not None:
        raise row.error
    first = next(iter(columns))
    names = list(row.values)
    # Objects of JSON that lack a field now and then may be down to any one of the others.
    alone = names[0] if len(names) == 1 and (table or names == ["text"]) else first
    found: dict[str, Any] = {}
    for field, column in columns.items():
        name = column or (alone if field == first else field)
        if name in row.values:
            found[field] = row.values[name]
        elif column or field == first:
            raise InputError(
                "there is no such column" if table else "this row lacks a field",
                expected=shown(name), found=", ".join(map(shown, names)) or "none",
                where=table or row.place,
                fix=None if column else f"name it: {_OPTIONS.get(field, '--text-column')} NAME",
            )  # fmt: skip
    return found["text"] if set(found) == {"text"} else found
