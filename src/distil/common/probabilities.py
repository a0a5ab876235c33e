"""From logits to probabilities, without overflow."""

from __future__ import annotations

import numpy as np

from distil.arrays import Array


def softmax(logits: Array) -> Array:
    """Probabilities that sum to one along the last axis, in float64."""
    logits = logits.astype(np.float64)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(logits: Array) -> Array:
    """Probabilities of each by itself, in float64."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64)))
