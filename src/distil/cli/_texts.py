"""Rows of texts from files: a text a line, a JSON document a line, or a table; or from stdin.

Files are read as rows are asked for, however long they are.  A row that cannot be read is an
`InputError` in its place, which names file and line; what follows it can still be read.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import Any, BinaryIO, TypeVar

from distil.errors import InputError

FORMATS = ("lines", "jsonl", "csv", "tsv")
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}

# Characters of the longest field of a table; a quote that is never closed makes one.
_LONGEST_FIELD = 2**24

Result = TypeVar("Result")

# Line and row; a row is a string, a table of strings by name, or what is wrong with it.
Rows = Iterator[tuple[int, Any]]


@dataclass
class TextFile:
    """A file of texts.

    Args:
        path: The file; None or "-" is stdin.
        format: One of `FORMATS`; None goes by the suffix of the file's name.

    Attributes:
        where: Its name in errors.
        size: Its bytes; None where that is not known.
        position: Bytes read so far.

    Raises:
        InputError: There is no such file.
    """

    path: Path | None
    format: str | None = None

    def __post_init__(self) -> None:
        stdin = self.path is None or str(self.path) == "-"
        self.where = "stdin" if stdin else str(self.path)
        if self.format is None:
            self.format = _SUFFIXES.get(Path(self.where).suffix.lower(), "lines")
        self.position = 0
        self.size: int | None = None
        self._stream: BinaryIO | None = None
        if not stdin:
            self._try(self._look)

    def _look(self) -> None:
        found = Path(self.where).stat()
        if S_ISDIR(found.st_mode):
            raise IsADirectoryError("it is a folder")
        # A pipe has no size.
        self.size = found.st_size or None

    def _open(self) -> BinaryIO:
        return sys.stdin.buffer if self.where == "stdin" else Path(self.where).open("rb")

    def _try(self, act: Callable[[], Result]) -> Result:
        try:
            return act()
        except OSError as error:
            raise InputError(
                "texts cannot be read", expected="a file", found=error, where=self.where
            ) from None

    def close(self) -> None:
        """Close it, wherever reading has come to."""
        if self._stream is not None:
            self._stream.close()

    def place(self, line: int) -> str:
        """The name of a row in errors."""
        return f"{self.where}:{line}"

    def rows(self, columns: Mapping[str, str | None]) -> Rows:
        """Lines and rows.

        Args:
            columns: The fields that a row is to have, and the columns (of jsonl, the names)
                that hold them.  None for a column: that of the field's own name; for the first
                field also the only one there is.  A field without a column is left out.

        Raises:
            InputError: The file cannot be opened, or a table has no such column.
        """
        with self._try(self._open) as self._stream:
            if self.format == "lines":
                yield from self._texts()
            elif self.format == "jsonl":
                yield from self._documents(columns)
            else:
                yield from self._table(columns)

    def _lines(self) -> Rows:
        """Lines with their ends, blank ones too."""
        for number, data in enumerate(self._stream, start=1):
            self.position += len(data)
            try:
                # A byte order mark is no part of the first text.
                yield number, data.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                yield number, self._not_utf8(number, error)

    def _texts(self) -> Rows:
        for number, line in self._lines():
            if isinstance(line, InputError):
                yield number, line
            elif line.strip():
                yield number, line.rstrip("\r\n")

    def _documents(self, columns: Mapping[str, str | None]) -> Rows:
        for number, line in self._lines():
            if isinstance(line, InputError):
                yield number, line
            elif line.strip():
                try:
                    document = json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield (
                        number,
                        InputError("this line is not JSON", found=error, where=self.place(number)),
                    )
                    continue
                yield number, self._of_document(document, columns, number)

    def _of_document(self, document: Any, columns: Mapping[str, str | None], line: int) -> Any:
        if not isinstance(document, dict):
            # A mere string is a text; anything else is refused as one.
            return document
        row = {}
        for field, column in columns.items():
            name = column or field
            if name not in document:
                if column is None and field != next(iter(columns)):
                    continue
                return InputError(
                    "this row lacks a field", expected=repr(name), where=self.place(line),
                    found=", ".join(map(repr, document)) or "none",
                    fix=None if column else _advice(field),
                )  # fmt: skip
            row[field] = document[name]
        return _row(row)

    def _table(self, columns: Mapping[str, str | None]) -> Rows:
        # Bytes that are not UTF-8 are let through the reader, and found in its fields.
        lines = (self._counted(line) for line in self._stream)
        csv.field_size_limit(_LONGEST_FIELD)
        if self.format == "tsv":
            reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        else:
            reader = csv.reader(lines)
        header = next(reader, [])
        header[:1] = [name.removeprefix("\ufeff") for name in header[:1]]
        places = self._places(header, columns)
        while True:
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield (
                    reader.line_num,
                    InputError(
                        "this row is no row of a table",
                        found=error,
                        where=self.place(reader.line_num),
                    ),
                )
                continue
            line = reader.line_num
            if not values:  # a blank line
                continue
            if len(values) != len(header):
                yield line, InputError(
                    "this row has another number of columns",
                    expected=f"{len(header)}, as the first", found=len(values),
                    where=self.place(line),
                )  # fmt: skip
                continue
            row = {field: values[place] for field, place in places.items()}
            try:
                for value in row.values():
                    value.encode()
            except UnicodeEncodeError as error:
                yield line, self._not_utf8(line, error)
                continue
            yield line, _row(row)

    def _counted(self, data: bytes) -> str:
        self.position += len(data)
        return data.decode("utf-8", errors="surrogateescape")

    def _places(self, header: list[str], columns: Mapping[str, str | None]) -> dict[str, int]:
        """Which column holds a field."""
        places = {}
        for field, column in columns.items():
            first = field == next(iter(columns))
            name = column or (header[0] if first and len(header) == 1 else field)
            if name in header:
                places[field] = header.index(name)
            elif column or first:
                raise InputError(
                    "there is no such column", expected=repr(name), where=self.place(1),
                    found=", ".join(map(repr, header)) or "none",
                    fix=None if column else _advice(field),
                )  # fmt: skip
        return places

    def _not_utf8(self, line: int, error: UnicodeError) -> InputError:
        return InputError(
            "this line is not UTF-8", found=error, where=self.place(line),
            fix="convert the file: iconv -f ENCODING -t UTF-8",
        )  # fmt: skip


def read_lines(path: Path | None) -> list[str]:
    """The lines of a file that are not blank.

    Args:
        path: The file; None or "-" is stdin.

    Raises:
        InputError: It cannot be read, is not UTF-8, or has nothing but blank lines.
    """
    file = TextFile(path, "lines")
    texts = []
    with closing(file):
        for _, row in file.rows({}):
            if isinstance(row, InputError):
                raise row
            texts.append(row)
    if not texts:
        raise InputError("there is no text", expected="a text a line", where=file.where)
    return texts


def _row(fields: dict[str, Any]) -> Any:
    """A text alone is no table."""
    return fields["text"] if set(fields) == {"text"} else fields


def _advice(field: str) -> str:
    option = {"text_pair": "--pair-column", "context": "--context-column",
              "choices": "--choices-column"}.get(field, "--text-column")  # fmt: skip
    return f"name it: {option} COLUMN"
