"""The weights of a new model, drawn once with numpy so that both frameworks start alike.

Matrices and embeddings are normal(0, initializer_range), biases 0, LayerNorms 1 and 0,
the padding token's embedding 0, and sinusoidal positions as in Vaswani et al. 2017,
section 3.5.  Source: transformers' PyTorch initialisation of DistilBERT.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from distil.common.config import DistilBertConfig
from distil.common.spec import ENCODER_PREFIX, Weight


def initial_weight(config: DistilBertConfig, weight: Weight, seed: int) -> NDArray[np.float32]:
    """The first values of `weight`, in PyTorch's orientation.

    Each weight has a random stream of its own, from the seed and its name: an encoder gets
    the same values under any head.

    Args:
        config: Of the model.
        weight: Which one.
        seed: Any non-negative integer.
    """
    kind = weight.row.kind
    if weight.leaf == "bias":
        return np.zeros(weight.shape, np.float32)
    if kind == "norm":
        return np.ones(weight.shape, np.float32)
    if kind == "positions" and config.sinusoidal_pos_embds:
        return sinusoids(*weight.shape)
    name = weight.name.removeprefix(f"{ENCODER_PREFIX}.")
    random = np.random.default_rng([seed, crc32(name.encode())])
    values = random.standard_normal(weight.shape, np.float32)
    values *= np.float32(config.initializer_range)
    if kind == "embedding" and config.pad_token_id is not None:
        values[config.pad_token_id] = 0
    return values


def sinusoids(length: int, width: int) -> NDArray[np.float32]:
    """Position embeddings (length, width): sines in even columns, cosines in odd ones."""
    columns = np.arange(width)
    angles = np.arange(length)[:, None] / 10000.0 ** (2 * (columns // 2) / width)
    return np.where(columns % 2 == 0, np.sin(angles), np.cos(angles)).astype(np.float32)
