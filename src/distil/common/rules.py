"""Rules for values that a user writes: each in words, and as a test.

Configurations and recipes are made of fields with such rules; the rules that only one of them
needs are in `distil.common.config_rules` and `distil.common.steps.recipe_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from sys import float_info
from typing import Any, get_args

from distil.errors import DistilError, InputError, shown

_LARGEST = 2**31 - 1  # ids and positions have to fit the 32-bit integers of both frameworks


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words, and the test of it."""

    words: str
    holds: Callable[[Any], bool]


def is_integer(value: Any) -> bool:
    """Whether `value` is an integer, and not a bool, which Python counts as one."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number that a float can hold."""
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and -float_info.max <= value <= float_info.max


def is_text(value: Any) -> bool:
    """Whether `value` is a string that is not empty."""
    return isinstance(value, str) and bool(value)


def as_list(value: Any, where: str) -> list[Any]:
    """The items of an argument.

    Raises:
        InputError: It is a single value, or a table.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InputError("not a list", expected="a list", found=shown(value), where=where)
    return list(value)


def as_table(value: Any, where: str) -> dict[Any, Any]:
    """The values of an argument by their names.

    Raises:
        InputError: It is not a table.
    """
    if not isinstance(value, Mapping):
        raise InputError(
            "not a table", expected='{"name": ..., ...}', found=shown(value), where=where
        )
    return dict(value)


def check_plain(value: Any, error: type[DistilError], *, levels: int, where: object = None) -> None:
    """Raise `error` for what could not be written back to JSON.

    That is tables and lists nested more than `levels` deep (copying and writing them recurses as
    deep), and NaN and infinity, which Python reads and writes although JSON has neither.
    """

    def check(part: Any, depth: int) -> None:
        if isinstance(part, float) and not isfinite(part):
            raise error("not a JSON number", expected="a finite number", found=part, where=where)
        if isinstance(part, Mapping | list):
            if depth == levels:
                raise error(
                    "tables are nested too deeply", expected=f"at most {levels} levels",
                    where=where,
                )  # fmt: skip
            for item in part.values() if isinstance(part, Mapping) else part:
                check(item, depth + 1)

    check(value, 0)


def choice(
    value: Any, choices: Any, name: str, *, also: str = "", error: type[DistilError] = InputError
) -> Any:
    """One of the values of a Literal; anything else raises `error`.

    Args:
        value: What was given.
        choices: The Literal.
        name: Of the argument.
        also: What else may be given, in words, where that is read before.
        error: The error to raise.
    """
    allowed = get_args(choices)
    if value not in allowed:
        raise error(
            f"{name} is not valid",
            expected=also + ", ".join(map(repr, allowed[:-1])) + f" or {allowed[-1]!r}",
            found=shown(value),
        )
    return value


def integer(least: int, most: int = _LARGEST) -> Rule:
    """The rule that a value is an integer in a range."""
    end = "2^31 - 1" if most == _LARGEST else f"{most:,}"
    return Rule(f"an integer from {least} to {end}", lambda v: is_integer(v) and least <= v <= most)


def one_of(choices: tuple[str, ...], *, or_none: bool = False) -> Rule:
    """The rule that a value is one of some names."""
    words = "one of " + ", ".join(choices) + (", or null" if or_none else "")
    return Rule(words, lambda v: (v is None and or_none) or (isinstance(v, str) and v in choices))


def or_none(rule: Rule) -> Rule:
    """The rule that a value satisfies `rule`, or is None."""
    return Rule(f"{rule.words}, or null", lambda v: v is None or rule.holds(v))


FLAG = Rule("true or false", lambda v: isinstance(v, bool))
TEXT = Rule("a text", is_text)
COUNT = integer(1)
NATURAL = integer(0)
POSITIVE = Rule("a number above 0", lambda v: is_number(v) and v > 0)
AMOUNT = Rule("a finite number, at least 0", lambda v: is_number(v) and v >= 0)
SHARE = Rule("a number from 0 to 1", lambda v: is_number(v) and 0 <= v <= 1)
PROBABILITY = Rule("a number above 0 and below 1", lambda v: is_number(v) and 0 < v < 1)
RATE = Rule("a number from 0 to below 1", lambda v: is_number(v) and 0 <= v < 1)
