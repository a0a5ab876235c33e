"""Checks of what a model is given, in TensorFlow; values are looked at where looking is free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from distil.common import inputs
from distil.common.config import DistilBertConfig
from distil.common.inputs import not_integers, out_of_range
from distil.errors import DistilError


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
    x = tf.cast(x, tf.int64)  # `limit` may not fit the type of `x`
    refuse_if((x < 0) | (x >= limit), x, lambda found: out_of_range(name, limit, found, what=what))


def refuse_if(wrong: tf.Tensor, x: tf.Tensor, error: Callable[[Any], DistilError]) -> None:
    """Raise if any value is wrong; in a graph, make its run fail (XLA leaves that out).

    Args:
        wrong: Where `x` is wrong, of the same shape.
        x: The values.
        error: Makes the error from one of the wrong values.
    """
    if can_look(x):
        if tf.reduce_any(wrong):
            raise error(x[wrong][0].numpy().item())
    elif not tf.executing_eagerly():
        tf.debugging.Assert(~tf.reduce_any(wrong), [str(error("in the tensor below")), x])


def check_inputs(
    config: DistilBertConfig,
    input_ids: tf.Tensor | None,
    attention_mask: tf.Tensor | None,
    inputs_embeds: tf.Tensor | None,
    position_ids: tf.Tensor | None,
    token_type_ids: tf.Tensor | None,
    head_mask: tf.Tensor | None = None,
    *,
    choices: bool = False,
) -> None:
    """A model's inputs must fit it and one another; its arguments are those of the model's call.

    Raises:
        InputError: They do not.
    """
    if token_type_ids is not None:
        inputs.note_token_types()
    inputs.check_one_of_ids_and_embeddings(input_ids, inputs_embeds)
    inputs.check_shapes(
        config,
        ids=_shape(input_ids),
        embeddings=_shape(inputs_embeds),
        mask=_shape(attention_mask),
        positions=_shape(position_ids),
        choices=choices,
    )
    if head_mask is not None:
        inputs.check_head_mask(config, tuple(head_mask.shape))
    if input_ids is not None:
        check_indices("input_ids", input_ids, config.vocab_size, what="the vocabulary")
    if position_ids is not None:
        limit = config.max_position_embeddings
        check_indices("position_ids", position_ids, limit, what="the position embeddings")


def _shape(x: tf.Tensor | None) -> tuple[int | None, ...] | None:
    return None if x is None else tuple(x.shape)
