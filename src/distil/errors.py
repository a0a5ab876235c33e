"""Every error that distil raises on purpose, and how it is worded.

An error says what is wrong and, where they are known, what was expected, what was
found, where, and what to do.  The parts stay available as attributes, so that a
program need not parse the text.
"""

from __future__ import annotations

from reprlib import Repr
from typing import Any, Self

_MAX_NAME_IN_MESSAGE = 200
_REPR = Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = _MAX_NAME_IN_MESSAGE

_PARTS = ("expected", "found", "where", "fix")


class DistilError(Exception):
    """Base of all errors raised by distil.

    Args:
        problem: One sentence without a full stop: what is wrong.
        expected: What would have been right.
        found: What was there instead.
        where: The file, weight, argument or row concerned.
        fix: What the reader can do about it.

    Attributes:
        shared: Whether all of those who train together have it, so that one may speak for all.
    """

    shared = False

    def __init__(
        self,
        problem: str,
        *,
        expected: Any = None,
        found: Any = None,
        where: Any = None,
        fix: str | None = None,
    ) -> None:
        self.problem = problem
        self.expected = expected
        self.found = found
        self.where = where
        self.fix = fix
        # Exception.args holds the finished text: it survives pickling between processes.
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.problem]
        for part in _PARTS:
            value = getattr(self, part)
            if value is not None:
                lines.append(f"  {part + ':':<9} {value}")
        return "\n".join(lines)

    def at(self, where: Any) -> Self:
        """This error, with the place (a file, say) put before the one it names."""
        place = f"{where}: {self.where}" if self.where is not None else where
        parts = {"expected": self.expected, "found": self.found, "where": place, "fix": self.fix}
        return type(self)(self.problem, **parts)


class InputError(DistilError, ValueError):
    """Arguments of a model, a tokenizer or a function do not fit together."""


class ConfigError(DistilError, ValueError):
    """A configuration field has the wrong type or an impossible value."""


class TokenizerError(DistilError, ValueError):
    """A tokenizer's files are missing or broken, or its options contradict each other."""


class CheckpointError(DistilError, ValueError):
    """A checkpoint cannot be read, is damaged, or does not fit the model."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """No checkpoint is where the name says."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint asks for something that data must not do (run code, leave its folder)."""


class WeightsError(CheckpointError):
    """The weights in a checkpoint are not those that the model needs."""


class HubError(DistilError, OSError):
    """The hub could not be reached, or does not have what was asked for."""


class FrameworkError(DistilError, ImportError):
    """The framework asked for is unknown, or not installed."""


def not_installed(
    package: str, *, where: Any, extra: str | None = None, use: str = "", fix: str | None = None
) -> FrameworkError:
    """The error for a package that something needs and that is not installed.

    Args:
        package: What is missing.
        where: What asked for it.
        extra: The extra of distil that brings it.
        use: What it is needed for.
        fix: What else to do, where an extra does not bring it.
    """
    return FrameworkError(
        f"{package} is not installed" + (f"; it is needed to {use}" if use else ""),
        where=where, fix=fix or f'pip install "distil[{extra}]"',
    )  # fmt: skip


class TrainingError(DistilError, RuntimeError):
    """Training cannot go on, or cannot be gone on with."""

    shared = True


class CheckpointWarning(UserWarning):
    """A checkpoint was loaded, but some of its weights, or of the model's, found no partner."""


class FallbackWarning(UserWarning):
    """What was asked for cannot be had on this machine, and something slower stands in for it."""


def shown(value: Any) -> str:
    """`value` as Python writes it, short enough for a message however large and deep it is."""
    return _REPR.repr(value)


def shorten(text: str) -> str:
    """`text` fit for a message: on one line, printable, and not of absurd length."""
    characters = text[:_MAX_NAME_IN_MESSAGE]
    start = "".join(one if " " <= one <= "~" else "?" for one in characters)
    if len(text) > _MAX_NAME_IN_MESSAGE:
        return f"{start}... ({len(text)} characters)"
    return start
