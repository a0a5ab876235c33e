"""The arithmetic of int8: how numbers are laid over bytes, in every framework and engine.

Weights become signed bytes, with a factor for each output.  What they are multiplied with becomes
unsigned bytes, laid over the range of values that is expected there: see `ranges`.
"""

from __future__ import annotations

import numpy as np

from distil.arrays import Array

# Highest unsigned byte.
LEVELS = 255
# Largest signed byte; -128 is left out, so that both signs reach equally far.
_LARGEST = np.float32(127)


def byte_step(low: float, high: float) -> float:
    """The step from one byte to the next when 0 to 255 are laid over a range."""
    return (high - low) / LEVELS or 1.0  # an input that never changes has no range at all


def scale_and_zero_point(low: float, high: float) -> tuple[float, int]:
    """How a range is laid over unsigned bytes: value = scale * (byte - zero_point).

    0 is always met exactly, so that what is cut off to 0 stays 0.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = byte_step(low, high)
    return scale, round(-low / scale)


def quantized(weight: Array) -> tuple[Array, Array]:
    """A weight (o i) in signed bytes, and the factor of each of its rows (o 1) in float32."""
    factor = np.abs(weight).max(axis=1, keepdims=True) / _LARGEST
    factor[factor == 0] = 1
    return np.rint(weight / factor).astype(np.int8), factor
