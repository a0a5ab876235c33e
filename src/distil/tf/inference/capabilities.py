"""What the processor and this build of TensorFlow can do, and what to do where they cannot."""

from __future__ import annotations

import os
import warnings
from functools import cache

import numpy as np
import tensorflow as tf

from distil.common.spec import NORM_EPSILON
from distil.errors import FallbackWarning, InputError
from distil.tf.inference.onednn import fused_norm, fused_product, fused_scores

INFERENCE_DTYPES = ("float32", "bfloat16")


@cache
def has_onednn(dtype: tf.DType) -> bool:
    """Whether TensorFlow's oneDNN operations are there and compute what they should.

    They are no part of its public interface, so each is tried, and its result compared.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0" or tf.config.list_physical_devices("GPU"):
        return False
    x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    bias = x[3]

    @tf.function(autograph=False)
    def tried(x: tf.Tensor, bias: tf.Tensor) -> list[tf.Tensor]:
        rows, hidden = tf.stack([x, x])[:, None], tf.stack([bias, bias])[:, None, None]
        return [
            fused_product(x, x, bias, fused=("BiasAdd", "GeluExact"), keep=True),
            fused_product(x, x, bias, x, fused=("BiasAdd", "Add"), keep=False),
            fused_scores(rows, rows, tf.constant(0.5, dtype), hidden)[1, 0],
            fused_norm(x, bias, bias, NORM_EPSILON),
        ]

    product = x @ x + bias
    centred = x - x.mean(1, keepdims=True)
    expected = [
        product * 0.5 * (1 + tf.math.erf(product * 0.5**0.5).numpy()),
        product + x,
        0.5 * (x @ x.T) + bias,
        centred / centred.std(1, keepdims=True) * bias + bias,
    ]
    try:
        found = tried(tf.cast(x, dtype), tf.cast(bias, dtype))
    except (tf.errors.OpError, RuntimeError, TypeError, ValueError):
        # There is no such operation, or none in `dtype` on this processor.
        return False
    return all(
        np.allclose(tf.cast(one, tf.float32), other, atol=0.05 if dtype == tf.bfloat16 else 1e-5)
        for one, other in zip(found, expected, strict=True)
    )


def settle(dtype: str) -> str:
    """The type to compute in: the one asked for, or, with a warning, the next best.

    Args:
        dtype: One of `INFERENCE_DTYPES`.

    Raises:
        InputError: TensorFlow has no such form.
    """
    if dtype not in INFERENCE_DTYPES:
        raise InputError(
            "no inference in this type in TensorFlow", expected=", ".join(INFERENCE_DTYPES),
            found=repr(dtype), where="dtype",
            fix="for int8, choose engine='openvino' or engine='onnxruntime'",
        )  # fmt: skip
    if dtype == "bfloat16" and not has_onednn(tf.bfloat16):
        warnings.warn("no fast bfloat16 here: computing in float32", FallbackWarning, stacklevel=4)
        return "float32"
    return dtype
