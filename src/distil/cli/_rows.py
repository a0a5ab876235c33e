"""The rows of `distil predict`: the texts of the command line, then the rows of a file."""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from distil.cli._arguments import columns_of
from distil.errors import InputError
from distil.reading import Row, RowFile, rows_of, table_of, to_input


class Rows:
    """Numbered rows, to be iterated over once; each is remembered until it is predicted.

    Texts of the command line are numbered from 0; the rows of the file follow.  `count` numbers
    both from 1, whatever line a row is on.

    Args:
        task: Of the pipeline.
        arguments: Those of the command.
        file: Where further texts come from, if anywhere.

    Attributes:
        kept: Columns that --keep names, of the row that `next_predicted` returned last.
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
        """The next row, in the order of predictions."""
        self._predicted += 1
        self._places.pop(self._number, None)
        self._number, row, self.kept = self._pending.popleft()
        return row

    @property
    def total(self) -> int | None:
        """The final value of `position`; None if that is unknown."""
        return self._first if self._file is None else self._file.size

    @property
    def position(self) -> int:
        """Progress: rows predicted; with a file, bytes read."""
        return self._predicted if self._file is None else self._file.position

    def place(self, number: int) -> str:
        """The name of a row that was not predicted before the last one: in a file, its line."""
        return self._places.get(number, f"texts[{number}]")

    def count(self, number: int) -> int:
        """A row's number on the command line, or in the file, from 1."""
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
            InputError: Results have a field of that name themselves.
        """
        names = [] if self._arguments.keep is None else self._arguments.keep.split(",")
        own = {"row", "result"} | {
            field for field, column in columns.items() if column not in (None, field)
        }
        for name in names:
            if not name or name in own:
                raise InputError(
                    "column cannot be kept", found=repr(name), where="--keep",
                    expected="a column whose name is not that of a result's field",
                )  # fmt: skip
        return names


def kept_value(row: Row, name: str) -> Any:
    """A row's value in a column.

    Raises:
        InputError: There is no such column.
    """
    if name not in row.values:
        raise row.problem(
            "there is no such column", expected=repr(name), found=", ".join(row.values),
            fix="see --keep",
        )  # fmt: skip
    return row.values[name]
