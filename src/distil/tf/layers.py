"""Keras layers that have their weights from the start, and dropout that takes its seed.

What PyTorch's modules do by themselves; `distil.pt` has no twin of this file.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from distil.errors import InputError

Seed = tf.Tensor | None


def unset(shape: tuple[int, ...], dtype: str) -> tf.Tensor:
    """The first value of a variable that is about to be assigned another: whatever is there.

    Zeros would take memory until then, and TensorFlow keeps them for longer.
    """
    return tf.raw_ops.Empty(shape=shape, dtype=dtype, init=False)


class Container(keras.layers.Layer):
    """A layer whose weights are all in layers of its own, built when they are made."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.built = True


def linear(inputs: int, outputs: int, **options: Any) -> keras.layers.Dense:
    """A built linear layer; its kernel is (inputs, outputs)."""
    return _built(keras.layers.Dense(outputs, kernel_initializer=unset, **options), inputs)


def norm(width: int, epsilon: float, **options: Any) -> keras.layers.LayerNormalization:
    """A built LayerNorm over the last axis; Keras's own epsilon would be 1e-3."""
    return _built(keras.layers.LayerNormalization(epsilon=epsilon, **options), width)


def embedding(rows: int, width: int, **options: Any) -> keras.layers.Embedding:
    """A built table of embeddings (rows, width)."""
    return _built(Table(rows, width, embeddings_initializer=unset, **options), None)


def _built(layer: keras.layers.Layer, width: int | None) -> keras.layers.Layer:
    layer.build((None, width))
    return layer


class Table(keras.layers.Embedding):
    """Embeddings whose gradient is a whole table, as PyTorch's is.

    TensorFlow's own has one row for each use of a token, and Keras's optimizers square and
    clip those before they add them up: where a token occurs twice, Adam divides by too little.
    """

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Ids of any shape to embeddings, with an axis more."""
        ids = tf.cast(ids, tf.int64)  # TensorFlow looks up 32- and 64-bit integers only
        return tf.cast(_look_up(tf.convert_to_tensor(self.embeddings), ids), self.compute_dtype)


@tf.custom_gradient
def _look_up(table: tf.Tensor, ids: tf.Tensor) -> Any:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.math.unsorted_segment_sum(upstream, ids, tf.shape(table)[0]), None

    return tf.gather(table, ids), gradient


class VocabProjector(Container):
    """Scores words with the word embeddings, or with a matrix of its own.

    Args:
        inputs: Width of what is scored, or None to be tied to the word embeddings.
        units: Number of words.
    """

    def __init__(self, inputs: int | None, units: int, **options: Any) -> None:
        super().__init__(**{"name": "vocab_projector", **options})
        self.bias = self.add_weight(name="bias", shape=(units,), initializer="zeros")
        self.kernel = None
        if inputs is not None:
            self.kernel = self.add_weight(name="kernel", shape=(inputs, units), initializer=unset)

    def call(self, x: tf.Tensor, tied: keras.layers.Embedding | None = None) -> tf.Tensor:
        """Hidden states (b, s, d) to scores (b, s, words)."""
        if self.kernel is not None:
            return tf.einsum("bsd,dv->bsv", x, self.kernel) + self.bias
        return tf.einsum("bsd,vd->bsv", x, tied.embeddings) + self.bias


def dropout(x: tf.Tensor, rate: float, seed: Seed) -> tf.Tensor:
    """Drop elements at `rate` and scale up the rest; without a seed, or at rate 0, give `x`."""
    if seed is None or rate == 0:
        return x
    return tf.nn.experimental.stateless_dropout(x, rate, seed)


def split_seed(seed: Seed, count: int) -> list[Seed]:
    """`count` seeds made from one, or as many Nones."""
    if seed is None:
        return [None] * count
    return tf.unstack(tf.random.split(seed, count))


def recomputed(
    layer: keras.layers.Layer, x: tf.Tensor, head_mask: tf.Tensor | None, **inputs: Any
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """What a layer gives, computed once more for its gradients rather than kept.

    `keras.remat` has gradients only for tensors by position, and takes and gives no None.
    """

    @keras.remat
    def run(x: tf.Tensor, head_mask: tf.Tensor | None = None) -> tuple[tf.Tensor, ...]:
        x, weights = layer(x, head_mask=head_mask, **inputs)
        return (x,) if weights is None else (x, weights)

    x, *weights = run(x) if head_mask is None else run(x, head_mask)
    return x, weights[0] if weights else None


def check_not_quantized(layer: keras.layers.Layer, name: str) -> None:
    """The values of a layer are those of the model, not what Keras has made of them.

    Raises:
        InputError: They are not.
    """
    if layer.quantization_mode is not None:
        raise InputError(
            "Keras has quantized this layer", found=layer.quantization_mode, where=name,
            fix='save the model with Keras, model.save("model.keras"); or load the checkpoint '
            'anew with distil.load, dtype="int8"',
        )  # fmt: skip


def check_as_made(layer: keras.layers.Layer, name: str) -> None:
    """A layer can be given other values: it has neither LoRA nor been quantized.

    Raises:
        InputError: It has.
    """
    check_not_quantized(layer, name)
    if getattr(layer, "lora_enabled", False):
        raise InputError(
            "a layer with LoRA keeps its shape and values", where=name,
            fix="prune and resize before enable_lora; or save the model, which adds LoRA to its "
            "weights, and load it again",
        )  # fmt: skip


def replace_variable(
    layer: keras.layers.Layer, leaf: str, shape: tuple[int, ...]
) -> keras.Variable:
    """Give a built layer of `linear`, `embedding` or `VocabProjector` a variable of another shape.

    Keras has no public way to do that; its own layers do it with the same three calls when
    they add adapters or quantise.
    """
    attribute = leaf if leaf in layer.__dict__ else f"_{leaf}"
    old = getattr(layer, attribute)
    layer._tracker.unlock()
    layer._untrack_variable(old)
    new = layer.add_weight(name=leaf, shape=shape, initializer=unset, trainable=old.trainable)
    setattr(layer, attribute, new)
    layer._tracker.lock()
    if isinstance(layer, keras.layers.Dense):
        layer.units = shape[-1]
        layer.input_spec = None
    elif isinstance(layer, keras.layers.Embedding):
        layer.input_dim = shape[0]
    return new
