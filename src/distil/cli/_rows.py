"""The rows of `distil predict`: those of the command line, then those of a file."""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from distil.errors import InputError
from distil.reading import RowFile, to_inputs


class Rows:
    """Numbers and rows, to be iterated over once; remembers rows until they are predicted.

    Numbers count texts of the command line from 0, then go on by lines of the file.

    Args:
        task: Of the pipeline.
        arguments: Those of the command.
        file: Where further texts come from, if anywhere.
    """

    def __init__(self, task: str, arguments: Namespace, file: RowFile | None) -> None:
        self._task, self._arguments, self._file = task, arguments, file
        self._first = len(arguments.texts)
        self._pending: deque[Any] = deque()
        self._predicted = 0

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        for number, row in self._read():
            self._pending.append(row)
            yield number, row

    def next_predicted(self) -> Any:
        """The first row that was not given by this yet."""
        self._predicted += 1
        return self._pending.popleft()

    @property
    def total(self) -> int | None:
        """What `position` will be at the end; None if that is not known."""
        return self._first if self._file is None else self._file.size

    @property
    def position(self) -> int:
        """How far it is: rows predicted; with a file, bytes read."""
        return self._predicted if self._file is None else self._file.position

    def place(self, number: int) -> str:
        """The name of the row with a number."""
        if number < self._first or self._file is None:
            return f"texts[{number}]"
        return self._file.place(self.count(number))

    def count(self, number: int) -> int:
        """The number of a row as people count: on the command line, or the line of the file."""
        return number + 1 if number < self._first else number - self._first

    def _read(self) -> Iterator[tuple[int, Any]]:
        from distil.prediction.rows import (  # noqa: PLC0415 - `distil --help` needs none of it
            fields_of,
            make_rows,
            seconds,
        )

        arguments = self._arguments
        given = {name: getattr(arguments, name) for name in ("pair", "context", "choices")}
        if arguments.texts:
            yield from enumerate(make_rows(self._task, arguments.texts, given))
        if self._file is None:
            return
        first, second = fields_of(self._task)
        for_all = seconds(self._task, given)
        columns = {first: arguments.text_column}
        if second is not None and for_all is None:
            columns[second] = {
                "text_pair": arguments.pair_column,
                "context": arguments.context_column,
                "choices": arguments.choices_column,
            }[second]
        for line, row in to_inputs(self._file, columns):
            if for_all is not None and not isinstance(row, InputError):
                text = row[first] if isinstance(row, Mapping) else row
                row = {first: text, str(second): for_all[0]}  # noqa: PLW2901
            yield self._first + line, row
