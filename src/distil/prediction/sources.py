"""The input of a job: data files, read part by part as Arrow tables."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from itertools import islice
from pathlib import Path
from typing import Any

from distil.errors import InputError, shown
from distil.prediction.columns import arrow
from distil.reading import Row, RowFile, format_of, rows_of, table_of, to_input
from distil.storage.digests import digest_of

# To identify the files: bytes read from all of them together, and from each at least.
_SAMPLED, _SAMPLED_OF_EACH = 1024**3, 1024**2


@dataclass(frozen=True, kw_only=True)
class Part:
    """Consecutive rows of a file.

    Attributes:
        number: Index of the part in its file, from 0.
        numbers: Row numbers in the file, from 1.
        table: The rows, with the columns of the file.
        inputs: For each row the pipeline's input, or the error if it cannot be read.
        last: Whether this is the last part of the file.
    """

    number: int
    numbers: Sequence[int]
    table: Any
    inputs: Sequence[str | dict[str, Any] | InputError]
    last: bool


class Source:
    """Files of one format with the same columns.

    The columns of parquet files keep their types.  In other formats strings stay strings, any other
    value becomes a string of JSON, and the columns are those of the first rows.

    Args:
        given: A file, a folder, or a pattern such as "reviews/*.csv".
        format: Of the files; None goes by their names.
        columns: Columns by the pipeline's field names; see `to_input`.
        rows: In each part.

    Attributes:
        files: The files, in the order of their names.
        names: Their paths relative to their common folder.
        rows: In each part.
        counts: Number of rows of each file; None if only reading it tells.
        part_counts: Likewise, of its parts.

    Raises:
        InputError: There are no files, their formats or columns differ, or a column is missing.
        FrameworkError: pyarrow is not installed.
    """

    def __init__(
        self,
        given: str | Path,
        *,
        format: str | None,  # noqa: A002 - as users call it
        columns: Mapping[str, str | None],
        rows: int,
    ) -> None:
        self._pa, self.rows = arrow(), rows
        self.files = [RowFile(path, format) for path in _paths(given, format)]
        kinds = {file.format for file in self.files}
        if len(kinds) > 1:
            raise InputError(
                "files of different formats", expected="one format", found=", ".join(sorted(kinds)),
                where=given, fix="select one format with a pattern, such as FOLDER/*.csv",
            )  # fmt: skip
        self._is_parquet = kinds == {"parquet"}
        top = Path(os.path.commonpath([Path(file.where).parent for file in self.files]))
        self.names = [Path(file.where).relative_to(top).as_posix() for file in self.files]
        self._schema, self.counts = (
            self._parquet_schema() if self._is_parquet else self._schema_of()
        )
        self.part_counts = [None if one is None else -(-one // rows) for one in self.counts]
        names: Sequence[str] = self._schema.names
        first = next(iter(columns))
        if columns[first] is None and len(names) == 1 and table_of(self.files[0]):
            columns = {**columns, first: names[0]}
        self._columns = columns
        if names and table_of(self.files[0]):
            to_input(Row(dict.fromkeys(names)), columns, table=self.files[0].where)

    @property
    def column_names(self) -> Sequence[str]:
        """Names of the input columns."""
        names: Sequence[str] = self._schema.names
        return names

    def identity(self) -> dict[str, Any]:
        """What identifies the files: names, sizes, digests of samples, and columns.

        Raises:
            InputError: A file cannot be read.
        """
        whole = max(_SAMPLED // len(self.files), _SAMPLED_OF_EACH)
        found = {}
        for name, file in zip(self.names, self.files, strict=True):
            try:
                found[name] = digest_of(Path(file.where), whole=whole)
            except OSError as error:
                raise file.unreadable(error) from None
        return {"files": found, "columns": {one.name: str(one.type) for one in self._schema}}

    def parts(self, number: int, wanted: Callable[[int], bool]) -> Iterator[Part]:
        """The wanted parts of a file, in order.

        Args:
            number: Index of the file.
            wanted: Whether a part is wanted, by its index.

        Raises:
            InputError: The file cannot be read.
        """
        if self._is_parquet:
            yield from self._parquet_parts(number, wanted)
            return
        file = self.files[number]
        rows = rows_of(file)
        head = next(rows, None)
        part = 0
        while head is not None:
            chunk = [head, *islice(rows, self.rows - 1)]
            head = next(rows, None)
            if wanted(part):
                kept = [self._checked(row) for row in chunk]
                yield Part(
                    number=part, numbers=[row.number for row in kept], table=self._table(kept),
                    inputs=[self._input(row, file) for row in kept], last=head is None,
                )  # fmt: skip
            part += 1

    def _schema_of(self) -> tuple[Any, list[int | None]]:
        """The columns of text formats, which must be the same in all tables."""
        names: dict[str, None] = {}
        for number, file in enumerate(self.files):
            if number and not table_of(file):
                break
            first = [row.values for row in islice(rows_of(file), 1 if number else self.rows)]
            found = dict.fromkeys(name for values in first for name in values)
            if number and names and found and found.keys() != names.keys():
                raise self._other_columns(file, found)
            names = names or found
        schema = self._pa.schema([(name, self._pa.string()) for name in names])
        return schema, [None] * len(self.files)

    def _parquet_schema(self) -> tuple[Any, list[int | None]]:
        schemas, counts = [], []
        for file in self.files:
            try:
                with self._pa.parquet.ParquetFile(file.where) as reader:
                    schemas.append(reader.schema_arrow)
                    counts.append(reader.metadata.num_rows)
            except (OSError, ValueError, self._pa.ArrowException) as error:
                raise file.unreadable(error) from None
            if not schemas[-1].equals(schemas[0]):
                raise self._other_columns(file, [f"{one.name} {one.type}" for one in schemas[-1]])
        return schemas[0], counts

    def _other_columns(self, file: RowFile, found: Any) -> InputError:
        return InputError(
            "files have different columns", expected=f"those of {self.files[0].where}",
            found=", ".join(found), where=file.where, fix="run predict on each separately",
        )  # fmt: skip

    def _checked(self, row: Row) -> Row:
        """The row, or an error in its place if it has a field that is not a column."""
        more = [name for name in row.values if name not in self._schema.names]
        if not more:
            return row
        known = {name: row.values[name] for name in row.values if name not in more}
        problem = row.problem(
            "the row has a field that the first rows lack", found=", ".join(map(shown, more))
        )
        return Row(known, row.place, row.number, problem)

    def _input(self, row: Row, file: RowFile) -> str | dict[str, Any] | InputError:
        try:
            return to_input(row, self._columns, table=table_of(file))
        except InputError as problem:
            return problem

    def _table(self, rows: Sequence[Row]) -> Any:
        columns = [
            self._pa.array([_cell(row.values.get(name)) for row in rows], self._pa.string())
            for name in self._schema.names
        ]
        if not columns:  # not a row of the first ones can be read
            raise rows[0].error or InputError("the rows have no column", where=rows[0].place)
        return self._pa.Table.from_arrays(columns, schema=self._schema)

    def _parquet_parts(self, number: int, wanted: Callable[[int], bool]) -> Iterator[Part]:
        file, count = self.files[number], self.part_counts[number] or 0
        numbers = [part for part in range(count) if wanted(part)]
        if not numbers:
            return
        try:
            with self._pa.parquet.ParquetFile(file.where) as reader:
                for part, table in self._slices(reader, numbers[0]):
                    if wanted(part):
                        first = part * self.rows + 1
                        yield Part(
                            number=part, numbers=range(first, first + len(table)), table=table,
                            inputs=self._inputs(table, first, file), last=part + 1 == count,
                        )  # fmt: skip
                    if part == numbers[-1]:
                        return
        except (OSError, ValueError, self._pa.ArrowException) as error:
            if isinstance(error, InputError):
                raise
            raise file.unreadable(error) from None

    def _slices(self, reader: Any, part: int) -> Iterator[tuple[int, Any]]:
        """Parts from one on: row groups before it are not read."""
        skip, groups = part * self.rows, list(range(reader.num_row_groups))
        while groups and skip >= reader.metadata.row_group(groups[0]).num_rows:
            skip -= reader.metadata.row_group(groups.pop(0)).num_rows
        held = self._schema.empty_table()
        for batch in reader.iter_batches(batch_size=self.rows, row_groups=groups):
            passed = min(skip, len(batch))
            skip -= passed
            rows = self._pa.Table.from_batches([batch.slice(passed)])
            held = self._pa.concat_tables([held, rows])
            while len(held) >= self.rows:
                yield part, held.slice(0, self.rows)
                held, part = held.slice(self.rows), part + 1
        if len(held):
            yield part, held

    def _inputs(self, table: Any, first: int, file: RowFile) -> Sequence[Any]:
        """What the pipeline takes, without reading columns that it takes nothing of."""
        needed = [column or field for field, column in self._columns.items()]
        some = table.select([name for name in table.column_names if name in needed])
        rows = enumerate(some.to_pylist(), start=first)
        return [self._input(Row(values, file.place(row), row), file) for row, values in rows]


def _paths(given: str | Path, format: str | None) -> list[Path]:  # noqa: A002
    path = Path(given)
    if path.is_dir():
        inner = [one for one in sorted(path.rglob("*")) if one.is_file() and _is_data(one, path)]
        other = [one for one in inner if format is None and format_of(one.name) is None]
        if other:
            raise InputError(
                "the folder holds a file that is not data", found=other[0], where=path,
                fix="select the files with a pattern, such as FOLDER/*.csv, or give their format",
            )  # fmt: skip
    elif has_magic(str(given)) and not path.exists():
        inner = [Path(one) for one in sorted(glob(str(given), recursive=True))]  # noqa: PTH207
        inner = [one for one in inner if one.is_file()]
    else:
        inner = [path]
        if str(given) == "-" or (path.exists() and not path.is_file()):
            raise InputError(
                "standard input and pipes cannot be processed part by part", where=given,
                expected="a file", fix="write the rows to a file first",
            )  # fmt: skip
    if not inner:
        raise InputError("no files found", expected="at least one", where=given)
    return inner


def _is_data(path: Path, folder: Path) -> bool:
    """Whether a file counts as data: hidden ones and names with _ in front do not."""
    return not any(part[0] in "._" for part in path.relative_to(folder).parts)


def _cell(value: Any) -> str | None:
    """A value as a table cell: strings as they are, anything else as JSON."""
    if value is None:
        return None
    if isinstance(value, str) and (value.isascii() or not _has_surrogate(value)):
        return value
    return json.dumps(value)


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= one <= "\udfff" for one in text)
