"""What is compared between two frameworks: outputs and gradients, as numpy arrays by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.outputs import ModelOutput


@dataclass
class Measurement:
    """What one model computed for one batch.

    Attributes:
        outputs: By name of the field; a field of several tensors is numbered, as in
            "hidden_states.0".
        gradients: By canonical name of the weight, in PyTorch's orientation.
    """

    outputs: dict[str, Array]
    gradients: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """How far apart two arrays are.

    Attributes:
        name: Of what was compared.
        absolute: The largest difference.
        relative: That, divided by the largest magnitude in either array.
        scale: That magnitude.
    """

    name: str
    absolute: float
    relative: float
    scale: float


def differences(one: Mapping[str, Array], other: Mapping[str, Array]) -> Iterator[Difference]:
    """How far apart the arrays of two measurements are, name by name.

    Things that differ in kind (a name that only one has, another shape or dtype, a NaN or
    an infinity on one side or both) are infinitely far apart.
    """
    for name in dict.fromkeys((*one, *other)):
        a, b = one.get(name), other.get(name)
        if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
            yield Difference(name, np.inf, np.inf, np.nan)
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        scale = float(max(np.abs(a).max(initial=0), np.abs(b).max(initial=0)))
        absolute = float(np.abs(a - b).max(initial=0))
        if not np.isfinite(absolute):
            yield Difference(name, np.inf, np.inf, scale)
            continue
        yield Difference(name, absolute, absolute / scale if absolute else 0.0, scale)


def flatten(output: ModelOutput) -> dict[str, Any]:
    """The tensors of an output by name; a field with several numbers them."""
    flat: dict[str, Any] = {}
    for name, value in output.items():
        if isinstance(value, tuple):
            flat |= {f"{name}.{number}": one for number, one in enumerate(value)}
        else:
            flat[name] = value
    return flat


def probe(shape: tuple[int, ...]) -> Array:
    """Fixed factors that sum many numbers into one, so that each has a gradient of its own."""
    return np.random.default_rng(0).standard_normal(shape)
