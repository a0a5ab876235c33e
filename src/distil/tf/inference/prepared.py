"""Linear layers and layer norms for inference, each one operation of oneDNN where that is there.

Shapes: t tokens, i inputs, o outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from distil.common.spec import NORM_EPSILON
from distil.tf.activations import ACTIVATIONS
from distil.tf.inference.capabilities import has_onednn
from distil.tf.inference.onednn import fused_norm, fused_product

# Of x (t, i), of what is added to the product (t, o) or None, and of whether there are so few
# tokens that reading the weights is what takes time; gives (t, o).
Product = Callable[[tf.Tensor, tf.Tensor | None, bool], tf.Tensor]

# Activations that oneDNN applies while it writes the product, by our name.
FUSED = {
    "linear": (),
    "gelu": ("GeluExact",),
    "gelu_new": ("GeluApproximate",),
    "gelu_pytorch_tanh": ("GeluApproximate",),
    "relu": ("Relu",),
}


def copied(variable: keras.Variable, dtype: tf.DType) -> tf.Tensor:
    """The values of a variable; they stay when it is assigned others."""
    return tf.cast(tf.convert_to_tensor(variable.value), dtype)


def joined(modules: Sequence[keras.layers.Dense], dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    """Weight (i, o) and bias (o) of one product in place of several, all of the same input."""
    weight = tf.concat([copied(module.kernel, dtype) for module in modules], 1)
    bias = tf.concat([copied(module.bias, dtype) for module in modules], 0)
    return weight, bias


def float_product(
    modules: Sequence[keras.layers.Dense], dtype: tf.DType, activation: str = "linear"
) -> Product:
    """One product for several linear layers of the same input, with the activation after it."""
    weight, bias = joined(modules, dtype)
    if has_onednn(dtype):
        return _onednn(weight, bias, activation)
    function = ACTIVATIONS[activation]

    def call(x: tf.Tensor, residual: tf.Tensor | None, few: bool) -> tf.Tensor:
        y = function(tf.nn.bias_add(tf.matmul(x, weight), bias))
        return y if residual is None else y + residual

    return call


def _onednn(weight: tf.Tensor, bias: tf.Tensor, activation: str) -> Product:
    names = FUSED.get(activation)
    function = ACTIVATIONS["linear" if names is not None else activation]
    fused = ("BiasAdd", *(names or ()))

    def call(x: tf.Tensor, residual: tf.Tensor | None, few: bool) -> tf.Tensor:
        # In float32, oneDNN multiplies many rows faster with weights as they are.
        keep = few or weight.dtype != tf.float32
        if residual is None:
            return function(fused_product(x, weight, bias, fused=fused, keep=keep))
        return fused_product(x, weight, bias, residual, fused=(*fused, "Add"), keep=keep)

    return call


def layer_norm(
    norm: keras.layers.LayerNormalization, dtype: tf.DType
) -> Callable[[tf.Tensor], tf.Tensor]:
    """A layer norm in `dtype`."""
    weight, bias = copied(norm.gamma, dtype), copied(norm.beta, dtype)
    if has_onednn(dtype):
        return lambda x: fused_norm(x, weight, bias, NORM_EPSILON)

    def call(x: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + NORM_EPSILON) * weight + bias

    return call
