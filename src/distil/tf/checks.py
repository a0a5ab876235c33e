"""Looking at the values of tensors, in TensorFlow, where looking is free."""

from __future__ import annotations

import tensorflow as tf

from distil.common.inputs import not_integers, out_of_range


def can_look(x: tf.Tensor) -> bool:
    """Whether values can be read now: not on a GPU, which would stall, nor while tracing."""
    return tf.executing_eagerly() and hasattr(x, "numpy") and "GPU" not in x.device


def is_integer(x: tf.Tensor) -> bool:
    """Whether `x` holds integers."""
    return x.dtype.is_integer


def check_indices(name: str, x: tf.Tensor, limit: int, *, what: str) -> None:
    """Integers that index something must lie within it.

    Raises:
        InputError: They are not integers, or one is outside.
    """
    if not is_integer(x):
        raise not_integers(name, x.dtype.name)
    if can_look(x) and tf.size(x):
        low, high = int(tf.reduce_min(x)), int(tf.reduce_max(x))
        if low < 0 or high >= limit:
            raise out_of_range(name, limit, low if low < 0 else high, what=what)
