"""Texts from a file, or from what is piped in."""

from __future__ import annotations

import sys
from pathlib import Path

from distil.common.errors import InputError


def read_lines(path: Path | None) -> list[str]:
    """The lines of a file that are not blank.

    Args:
        path: The file; None or "-" is stdin.

    Raises:
        InputError: It cannot be read, is not UTF-8, or has nothing but blank lines.
    """
    where = "stdin" if path is None or str(path) == "-" else str(path)
    try:
        data = sys.stdin.buffer.read() if where == "stdin" else Path(where).read_bytes()
        # A byte order mark is no part of the first text.
        lines = data.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "texts cannot be read",
            expected="a file of UTF-8 text, a text a line", found=error, where=where,
        ) from None  # fmt: skip
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise InputError("there is no text", expected="a text a line", where=where)
    return texts
