"""The results file of `distil predict`: written row by row, never over another file."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TextIO

from distil.errors import InputError


class ResultsFile:
    """A file with one result a line, created when the first is written.

    Args:
        path: The file.
        source: The file that the rows are read from, if any.
        force: Whether an existing file may be replaced.

    Attributes:
        written: Number of lines written.
        last: The place of the last line's row.

    Raises:
        InputError: The file is the source itself, or exists already.
    """

    def __init__(self, path: Path, source: Path | None, *, force: bool) -> None:
        self._path, self._source, self._force = path, source, force
        self.written = 0
        self.last = ""
        self._file: TextIO | None = None
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError) as error:
            raise self._problem(error) from None
        self._check(found)

    def _check(self, found: os.stat_result) -> None:
        """Refuse to overwrite a file; pipes and terminals have nothing to lose."""
        source = None if self._source is None else self._source.stat()
        if source is not None and os.path.samestat(found, source):
            raise InputError(
                "results would overwrite the texts", expected="another file", where=self._path,
                found=f"the same file as {self._source}", fix="write them to another file",
            )  # fmt: skip
        if stat.S_ISREG(found.st_mode) and not self._force:
            raise InputError(
                "output file already exists", found=f"{found.st_size:,} bytes", where=self._path,
                fix="choose another file, or overwrite this one with --force",
            )  # fmt: skip

    def write(self, line: str, place: str) -> None:
        """Add a result.

        Args:
            line: The result as JSON.
            place: The name of its row.

        Raises:
            InputError: The file cannot be opened or written.
        """
        try:
            if self._file is None:
                self._file = self._open()
            # Line-buffered: what is written stays written.
            self._file.write(line + "\n")
        except OSError as error:
            raise self._problem(error) from None
        self.written, self.last = self.written + 1, place

    def _open(self) -> TextIO:
        """The file, emptied only once it is known not to be the source."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0))
        found = os.fstat(descriptor)
        try:
            if found.st_size:
                self._check(found)
            if stat.S_ISREG(found.st_mode):
                os.ftruncate(descriptor, 0)
        except BaseException:
            os.close(descriptor)
            raise
        return open(descriptor, "w", encoding="utf-8", buffering=1)  # noqa: PTH123 - of a number

    def close(self) -> None:
        """Flush it to disk and close it.

        Raises:
            InputError: The disk is full.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                os.fsync(file.fileno())
            file.close()
        except OSError as error:
            raise self._problem(error) from None

    def _problem(self, error: Exception) -> InputError:
        kept = f"the first {self.written:,} are safe, up to {self.last}" if self.written else None
        return InputError("results cannot be written", found=error, where=self._path, fix=kept)
