"""What a field of a configuration may be: each rule in words, and as a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from sys import float_info
from typing import Any

ACTIVATIONS = (
    "gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu",
    "relu", "relu6", "leaky_relu", "silu", "swish", "mish", "sigmoid", "tanh", "linear",
)  # fmt: skip
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
DTYPES = ("float32", "float64", "float16", "bfloat16")

# What nobody has, and what would not end: tables are made with so many rows.
_MOST_LAYERS = 256
_MOST_LABELS = 100_000

_LARGEST = 2**31 - 1  # ids and positions have to fit the 32-bit integers of both frameworks


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words, and the test of it."""

    words: str
    holds: Callable[[Any], bool]


def is_integer(value: Any) -> bool:
    """Whether `value` is an integer, and no truth value, which Python counts among them."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


SIZE = Rule("an integer from 1 to 2^31 - 1", lambda v: is_integer(v) and 1 <= v <= _LARGEST)
FLAG = Rule("true or false", lambda v: isinstance(v, bool))
RATE = Rule("a number from 0 to below 1", lambda v: _is_number(v) and 0 <= v < 1)
SPREAD = Rule("a finite number, at least 0", lambda v: _is_number(v) and 0 <= v <= float_info.max)
LAYERS = Rule(
    f"an integer from 1 to {_MOST_LAYERS}", lambda v: is_integer(v) and 1 <= v <= _MOST_LAYERS
)
LABELS = Rule(
    f"an integer from 1 to {_MOST_LABELS}", lambda v: is_integer(v) and 1 <= v <= _MOST_LABELS
)
PAD = Rule(
    "an integer from 0 to 2^31 - 1, or null",
    lambda v: v is None or (is_integer(v) and 0 <= v <= _LARGEST),
)
NAMES = Rule(
    "a list of class names, or null",
    lambda v: v is None or (isinstance(v, list) and all(isinstance(name, str) for name in v)),
)
ID2LABEL = Rule(
    "a table from every number 0 to n - 1 to a label",
    lambda v: (
        isinstance(v, dict)
        and len(v) > 0
        and set(v) == set(range(len(v)))
        and all(isinstance(label, str) for label in v.values())
    ),
)
LABEL2ID = Rule(
    "a table from labels to numbers",
    lambda v: isinstance(v, dict) and all(is_integer(number) for number in v.values()),
)
HEADS = Rule(
    "a table from layers to lists of heads",
    lambda v: (
        isinstance(v, dict)
        and all(is_integer(layer) for layer in v)
        and all(isinstance(heads, list) and all(map(is_integer, heads)) for heads in v.values())
    ),
)


def one_of(choices: tuple[str, ...], *, or_none: bool = False) -> Rule:
    """The rule that a value is one of some names."""
    words = "one of " + ", ".join(choices) + (", or null" if or_none else "")
    return Rule(words, lambda v: (v is None and or_none) or (isinstance(v, str) and v in choices))
