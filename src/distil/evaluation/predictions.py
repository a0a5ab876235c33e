"""A file of predictions: each row's right answer, and the model's."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distil.errors import InputError, not_installed
from distil.evaluation.judges import Judged
from distil.reading import Row
from distil.storage.files import atomic_write

Writer = Callable[[Row, Judged, Judged | None], None]

_COLUMNS = ("row", "expected", "predicted", "score", "other")
_ROWS_AT_ONCE = 4096


@contextmanager
def open_predictions(path: Path) -> Iterator[Writer]:
    """A function that writes a row; the file appears once all rows are written.

    Args:
        path: A .csv, .jsonl or .parquet file.

    Raises:
        InputError: The path has another suffix.
        FrameworkError: The file is parquet, and pyarrow is not installed.
    """
    writers = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if path.suffix not in writers:
        raise InputError(
            "unknown format for predictions", expected=" or ".join(writers),
            found=path.name, where="predictions",
        )  # fmt: skip
    with atomic_write(path) as temporary, writers[path.suffix](temporary) as write:

        def write_row(row: Row, judged: Judged, other: Judged | None) -> None:
            values = (
                row.number, judged.expected, judged.predicted, judged.numbers["score"],
                None if other is None else other.predicted,
            )  # fmt: skip
            write(dict(zip(_COLUMNS, values, strict=True)))

        yield write_row


@contextmanager
def _csv(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        yield lambda values: writer.writerow({k: _cell(v) for k, v in values.items()})


@contextmanager
def _jsonl(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda values: print(json.dumps(values, ensure_ascii=False), file=file)


@contextmanager
def _parquet(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    try:
        import pyarrow  # noqa: PLC0415 - optional
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise not_installed(
            "pyarrow", where="predictions", extra="datasets", use="write parquet files"
        ) from None
    text, number = pyarrow.string(), pyarrow.float64()
    types = (pyarrow.int64(), text, text, number, text)
    schema = pyarrow.schema(list(zip(_COLUMNS, types, strict=True)))
    waiting: list[dict[str, Any]] = []
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            writer.write_table(pyarrow.Table.from_pylist(waiting, schema=schema))
            waiting.clear()

        def write(values: dict[str, Any]) -> None:
            asis = ("row", "score")
            waiting.append({k: v if k in asis else _cell(v) for k, v in values.items()})
            if len(waiting) == _ROWS_AT_ONCE:
                flush()

        yield write
        flush()


def _cell(value: Any) -> Any:
    """A cell's value: strings as they are, anything else as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value)
