"""Rows of parquet files and of data sets on the hub, their classes by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distil.errors import InputError, not_installed
from distil.reading.files import Row, RowFile

_ROWS_AT_ONCE = 1024


def parquet(file: RowFile) -> Iterator[Row]:
    """The rows of a parquet file.

    Raises:
        FrameworkError: pyarrow is not installed.
        InputError: The file cannot be read.
    """
    try:
        import pyarrow.parquet  # noqa: PLC0415 - optional
    except ImportError:
        raise not_installed(
            "pyarrow", where=file.where, extra="datasets", use="read parquet files"
        ) from None
    number = 0
    try:
        table = pyarrow.parquet.ParquetFile(file.where)
        names = _names_in(table.schema_arrow.metadata or {})
        for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE):
            for values in batch.to_pylist():
                number += 1
                yield Row(_with_names(values, names), file.place(number), number)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise file.unreadable(error) from None


def data_set(name: str, subset: str | None, split: str) -> Iterator[Row]:
    """The rows of a data set on the hub, through the package `datasets`.

    Raises:
        FrameworkError: The package is not installed.
        InputError: The data set cannot be loaded.
    """
    where = f"{name}, {split}"
    try:
        import datasets  # noqa: PLC0415 - optional
    except ImportError:
        raise not_installed(
            "datasets", where=where, extra="datasets", use="read data sets on the hub"
        ) from None
    try:
        found = datasets.load_dataset(name, subset, split=split)
    except Exception as error:  # of many kinds
        raise InputError("data set cannot be loaded", found=error, where=where) from None
    columns = {column: getattr(one, "feature", one) for column, one in found.features.items()}
    names = {c: one.names for c, one in columns.items() if isinstance(one, datasets.ClassLabel)}
    for number, values in enumerate(found, start=1):
        yield Row(_with_names(values, names), f"{where}, row {number}", number)


def _names_in(metadata: Mapping[bytes, bytes]) -> Mapping[str, Sequence[str]]:
    """Names of the classes by column, as the package `datasets` writes them into its files."""
    features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    columns = {column: feature.get("feature", feature) for column, feature in features.items()}
    return {column: one["names"] for column, one in columns.items() if one.get("names")}


def _with_names(values: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A row with the names of its classes in place of their numbers."""
    return {
        column: _named(value, names[column]) if column in names else value
        for column, value in values.items()
    }


def _named(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    # Hidden labels of test splits are -1.
    return names[value] if value is not None and value >= 0 else None
