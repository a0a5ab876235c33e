"""The arithmetic of int8: how numbers map to bytes, in every framework and engine.

Weights become signed bytes, with a scale for each output.  The activations that they multiply
become unsigned bytes that span the range of values expected there: see `ranges`.
"""

from __future__ import annotations

import numpy as np

from distil.arrays import Array

# Highest unsigned byte.
LEVELS = 255
# Largest signed byte; -128 is not used, so that the range is symmetric.
_LARGEST = np.float32(127)


def byte_step(low: float, high: float) -> float:
    """The step from one byte to the next when 0 to 255 span a range."""
    return (high - low) / LEVELS or 1.0  # an input that is constant has no range at all


def scale_and_zero_point(low: float, high: float) -> tuple[float, int]:
    """How a range maps to unsigned bytes: value = scale * (byte - zero_point).

    0 is always exact, so that what an activation function cuts off stays 0.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = byte_step(low, high)
    return scale, round(-low / scale)


def quantized(weight: Array) -> tuple[Array, Array]:
    """A weight (o i) in signed bytes, and the scale of each of its rows (o 1) in float32."""
    factor = np.abs(weight).max(axis=1, keepdims=True) / _LARGEST
    factor[factor == 0] = 1
    return np.rint(weight / factor).astype(np.int8), factor
