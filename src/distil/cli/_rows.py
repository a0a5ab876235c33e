"""The rows of `distil predict`: those of the command line, then those of a file."""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from distil.cli._arguments import columns_of
from distil.errors import InputError
from distil.reading import Row, RowFile, rows_of, table_of, to_input


class Rows:
    """Numbers and rows, to be iterated over once; remembers rows until they are predicted.

    Numbers count texts of the command line from 0, then go on by the rows of the file: in every
    format its first row is 1, whatever line it is on.

    Args:
        task: Of the pipeline.
        arguments: Those of the command.
        file: Where further texts come from, if anywhere.

    Attributes:
        kept: Columns of the row that `next_predicted` gave last, to be repeated beside its result.
    """

    def __init__(self, task: str, arguments: Namespace, file: RowFile | None) -> None:
        self._task, self._arguments, self._file = task, arguments, file
        self._first = len(arguments.texts)
        self._pending: deque[tuple[int, Any, Mapping[str, Any]]] = deque()
        self._places: dict[int, str] = {}
        self._number = -1
        self._predicted = 0
        self.kept: Mapping[str, Any] = {}

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        for number, row, kept in self._read():
            self._pending.append((number, row, kept))
            yield number, row

    def next_predicted(self) -> Any:
        """The first row that was not given by this yet."""
        self._predicted += 1
        self._places.pop(self._number, None)
        self._number, row, self.kept = self._pending.popleft()
        return row

    @property
    def total(self) -> int | None:
        """What `position` will be at the end; None if that is not known."""
        return self._first if self._file is None else self._file.size

    @property
    def position(self) -> int:
        """How far it is: rows predicted; with a file, bytes read."""
        return self._predicted if self._file is None else self._file.position

    def place(self, number: int) -> str:
        """The name of a row that was predicted last, or is still to be: of a file, its line."""
        return self._places.get(number, f"texts[{number}]")

    def count(self, number: int) -> int:
        """The number of a row as people count: on the command line, or in the file, from 1."""
        return number + 1 if number < self._first else number - self._first

    def _read(self) -> Iterator[tuple[int, Any, Mapping[str, Any]]]:
        # `distil --help` needs none of these.
        from distil.prediction.files import fields_read  # noqa: PLC0415
        from distil.prediction.rows import fields_of, make_rows, seconds  # noqa: PLC0415

        arguments = self._arguments
        given = {name: getattr(arguments, name) for name in ("pair", "context", "choices")}
        if arguments.texts:
            rows = make_rows(self._task, arguments.texts, given)
            yield from ((number, row, {}) for number, row in enumerate(rows))
        if self._file is None:
            return
        first, second = fields_of(self._task)
        for_all = seconds(self._task, given)
        columns = fields_read(self._task, columns_of(arguments), is_given=for_all is not None)
        names = self._names_to_keep(columns)
        table = table_of(self._file)
        for number, found in enumerate(rows_of(self._file), self._first + 1):
            self._places[number] = found.place
            row: Any
            kept: Mapping[str, Any] = {}
            try:
                row = to_input(found, columns, table=table)
                kept = {name: kept_value(found, name) for name in names}
            except InputError as problem:
                if problem.where == self._file.where:  # the table's, and so of every row
                    raise
                row = problem
            if for_all is not None and not isinstance(row, InputError):
                text = row[first] if isinstance(row, Mapping) else row
                row = {first: text, str(second): for_all[0]}
            yield number, row, kept

    def _names_to_keep(self, columns: Mapping[str, str | None]) -> list[str]:
        """The columns that --keep names.

        Raises:
            InputError: A result has something else of that name.
        """
        names = [] if self._arguments.keep is None else self._arguments.keep.split(",")
        own = {"row", "result"} | {
            field for field, column in columns.items() if column not in (None, field)
        }
        for name in names:
            if not name or name in own:
                raise InputError(
                    "column cannot be kept", found=repr(name), where="--keep",
                    expected="a column of the file that is called unlike those of results",
                )  # fmt: skip
        return names


def kept_value(row: Row, name: str) -> Any:
    """What a row has in a column.

    Raises:
        InputError: It has no such column.
    """
    if name not in row.values:
        raise row.problem(
            "there is no such column", expected=repr(name), found=", ".join(row.values),
            fix="see --keep",
        )  # fmt: skip
    return row.values[name]
