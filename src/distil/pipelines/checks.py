"""Checks of options, and warnings that name the caller's line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from distil.errors import InputError

_PACKAGE = "distil.pipelines"


def check_count(value: Any, where: str, *, least: int = 1) -> None:
    """Refuse what is not a whole number, or too small.

    Raises:
        InputError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(
            "not a possible number", expected=f"a whole number, at least {least}",
            found=repr(value), where=where,
        )  # fmt: skip


def check_choice(value: Any, choices: Iterable[str], where: str) -> None:
    """Refuse what is not one of several words.

    Raises:
        InputError: It is not.
    """
    if not isinstance(value, str) or value not in choices:
        raise InputError(
            f"unknown {where}", expected=" or ".join(choices), found=repr(value), where=where
        )


def check_unused(given: Mapping[str, Any]) -> None:
    """Refuse what would have no effect on a pipeline that is there already.

    Raises:
        InputError: Something is given.
    """
    for name, value in given.items():
        if value is not None:
            raise InputError(
                "a pipeline has this already", found=f"{name}={value!r}", where=name,
                fix="leave it out, or give the name of the model",
            )  # fmt: skip


def warn(message: str) -> None:
    """Warn of something in what a pipeline was given, at the line that asked for results."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals["__name__"].startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
