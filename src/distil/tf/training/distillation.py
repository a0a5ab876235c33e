"""What a student is taught by its teacher, in TensorFlow: one function a measurement.

Source: Sanh et al. 2019, section 3 (the triple loss); Hinton et al. 2015 (soft targets).
Shapes: n rows (tokens or texts), c classes or words, d dim, h heads, s length.  All are computed
in float32 at least.
"""

from __future__ import annotations

import tensorflow as tf


def soft_cross_entropy(
    student: tf.Tensor, teacher: tf.Tensor, mask: tf.Tensor, temperature: float
) -> tf.Tensor:
    """L_ce: the divergence KL(teacher || student) of softened predictions, times T squared.

    The factor keeps the gradients of one size whatever the temperature (Hinton et al., section 2).

    Args:
        student: Logits (..., c).
        teacher: Logits (..., c); no gradient flows into them.
        mask: (...) true where a row counts.
        temperature: T, what logits are divided by; above 1 softens.

    Returns:
        The mean over the rows that count; 0 where none does.
    """
    student = _precise(student) / temperature
    teacher = _precise(tf.stop_gradient(teacher)) / temperature
    targets = tf.nn.log_softmax(teacher)
    each = tf.reduce_sum(tf.exp(targets) * (targets - tf.nn.log_softmax(student)), axis=-1)
    return _mean_where(each, mask) * temperature**2


def cosine_distance(student: tf.Tensor, teacher: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """L_cos: 1 - cos of the angle between hidden states (..., d), mean where `mask` (...) is."""
    # Lengths below 1e-8 count as 1e-8, as in PyTorch.
    student = tf.math.l2_normalize(_precise(student), axis=-1, epsilon=1e-16)
    teacher = tf.math.l2_normalize(_precise(tf.stop_gradient(teacher)), axis=-1, epsilon=1e-16)
    return _mean_where(1 - tf.reduce_sum(student * teacher, axis=-1), mask)


def hidden_difference(student: tf.Tensor, teacher: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean squared difference of hidden states or logits (..., d) where `mask` (...) is true."""
    difference = _precise(student) - _precise(tf.stop_gradient(teacher))
    return _mean_where(tf.reduce_mean(tf.square(difference), axis=-1), mask)


def attention_difference(student: tf.Tensor, teacher: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean squared difference of attention weights (b, h, s, s); `mask` (b, s) is the batch's.

    Rows and columns of padding are left out.
    """
    pairs = tf.broadcast_to((mask[:, :, None] & mask[:, None, :])[:, None], tf.shape(student))
    return _mean_where(tf.square(_precise(student) - _precise(tf.stop_gradient(teacher))), pairs)


def pooled(states: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Vectors of texts (b, d): means of hidden states (b, s, d) where `mask` (b, s) is true.

    That of a text without tokens is 0.
    """
    shown, states = mask[..., None], _precise(states)
    total = tf.reduce_sum(tf.where(shown, states, tf.zeros_like(states)), axis=1)
    return total / tf.cast(tf.maximum(tf.math.count_nonzero(shown, axis=1), 1), total.dtype)


def _mean_where(each: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    count = tf.cast(tf.maximum(tf.math.count_nonzero(mask), 1), each.dtype)
    return tf.reduce_sum(tf.where(mask, each, tf.zeros_like(each))) / count


def _precise(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.float32) if values.dtype.size < 4 else values
