"""Attention within each of the sequences that stand one after another, as rows with padding.

TensorFlow has no loop over groups of sequences that costs nothing, nor a kernel for sequences of
several lengths.  So for attention alone, which is a small part of the arithmetic, the sequences
of a pack become rows of equal length; they come sorted by length, and little is added.

Shapes: t tokens, n sequences, s length of the longest, h heads, e width of a head, r queries of a
sequence: s, or 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from distil.tf.inference.capabilities import has_onednn
from distil.tf.inference.onednn import fused_scores


@dataclass(frozen=True)
class Rows:
    """The sequences of a pack as rows.

    Attributes:
        tokens: Which token stands at each place (n, s); at places beyond a sequence, any.
        places: At which of the (n * s) places each token stands, (t); None if that is its number.
        bias: What hides places beyond a sequence (n, 1, 1, s); None if there are none.
    """

    tokens: tf.Tensor
    places: tf.Tensor | None
    bias: tf.Tensor | None

    @classmethod
    def full(cls, tokens: tf.Tensor) -> Rows:
        """Of sequences of equal length."""
        return cls(tokens, None, None)

    @classmethod
    def ragged(cls, tokens: tf.Tensor, places: tf.Tensor, dtype: tf.DType) -> Rows:
        """Of sequences of several lengths."""
        shape = tf.shape(tokens)
        hidden = tf.fill([tf.size(tokens)], tf.constant(dtype.min, dtype))
        bias = tf.tensor_scatter_nd_update(
            hidden, places[:, None], tf.zeros([tf.size(places)], dtype)
        )
        return cls(tokens, places, tf.reshape(bias, (shape[0], 1, 1, shape[1])))

    def heads(self, x: tf.Tensor, parts: int, head_dim: int) -> list[tf.Tensor]:
        """Take parts and heads apart: t (parts h e) to n h s e of each part."""
        if self.places is not None:
            x = tf.gather(x, self.tokens)  # n s (parts h e)
        shape = tf.shape(self.tokens)
        apart = tf.reshape(x, (shape[0], shape[1], parts, -1, head_dim))
        return tf.unstack(tf.transpose(apart, (2, 0, 3, 1, 4)))

    def join(self, context: tf.Tensor, width: int) -> tf.Tensor:
        """Put heads and sequences together: n h s e to t (h e)."""
        context = tf.reshape(tf.transpose(context, (0, 2, 1, 3)), (-1, width))
        return context if self.places is None else tf.gather(context, self.places)

    def attend(self, q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
        """Attention of q (n, h, r, e) to k and v (n, h, s, e); gives (n, h, r, e)."""
        factor = q.shape[-1] ** -0.5
        if self.bias is None:
            scores = tf.matmul(q * factor, k, transpose_b=True)  # n h r s
        elif has_onednn(q.dtype):
            scores = fused_scores(q, k, tf.constant(factor, q.dtype), self.bias)
        else:
            scores = tf.matmul(q * factor, k, transpose_b=True) + self.bias
        return tf.matmul(tf.nn.softmax(scores), v)
