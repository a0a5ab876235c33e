"""The functions that `DistilBertConfig.activation` can name, in TensorFlow.

Three are written out because TensorFlow's own round their constants to float32 even where
the input is float64: tf.nn.gelu is off by 5e-9 there, and tf.nn.leaky_relu by 2e-10.
"""

from collections.abc import Callable, Mapping
from math import pi, sqrt

import tensorflow as tf


def _gelu(x: tf.Tensor) -> tf.Tensor:
    return 0.5 * x * (1.0 + tf.math.erf(x * sqrt(0.5)))


def _gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    return 0.5 * x * (1.0 + tf.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)))


def _leaky_relu(x: tf.Tensor) -> tf.Tensor:
    return tf.where(x > 0, x, 0.01 * x)


def _quick_gelu(x: tf.Tensor) -> tf.Tensor:
    return x * tf.sigmoid(1.702 * x)


def _mish(x: tf.Tensor) -> tf.Tensor:
    return x * tf.tanh(tf.nn.softplus(x))


def _linear(x: tf.Tensor) -> tf.Tensor:
    return x


ACTIVATIONS: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "gelu": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "quick_gelu": _quick_gelu,
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "leaky_relu": _leaky_relu,
    "silu": tf.nn.silu,
    "swish": tf.nn.silu,
    "mish": _mish,
    "sigmoid": tf.sigmoid,
    "tanh": tf.tanh,
    "linear": _linear,
}
