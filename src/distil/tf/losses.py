"""The losses, in TensorFlow; `distil.common.labels` says which is used when.

Shapes: n labels, c classes, b batch, s length.  All are computed in float32 at least.
"""

from __future__ import annotations

import tensorflow as tf

from distil.arrays import Array
from distil.common import labels as rules
from distil.common.config import DistilBertConfig
from distil.common.inputs import not_integers, out_of_range
from distil.errors import InputError
from distil.tf.checks import is_integer, refuse_if


def loss(config: DistilBertConfig, task: str, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The loss of a head that scores classes.

    Args:
        config: Of the model.
        task: Of the model.
        logits: (..., c)
        labels: (...) integers, or (..., c) numbers for the losses that take them.

    Returns:
        A scalar.

    Raises:
        InputError: The labels cannot be meant.
    """
    kind = rules.loss_kind(
        config,
        task=task,
        integers=is_integer(labels),
        logits=tuple(logits.shape),
        labels=tuple(labels.shape),
    )
    if kind == rules.CROSS_ENTROPY:
        return cross_entropy(tf.reshape(logits, (-1, logits.shape[-1])), tf.reshape(labels, (-1,)))
    return regression(logits, labels) if kind == rules.REGRESSION else binary(logits, labels)


def cross_entropy(
    logits: tf.Tensor,
    labels: tf.Tensor,
    class_weights: Array | None = None,
    smoothing: float = 0.0,
) -> tf.Tensor:
    """Mean cross entropy of logits (n, c) over the integer labels (n) that are not ignored.

    Args:
        logits: (n, c)
        labels: (n)
        class_weights: What a label of each class counts in the mean (c); None for one each.
        smoothing: Share of each target that is spread evenly over all classes.
    """
    classes = tf.shape(logits, tf.int64)[-1]
    labels = tf.cast(labels, tf.int64)
    counted = labels != rules.IGNORED
    wrong = counted & ((labels < 0) | (labels >= classes))
    limit = logits.shape[-1]
    refuse_if(wrong, labels, lambda found: out_of_range("labels", limit, found, what="the classes"))
    logits, safe = _precise(logits), tf.where(counted & ~wrong, labels, 0)
    if class_weights is None and not smoothing:
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(safe, logits)
        return _poisoned(_mean(each, counted), wrong)
    scores = -tf.nn.log_softmax(logits)  # n c
    weights = tf.ones(logits.shape[-1:], logits.dtype)
    if class_weights is not None:
        weights = tf.constant(class_weights, logits.dtype)
    own = tf.gather(weights, safe)  # n
    each = (1 - smoothing) * own * tf.gather(scores, safe, batch_dims=1)
    each += smoothing / logits.shape[-1] * tf.reduce_sum(weights * scores, -1)
    size = tf.reduce_sum(tf.where(counted, own, 0))
    total = tf.reduce_sum(tf.where(counted, each, 0))
    return _poisoned(total / tf.where(size > 0, size, 1), wrong)


def regression(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean squared error of logits (b, c) against the numbers (b, c) that are not ignored."""
    logits = _precise(logits)
    labels = tf.reshape(tf.cast(labels, logits.dtype), tf.shape(logits))
    counted = labels != rules.IGNORED
    wrong = counted & ~tf.math.is_finite(labels)
    refuse_if(wrong, labels, lambda found: _not_a_target("a finite number", found))
    difference = tf.where(counted, logits - labels, 0)
    return _poisoned(_mean(tf.square(difference), counted), wrong)


def binary(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean binary cross entropy of logits (b, c) against the targets (b, c) not ignored."""
    logits = _precise(logits)
    labels = tf.reshape(tf.cast(labels, logits.dtype), tf.shape(logits))
    counted = labels != rules.IGNORED
    wrong = counted & ~((labels >= 0) & (labels <= 1))
    refuse_if(wrong, labels, lambda found: _not_a_target("a number from 0 to 1", found))
    each = tf.nn.sigmoid_cross_entropy_with_logits(tf.where(counted, labels, 0), logits)
    return _poisoned(_mean(each, counted), wrong)


def span(
    start_logits: tf.Tensor, end_logits: tf.Tensor, start: tf.Tensor, end: tf.Tensor
) -> tf.Tensor:
    """Mean of the cross entropies of an answer's start and end; logits (b, s), positions (b).

    Raises:
        InputError: The positions are not integers, or not one a text.
    """
    losses = []
    for name, logits, given in (
        ("start_positions", start_logits, start),
        ("end_positions", end_logits, end),
    ):
        if not is_integer(given):
            raise not_integers(name, given.dtype.name)
        rules.check_positions(name, tuple(logits.shape), tuple(given.shape))
        positions = tf.cast(tf.reshape(given, (-1,)), tf.int64)
        outside = (positions < 0) | (positions >= tf.shape(logits, tf.int64)[1])
        losses.append(cross_entropy(logits, tf.where(~outside, positions, rules.IGNORED)))
    return (losses[0] + losses[1]) / 2


def _precise(logits: tf.Tensor) -> tf.Tensor:
    return tf.cast(logits, tf.float32) if logits.dtype.size < 4 else logits


def _mean(each: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    count = tf.reduce_sum(tf.cast(counted, each.dtype))
    return tf.reduce_sum(tf.where(counted, each, 0)) / tf.maximum(count, 1)


def _poisoned(value: tf.Tensor, wrong: tf.Tensor) -> tf.Tensor:
    """`value`, or NaN if any label was wrong and no error could be raised for it."""
    return tf.where(tf.reduce_any(wrong), tf.constant(float("nan"), value.dtype), value)


def _not_a_target(expected: str, found: float) -> InputError:
    return InputError("labels hold an impossible target", expected=expected, found=found)
