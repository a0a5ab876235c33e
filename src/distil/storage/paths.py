"""Paths and names as callers pass them: refused by name where no file could be called so."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from distil.errors import InputError, shown


def path_of(value: Any, where: str) -> Path:
    """`value` as a path; whether something is there does not matter.

    Args:
        value: What was passed.
        where: Name of the argument.

    Raises:
        InputError: It is neither a string nor a path, or no file can have such a name.
    """
    check_name(value, where)
    if value == "":  # which pathlib takes for the working directory
        raise _not_a_path("''", where)
    try:
        path = Path(value)
        path.lstat()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            return path
        raise _not_a_path(error.strerror, where) from None
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise _not_a_path(error, where) from None
    return path


def check_name(value: Any, where: str) -> None:
    """Refuse what is neither a string nor a path.

    Raises:
        InputError: It is something else.
    """
    if not isinstance(value, str | os.PathLike):
        raise _not_a_path(f"{type(value).__name__} {shown(value)}", where)


def is_folder(name: str | os.PathLike[str]) -> bool:
    """Whether there is a folder of that name; False for what no folder can be called."""
    return os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises where a name is too long


def is_file(name: str | os.PathLike[str]) -> bool:
    """Whether there is a file of that name; False for what no file can be called."""
    return os.path.isfile(name)  # noqa: PTH113 - likewise


def _not_a_path(found: Any, where: str) -> InputError:
    return InputError(
        "not a name or a path", expected="a string or a pathlib.Path", found=found, where=where
    )
