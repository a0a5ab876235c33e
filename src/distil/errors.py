"""Every error that distil raises on purpose, and how it is worded.

An error says what is wrong and, where they are known, what was expected, what was
found, where, and what to do.  The parts stay available as attributes, so that a
program need not parse the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from reprlib import Repr
from typing import Any, Self

_MAX_NAME_IN_MESSAGE = 200

# Characters that would move a terminal's cursor, set its title or clipboard, or reverse the
# reading direction, or that cannot be encoded: C0 and C1 controls (except tab and line feed),
# line separators, bidirectional marks, and lone surrogates.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)

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
        shared: Whether every worker of a training has it, so that one can report it for all.
    """

    shared = False

    # Keras rewrites the text of an error that passes through a layer, adding all arguments of
    # the call, unless the error has this attribute.  Keras has no public way to say so.
    _keras_call_info_injected = True

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
        return printable("\n".join(lines))

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
    """Training had to stop, or cannot be resumed."""

    shared = True


class ExportError(DistilError, RuntimeError):
    """An export does not give what the plain model gives; nothing of it is left.

    Attributes:
        exported: What was found; None where its runtime could not even run it.
    """

    exported: Any = None


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or the signal by which systems end a process; what was done by then is safe.

    Args:
        number: Of the signal.
        message: What is safe, and how to continue.
    """

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.number = number


class CheckpointWarning(UserWarning):
    """A checkpoint was loaded, but its weights are not exactly those of the model."""


class FallbackWarning(UserWarning):
    """What was asked for is not available on this machine; something slower is used instead."""


class _ShortRepr(Repr):
    """`repr`, cut short; also for integers that Python refuses to write in decimal."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _MAX_NAME_IN_MESSAGE

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:
            return f"an integer of {x.bit_length()} bits"


_REPR = _ShortRepr()


def shown(value: Any) -> str:
    """`value` as Python writes it, short enough for a message however large and deep it is."""
    return _REPR.repr(value)


def listed(names: Iterable[object], most: int = 5) -> str:
    """The first of some names with commas between them, and how many more there are."""
    words = list(map(str, names))
    return ", ".join(words[:most]) + (f" and {len(words) - most:,} more" if words[most:] else "")


def printable(text: str) -> str:
    """`text` with "?" for every character that would act on a terminal or cannot be encoded.

    Line feeds stay: messages have several lines.
    """
    return _UNPRINTABLE.sub("?", text)


def shorten(text: str) -> str:
    """`text` made fit for a message: on one line, printable, and not absurdly long."""
    characters = text[:_MAX_NAME_IN_MESSAGE]
    start = "".join(one if " " <= one <= "~" else "?" for one in characters)
    if len(text) > _MAX_NAME_IN_MESSAGE:
        return f"{start}... ({len(text)} characters)"
    return start
