"""What a student is taught by its teacher, in TensorFlow: one function a measurement.

Sources: Sanh et al. 2019, section 3 (the triple loss); Hinton et al. 2015 (soft targets); Jiao et
al. 2020 (attention scores); Wang et al. 2021, MiniLMv2 (relations).
Shapes: n rows (tokens or texts), c classes or words, d dim, h heads, s length.  All are computed
in float32 at least.
"""

from __future__ import annotations

import tensorflow as tf

from distil.common.steps.teaching import NO_SCORE


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


def mapped(states: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Hidden states (..., d) in another width e: their products with each row of `weight` (e, d).

    In float32 at least.
    """
    return tf.einsum("...d,ed->...e", _precise(states), weight)


def attention_scores(queries: tf.Tensor, keys: tf.Tensor, heads: int) -> tf.Tensor:
    """Products of the queries and keys (b, s, h * e) of each head over the root of its width.

    Args:
        queries: All heads side by side.
        keys: Likewise.
        heads: How many there are.

    Returns:
        What attention takes the softmax of (b, h, s, s), in float32 at least.
    """
    width = queries.shape[-1] // heads
    shape = (*tf.unstack(tf.shape(queries)[:2]), heads, width)
    q, k = (
        tf.transpose(tf.reshape(_precise(x), shape), (0, 2, 1, 3)) for x in (queries, keys)
    )  # b h s e
    return tf.matmul(q * width**-0.5, k, transpose_b=True)


def attention_difference(student: tf.Tensor, teacher: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean squared difference of attention scores (b, h, s, s); `mask` (b, s) is the batch's.

    Before the softmax, as in Jiao et al. 2020 (equation 7), who find it to converge faster.  Rows
    and columns of padding are left out.
    """
    pairs = tf.broadcast_to((mask[:, :, None] & mask[:, None, :])[:, None], tf.shape(student))
    return _mean_where(tf.square(_precise(student) - _precise(tf.stop_gradient(teacher))), pairs)


def relation_divergence(
    student: tf.Tensor, teacher: tf.Tensor, mask: tf.Tensor, heads: int
) -> tf.Tensor:
    """KL(teacher || student) of how the tokens of a text are related (Wang et al. 2021, MiniLMv2).

    Args:
        student: Its queries, keys or values (b, s, a).
        teacher: Those of the teacher (b, s, c); no gradient flows into them.
        mask: (b, s) true where a token is no padding.
        heads: How many parts each is cut into; a relation is a softmax of scaled products.

    Returns:
        The mean over parts and tokens.
    """
    own, theirs = (
        tf.nn.log_softmax(tf.where(mask[:, None, None, :], attention_scores(x, x, heads), NO_SCORE))
        for x in (student, tf.stop_gradient(teacher))
    )  # b h s s
    each = tf.reduce_sum(tf.exp(theirs) * (theirs - own), axis=-1)  # b h s
    return _mean_where(each, tf.broadcast_to(mask[:, None], tf.shape(each)))


def similarity_divergence(student: tf.Tensor, teacher: tf.Tensor, temperature: float) -> tf.Tensor:
    """KL(teacher || student) of how alike each text of a batch is to the others.

    Args:
        student: Vectors of texts (b, d).
        teacher: Those of the teacher (b, c); no gradient flows into them.
        temperature: What cosines are divided by, before a softmax over the other texts.

    Returns:
        The mean over texts; 0 where there is none to compare with.
    """
    own, theirs = (_likeness(x, temperature) for x in (student, tf.stop_gradient(teacher)))
    return tf.reduce_mean(tf.reduce_sum(tf.exp(theirs) * (theirs - own), axis=-1))


def pooled(states: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Vectors of texts (b, d): means of hidden states (b, s, d) where `mask` (b, s) is true.

    That of a text without tokens is 0.
    """
    shown, states = mask[..., None], _precise(states)
    total = tf.reduce_sum(tf.where(shown, states, tf.zeros_like(states)), axis=1)
    return total / tf.cast(tf.maximum(tf.math.count_nonzero(shown, axis=1), 1), total.dtype)


def _likeness(vectors: tf.Tensor, temperature: float) -> tf.Tensor:
    """Logarithms of the shares (b, b) that the other texts have in being alike to each."""
    scaled = tf.math.l2_normalize(_precise(vectors), axis=-1, epsilon=1e-16)
    cosines = tf.matmul(scaled, scaled, transpose_b=True)
    others = tf.eye(tf.shape(scaled)[0]) == 0
    return tf.nn.log_softmax(tf.where(others, cosines / temperature, NO_SCORE))


def _mean_where(each: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    count = tf.cast(tf.maximum(tf.math.count_nonzero(mask), 1), each.dtype)
    return tf.reduce_sum(tf.where(mask, each, tf.zeros_like(each))) / count


def _precise(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.float32) if values.dtype.size < 4 else values
