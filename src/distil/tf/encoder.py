"""The encoder of DistilBERT in TensorFlow (Sanh et al. 2019, section 3).

Shapes: b batch, s length, d dim, h heads, e width of a head (d = h * e).
Modules are called as in the checkpoints.  The twin of this file is `distil.pt.encoder`.

Two things differ from the twin.  A Keras layer has no weights until it is built, so the
layers that hold weights come built from `distil.tf.layers`.  And dropout takes its random
seed as an argument, None to leave it out: the same seed gives the same mask again when
gradient checkpointing runs a layer for a second time.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from distil.common.config import DistilBertConfig
from distil.common.outputs import EncoderOutput
from distil.common.spec import NORM_EPSILON
from distil.tf.activations import ACTIVATIONS
from distil.tf.layers import (
    Container,
    Seed,
    dropout,
    embedding,
    linear,
    norm,
    recomputed,
    split_seed,
)


class Embeddings(Container):
    """Word and position embeddings, normalised."""

    def __init__(self, config: DistilBertConfig, **options: Any) -> None:
        super().__init__(**options)
        self.word_embeddings = embedding(config.vocab_size, config.dim, **options)
        self.position_embeddings = embedding(config.max_position_embeddings, config.dim, **options)
        self.position_embeddings.trainable = not config.sinusoidal_pos_embds
        self.LayerNorm = norm(config.dim, NORM_EPSILON, **options)
        self.padding_idx = config.pad_token_id
        self.dropout = config.dropout

    def call(
        self,
        input_ids: tf.Tensor | None = None,
        position_ids: tf.Tensor | None = None,
        inputs_embeds: tf.Tensor | None = None,
        seed: Seed = None,
    ) -> tf.Tensor:
        """Embed ids (b, s), or take their embeddings (b, s, d); gives (b, s, d)."""
        words = self.embed(input_ids) if inputs_embeds is None else inputs_embeds
        if position_ids is None:
            position_ids = tf.range(tf.shape(words)[1])  # s
        embedded = words + self.position_embeddings(position_ids)  # b s d
        return dropout(self.LayerNorm(embedded), self.dropout, seed)

    def embed(self, input_ids: tf.Tensor) -> tf.Tensor:
        """Embed words; like PyTorch's padding_idx, the padding token learns nothing here."""
        input_ids = tf.cast(input_ids, tf.int64)  # the padding token may not fit their type
        words = self.word_embeddings(input_ids)
        if self.padding_idx is None:
            return words
        is_padding = tf.expand_dims(input_ids == self.padding_idx, -1)
        return tf.where(is_padding, tf.stop_gradient(words), words)


class MultiHeadSelfAttention(Container):
    """Attention of every token to every token that the mask shows."""

    def __init__(self, config: DistilBertConfig, layer: int, **options: Any) -> None:
        super().__init__(**options)
        width = config.attention_width(layer)
        self.head_dim = config.head_dim
        self.q_lin = linear(config.dim, width, **options)
        self.k_lin = linear(config.dim, width, **options)
        self.v_lin = linear(config.dim, width, **options)
        self.out_lin = linear(width, config.dim, **options)
        self.dropout = config.attention_dropout

    def call(
        self,
        x: tf.Tensor,
        attention_mask: tf.Tensor | None = None,
        head_mask: tf.Tensor | None = None,
        output_attentions: bool = False,
        queries: tf.Tensor | None = None,
        seed: Seed = None,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Attend.

        Args:
            x: Hidden states (b, s, d).
            attention_mask: True where a token is shown (b, 1, 1, s), or None if all are.
            head_mask: Factor for the weights of each head (1, h, 1, 1), or None.
            output_attentions: Whether to give the weights.
            queries: The hidden states (b, q, d) that attend, where not all of `x` do.
            seed: Of dropout.

        Returns:
            The new hidden states (b, q, d), and the weights (b, h, q, s) or None.
        """
        q = self.split_heads(self.q_lin(x if queries is None else queries))  # b h q e
        k = self.split_heads(self.k_lin(x))  # b h s e
        v = self.split_heads(self.v_lin(x))
        scores = tf.matmul(q * self.head_dim**-0.5, k, transpose_b=True)  # b h q s
        if attention_mask is not None:
            scores = hide(scores, attention_mask)
        weights = dropout(tf.nn.softmax(scores, axis=-1), self.dropout, seed)
        if head_mask is not None:
            weights = weights * tf.cast(head_mask, weights.dtype)
        context = tf.matmul(weights, v)
        return self.out_lin(self.join_heads(context)), weights if output_attentions else None

    def split_heads(self, x: tf.Tensor) -> tf.Tensor:
        """Take heads apart: b s (h e) to b h s e."""
        shape = tf.shape(x)
        apart = tf.reshape(x, (shape[0], shape[1], x.shape[2] // self.head_dim, self.head_dim))
        return tf.transpose(apart, (0, 2, 1, 3))

    def join_heads(self, x: tf.Tensor) -> tf.Tensor:
        """Put heads together: b h s e to b s (h e)."""
        shape = tf.shape(x)
        together = tf.transpose(x, (0, 2, 1, 3))
        return tf.reshape(together, (shape[0], shape[2], x.shape[1] * self.head_dim))


def hide(scores: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
    """Scores, so that only tokens under True are seen.

    The dtype's minimum rather than -inf: where a whole row is hidden every score becomes
    that minimum, and the softmax is even instead of NaN.
    """
    return tf.where(attention_mask, scores, scores.dtype.min)


class FeedForward(Container):
    """Two linear layers with an activation between them, at every position."""

    def __init__(self, config: DistilBertConfig, **options: Any) -> None:
        super().__init__(**options)
        self.lin1 = linear(config.dim, config.hidden_dim, **options)
        self.lin2 = linear(config.hidden_dim, config.dim, **options)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = config.dropout

    def call(self, x: tf.Tensor, seed: Seed = None) -> tf.Tensor:
        """Hidden states (b, s, d) to (b, s, d)."""
        return dropout(self.lin2(self.activation(self.lin1(x))), self.dropout, seed)


class TransformerBlock(Container):
    """One layer; normalised after each residual sum, as in Vaswani et al. 2017."""

    def __init__(self, config: DistilBertConfig, layer: int, **options: Any) -> None:
        super().__init__(**options)
        self.attention = MultiHeadSelfAttention(config, layer, **options)
        self.sa_layer_norm = norm(config.dim, NORM_EPSILON, **options)
        self.ffn = FeedForward(config, **options)
        self.output_layer_norm = norm(config.dim, NORM_EPSILON, **options)

    def call(
        self,
        x: tf.Tensor,
        attention_mask: tf.Tensor | None = None,
        head_mask: tf.Tensor | None = None,
        output_attentions: bool = False,
        queries: tf.Tensor | None = None,
        seed: Seed = None,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Arguments and results are those of `MultiHeadSelfAttention.call`."""
        attention_seed, ffn_seed = split_seed(seed, 2)
        attended, weights = self.attention(
            x,
            attention_mask=attention_mask,
            head_mask=head_mask,
            output_attentions=output_attentions,
            queries=queries,
            seed=attention_seed,
        )
        x = self.sa_layer_norm(attended + (x if queries is None else queries))  # b q d
        return self.output_layer_norm(self.ffn(x, seed=ffn_seed) + x), weights


class Transformer(Container):
    """The layers, one after another."""

    def __init__(self, config: DistilBertConfig, **options: Any) -> None:
        super().__init__(**options)
        self.layer = [
            TransformerBlock(config, layer, **options) for layer in range(config.n_layers)
        ]
        self.gradient_checkpointing = False

    def call(
        self,
        x: tf.Tensor,
        attention_mask: tf.Tensor | None = None,
        head_mask: tf.Tensor | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        seed: Seed = None,
    ) -> EncoderOutput:
        """Run every layer.

        Args:
            x: Embeddings (b, s, d).
            attention_mask: Other than 0 where a token is shown (b, s), or None if all are.
            head_mask: Factor for each head, (h) or (layers, h), or None.
            output_attentions: Whether to give the attention weights of every layer.
            output_hidden_states: Whether to give the hidden states of every layer.
            seed: Of dropout; without one there is none.
        """
        if attention_mask is not None:
            # No slice with None for axes: LiteRT cannot slice booleans.
            shown = tf.cast(attention_mask, tf.bool)
            attention_mask = tf.expand_dims(tf.expand_dims(shown, 1), 1)  # b 1 1 s
        head_masks = [None] * len(self.layer)
        if head_mask is not None:
            heads = head_mask.shape[-1]
            layered = tf.broadcast_to(head_mask, (len(self.layer), heads))  # layers h
            head_masks = tf.unstack(layered[:, None, :, None, None])  # 1 h 1 1 each
        hidden_states, attentions = [x], []
        seeds = split_seed(seed, len(self.layer))
        for layer, factors, layer_seed in zip(self.layer, head_masks, seeds, strict=True):
            inputs = {
                "attention_mask": attention_mask,
                "head_mask": factors,
                "output_attentions": output_attentions,
                "seed": layer_seed,
            }
            if self.gradient_checkpointing and seed is not None:
                x, weights = recomputed(layer, x, **inputs)
            else:
                x, weights = layer(x, **inputs)
            hidden_states.append(x)
            attentions.append(weights)
        return EncoderOutput(
            last_hidden_state=x,
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
