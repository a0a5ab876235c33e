"""Files of rows: what they are called, opened, and read line by line."""

from __future__ import annotations

import gzip
import stat
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from distil.errors import InputError

# Formats by what file names end in, before ".gz".
_SUFFIXES = {
    ".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet",
    ".txt": "text", ".conll": "conll", ".json": "squad",
}  # fmt: skip

# In bytes.  A cell, a paragraph or a sentence may have as many characters.
LONGEST_LINE = 16 * 1024 * 1024


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        values: By name of the column; none of a row that cannot be read.
        place: Its file and line, for errors: "train.tsv:7".
        number: Of its line (the last, where it has several), its question or its row, from 1.
        error: Why it cannot be read, or None.
    """

    values: Mapping[str, Any]
    place: str = ""
    number: int = 0
    error: InputError | None = None

    def problem(self, problem: str, **parts: Any) -> InputError:
        """The error for something wrong in this row."""
        return InputError(problem, where=self.place, **parts)


class RowFile:
    """A file of rows.

    Args:
        path: The file; None or "-" is stdin.
        format: "tsv", "csv", "jsonl", "parquet", "text", "conll" or "squad"; None goes by the
            suffix of the file's name, and is "text" where that says nothing.
        header: Names of the columns of a table that does not begin with them.
        quoting: Whether quotation marks enclose cells of a table; None: in csv, not in tsv.
        unit: What a row of text is: a "line", or a "paragraph" (up to a blank line).

    Attributes:
        where: Its name in errors.
        size: Its bytes; None where that is not known.

    Raises:
        InputError: There is no such file, or it is a folder or a device.
    """

    def __init__(
        self,
        path: str | Path | None,
        format: str | None = None,  # noqa: A002 - as users call it
        *,
        header: Sequence[str] | None = None,
        quoting: bool | None = None,
        unit: str = "line",
    ) -> None:
        self._stdin = path is None or str(path) == "-"
        self.where = "stdin" if self._stdin else str(path)
        self.format = format or format_of(self.where) or "text"
        self.header, self.unit = header, unit
        self.quoting = self.format == "csv" if quoting is None else quoting
        self.size: int | None = None
        self._raw: BinaryIO | None = None
        if not self._stdin:
            self._check_kind()

    def _check_kind(self) -> None:
        try:
            found = Path(self.where).stat()
        except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
            raise self.unreadable(error) from None
        # A pipe with a name is as good as stdin; a device may never end.
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device"
            raise self.unreadable(kind, expected="a file")
        self.size = found.st_size or None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes, decompressed.

        Raises:
            InputError: It cannot be opened.
        """
        try:
            raw = sys.stdin.buffer if self._stdin else Path(self.where).open("rb")  # noqa: SIM115
        except OSError as error:
            raise self.unreadable(error) from None
        self._raw = raw
        try:
            yield cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if self.where[-3:] == ".gz" else raw
        finally:
            self.close()

    def close(self) -> None:
        """Close it, wherever reading has come to."""
        if self._raw is not None and not self._stdin:
            self._raw.close()

    @property
    def position(self) -> int:
        """Bytes read so far, as they are on disk; 0 where that is not known."""
        if self._raw is None or self._raw.closed or self.size is None:
            return 0
        return self._raw.tell()

    def place(self, number: int) -> str:
        """The name of a row in errors."""
        unit = {"squad": ", question ", "parquet": ", row "}.get(self.format, ":")
        return f"{self.where}{unit}{number}"

    def unreadable(self, found: Any, line: int | None = None, **parts: Any) -> InputError:
        """The error for a file that cannot be read, or not beyond a line."""
        where = self.where if line is None else self.place(line)
        return InputError("file cannot be read", found=found, where=where, **parts)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Numbers and lines with their ends.

        Bytes that are not UTF-8 become surrogates, for `check_text` to find in the row that they
        are part of: it is that row which cannot be read, not the file.

        Raises:
            InputError: A line does not end, or the file cannot be read on.
        """
        number = 0
        with self.open() as file:
            try:
                while line := file.readline(LONGEST_LINE + 1):
                    number += 1
                    if len(line) > LONGEST_LINE:
                        raise self.unreadable(
                            "a longer one", number, expected=f"lines of {LONGEST_LINE:,} bytes",
                            fix="check that this is a text file",
                        )  # fmt: skip
                    # A byte order mark is no part of the first line.
                    codec = "utf-8-sig" if number == 1 else "utf-8"
                    yield number, line.decode(codec, errors="surrogateescape")
            except (OSError, EOFError, zlib.error) as error:
                raise self.unreadable(error, number + 1) from None

    def row(self, number: int, make: Callable[..., Mapping[str, Any]], *parts: Any) -> Row:
        """The row that `make` makes of its parts, or one with the error that it raises.

        Args:
            number: Of the row; the error may name another line in its `where`.
            make: Gives the values.
            *parts: What it is given.
        """
        try:
            return Row(make(*parts), self.place(number), number)
        except InputError as error:
            number = number if error.where is None else error.where
            error.where = None
            return Row({}, self.place(number), number, error.at(self.place(number)))


def format_of(name: str) -> str | None:
    """The format that the suffix of a file's name says, or None."""
    return _SUFFIXES.get(Path(name.removesuffix(".gz")).suffix.lower())


def check_text(text: str) -> None:
    """Refuse what was not UTF-8 in its file.

    Raises:
        InputError: It was not.
    """
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        byte = ord(text[error.start]) & 0xFF
        raise InputError(
            "not UTF-8", found=f"byte 0x{byte:02x} after {error.start:,} characters",
            fix="convert the file: iconv -f ENCODING -t UTF-8",
        ) from None  # fmt: skip
