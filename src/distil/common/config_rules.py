"""What a field of a configuration may be, beyond the rules of `distil.common.rules`."""

from __future__ import annotations

from distil.common.rules import Rule, integer, is_integer

ACTIVATIONS = (
    "gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu",
    "relu", "relu6", "leaky_relu", "silu", "swish", "mish", "sigmoid", "tanh", "linear",
)  # fmt: skip
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
DTYPES = ("float32", "float64", "float16", "bfloat16")

# Far beyond any real model: tables with this many rows are allocated.
_MOST_LAYERS = 256
MOST_LABELS = 100_000

LAYERS = integer(1, _MOST_LAYERS)
LABELS = integer(1, MOST_LABELS)
CLASS_NAMES = Rule(
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
