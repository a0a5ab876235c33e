"""A model for inference alone, in TensorFlow: no padding, prepared weights, nothing in vain.

Shapes: b rows, t tokens of a pack, n its sequences, s length of the longest, d dim, h heads,
e width of a head, w tokens to be scored, r tokens computed: t, or one of each sequence.
The twin of this file is `distil.pt.inference.packed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from distil.arrays import Array
from distil.common.inference.model import InferenceModel
from distil.common.inference.packing import TOKENS_AT_ONCE, Pack, packs
from distil.common.model import encoder_of
from distil.common.spec import parameters
from distil.common.tasks import TASKS
from distil.tf.encoder import Embeddings, TransformerBlock
from distil.tf.inference.capabilities import settle
from distil.tf.inference.prepared import copied, float_product, layer_norm
from distil.tf.inference.rows import Rows
from distil.tf.model import TFDistilBertPreTrainedModel

# Up to so many tokens, reading the weights takes more time than computing.
FEW_TOKENS = 64


class PackedModel(InferenceModel):
    """A model for inference: it computes what the model does, without padding.

    Called like the model it was made from, or with `score` on sequences of any lengths.  Holds
    prepared copies of the weights, so that changing the model afterwards does not change it.

    Args:
        model: The model, of any task.
        dtype: To compute in: "float32" or "bfloat16".

    Raises:
        InputError: TensorFlow has no such form.

    Warns:
        FallbackWarning: The processor has no such arithmetic; the next best is taken.
    """

    framework = "tf"

    def __init__(self, model: TFDistilBertPreTrainedModel, *, dtype: str = "float32") -> None:
        self.config, self.task = model.config, model.task
        self.dtype = settle(dtype)
        self.device = "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
        self._build(model, tf.as_dtype(self.dtype))
        self._graphs: dict[tuple[bool, bool, bool], Any] = {}

    def _build(self, model: TFDistilBertPreTrainedModel, dtype: tf.DType) -> None:
        encoder = encoder_of(model)
        self._embeddings = _Embeddings(encoder.embeddings, dtype)
        blocks = encoder.transformer.layer
        self._layers = [
            _Layer(blocks, number, self.config.activation, dtype) for number in range(len(blocks))
        ]
        self._head = None if encoder is model else _head_of(model)

    def _own(self, array: Array) -> tf.Tensor:
        return tf.convert_to_tensor(array)

    def score(
        self,
        sequences: Sequence[Any],
        *,
        positions: Sequence[Any] | None = None,
        wanted: Sequence[Any] | None = None,
        budget: int = TOKENS_AT_ONCE,
    ) -> list[Array]:
        """See `InferenceModel.score`; `budget` is how many tokens to compute at once."""
        found: list[Any] = [None] * len(sequences)
        for pack in packs(sequences, positions=positions, budget=budget):
            chosen = wanted and [np.asarray(wanted[row], np.int64) for row in pack.rows]
            for row, scores in zip(pack.rows, self._score(pack, chosen), strict=True):
                found[row] = scores
        return found

    def _score(self, pack: Pack, wanted: Sequence[Array] | None) -> Sequence[Array]:
        first_only = TASKS[self.task].reads_first
        counts = np.array([len(places) for places in wanted]) if wanted else pack.lengths
        chosen = np.arange(len(pack.ids))  # of the tokens, in the pack
        if first_only:
            chosen = pack.starts
        elif wanted is not None:
            chosen = np.concatenate(wanted) + np.repeat(pack.starts, counts)
        one_each = first_only or (wanted is not None and bool((counts == 1).all()))

        columns = np.arange(pack.lengths[0])  # the longest comes first
        shown = columns < pack.lengths[:, None]  # n s
        tokens = np.where(shown, pack.starts[:, None] + columns, 0)
        inputs = (pack.ids, pack.positions, tokens, np.flatnonzero(shown), chosen)
        graph = self._graph(bool(shown.all()), len(pack.ids) <= FEW_TOKENS, one_each)
        scores = graph(*map(tf.convert_to_tensor, inputs)).numpy()
        return list(scores) if first_only else np.split(scores, np.cumsum(counts)[:-1])

    def _graph(self, full: bool, few: bool, one_each: bool) -> Any:
        """The graph for packs of any shape; there are eight at most, and each is traced once."""
        key = (full, few, one_each)
        if key not in self._graphs:
            vector, matrix = (tf.TensorSpec([None] * rank, tf.int64) for rank in (1, 2))
            self._graphs[key] = tf.function(
                partial(self._compute, full=full, few=few, one_each=one_each),
                input_signature=[vector, vector, matrix, vector, vector],
                autograph=False,
            )
        return self._graphs[key]

    def _compute(
        self,
        ids: tf.Tensor,
        positions: tf.Tensor,
        tokens: tf.Tensor,
        places: tf.Tensor,
        chosen: tf.Tensor,
        *,
        full: bool,
        few: bool,
        one_each: bool,
    ) -> tf.Tensor:
        """Scores (w, labels) of a pack, in float32.

        Args:
            ids: Of its tokens, (t).
            positions: Likewise.
            tokens: See `Rows`, (n, s).
            places: Likewise, (t).
            chosen: The tokens to be scored, (w).
            full: Whether all sequences are of the same length.
            few: Whether there are few tokens.
            one_each: Whether one token of each sequence is to be scored.
        """
        x = self._embeddings(ids, positions)  # t d
        rows = Rows.full(tokens) if full else Rows.ragged(tokens, places, x.dtype)
        for layer in self._layers[:-1]:
            x = layer(x, rows, few=few)
        if one_each:
            x = self._layers[-1](x, rows, chosen, few=few)  # w d
        else:
            x = tf.gather(self._layers[-1](x, rows, few=few), chosen)  # w d
        x = tf.cast(x, tf.float32)
        if TASKS[self.task].reads_first:
            return self._head(x[:, None], None)
        return x if self._head is None else self._head(x[None], None)[0]


class _Embeddings:
    def __init__(self, embeddings: Embeddings, dtype: tf.DType) -> None:
        self.words = copied(embeddings.word_embeddings.embeddings, dtype)
        self.positions = copied(embeddings.position_embeddings.embeddings, dtype)
        self.norm = layer_norm(embeddings.LayerNorm, dtype)

    def __call__(self, ids: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        return self.norm(tf.gather(self.words, ids) + tf.gather(self.positions, positions))


class _Layer:
    """One layer; queries, keys and values are one product, but for the last layer.

    There the queries are a product of their own, for they may be wanted of a few tokens only.
    """

    def __init__(
        self,
        blocks: Sequence[TransformerBlock],
        number: int,
        activation: str,
        dtype: tf.DType,
    ) -> None:
        block = blocks[number]
        attention, ffn = block.attention, block.ffn
        q, k, v = attention.q_lin, attention.k_lin, attention.v_lin
        self.head_dim = attention.head_dim
        self.width = q.kernel.shape[1]
        self.is_last = number == len(blocks) - 1
        if self.is_last:
            self.q, self.kv = float_product([q], dtype), float_product([k, v], dtype)
        else:
            self.qkv = float_product([q, k, v], dtype)
        self.out = float_product([attention.out_lin], dtype)
        self.lin1 = float_product([ffn.lin1], dtype, activation)
        self.lin2 = float_product([ffn.lin2], dtype)
        self.sa_layer_norm = layer_norm(block.sa_layer_norm, dtype)
        self.output_layer_norm = layer_norm(block.output_layer_norm, dtype)

    def __call__(
        self, x: tf.Tensor, rows: Rows, chosen: tf.Tensor | None = None, *, few: bool
    ) -> tf.Tensor:
        """Hidden states (r, d) of every token, or in the last layer of one token a sequence.

        Args:
            x: Hidden states (t, d).
            rows: The sequences.
            chosen: Which token of each sequence is wanted (n), or None for all.
            few: Whether there are few tokens.
        """
        if not self.is_last:
            q, k, v = rows.heads(self.qkv(x, None, few), 3, self.head_dim)  # n h s e each
        else:
            k, v = rows.heads(self.kv(x, None, few), 2, self.head_dim)  # n h s e each
            if chosen is None:
                (q,) = rows.heads(self.q(x, None, few), 1, self.head_dim)  # n h s e
            else:
                x = tf.gather(x, chosen)  # n d
                heads = self.width // self.head_dim
                q = tf.reshape(self.q(x, None, few), (-1, heads, 1, self.head_dim))  # n h 1 e
        context = rows.attend(q, k, v)  # n h s e, or n h 1 e
        if chosen is None:
            context = rows.join(context, self.width)  # t h*e
        else:
            context = tf.reshape(context, (-1, self.width))  # n h*e
        x = self.sa_layer_norm(self.out(context, x, few))
        return self.output_layer_norm(self.lin2(self.lin1(x, None, few), x, few))


def _head_of(model: TFDistilBertPreTrainedModel) -> Any:
    """The method `head` of a model that is the same, but in float32 and without an encoder."""
    kind = type(model)
    words = copied(model.get_input_embeddings().embeddings, tf.float32)

    class Head(kind):
        def make_layers(self, config: Any, **options: Any) -> None:
            self.make_head(config, **options)

        def get_input_embeddings(self) -> Any:
            return SimpleNamespace(embeddings=words)  # vocabulary logits are tied to it

    head = Head(model.config, initialise=False, dtype="float32")
    for weight in parameters(model.config, model.task):
        if not weight.in_encoder:
            head.put(weight, model.take(weight))
    return head.head
