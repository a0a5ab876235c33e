"""Rows of whatever people have them in: files, lists, frames, Arrow tables, data sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from distil.errors import InputError, shown
from distil.reading.files import Row, RowFile
from distil.reading.formats import rows_of


def rows_from(data: Any) -> Iterator[Row]:
    """The rows of a file or of a table in memory, in order.

    Args:
        data: A file's name; a pandas or polars frame; an Arrow table; a data set of the package
            `datasets`; a list, or anything else to iterate over, of dicts.

    Raises:
        InputError: It is none of these, or a row is no dict.
    """
    if isinstance(data, str | Path | RowFile):
        yield from rows_of(data if isinstance(data, RowFile) else RowFile(data))
        return
    for number, values in enumerate(_values(data), start=1):
        place = f"row {number}"
        if not isinstance(values, Mapping):
            raise InputError(
                "row is not a mapping from column to value",
                expected="a dict",
                found=shown(values),
                where=place,
            )
        yield Row(values, place, number)


def _values(data: Any) -> Iterable[Any]:
    """The rows as dicts, by what the kinds of table there are can do."""
    kind = type(data).__module__.partition(".")[0]
    if kind == "pandas":
        return (dict(zip(data.columns, row, strict=True)) for row in data.itertuples(index=False))
    if kind == "polars":
        found: Iterable[Any] = data.iter_rows(named=True)
        return found
    if kind == "pyarrow":
        return (row for batch in data.to_batches() for row in batch.to_pylist())
    if isinstance(data, Mapping) or not isinstance(data, Iterable):
        raise InputError(
            "data holds no rows", expected="a file's name, a frame, or a list of dicts",
            found=type(data).__name__, where="data",
            fix="of a DatasetDict, pass one split" if isinstance(data, Mapping) else None,
        )  # fmt: skip
    return data
