"""A model as files of other runtimes hold it: two tensors in, a table of tensors out.

The twin of this file is `distil.pt.inference.exported`.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from distil.common.inference.quantization import quantized
from distil.common.sentences import SentenceEncoding
from distil.common.tasks import TASKS
from distil.tf.encoder import Embeddings
from distil.tf.model import TFDistilBertPreTrainedModel


class ExportedModel(tf.Module):
    """A model, or with an encoding what embeds texts with it.

    Args:
        model: Of any task; of the base model for an encoding.
        encoding: How texts become vectors; None gives the scores of the task.
    """

    def __init__(
        self, model: TFDistilBertPreTrainedModel, encoding: SentenceEncoding | None
    ) -> None:
        super().__init__()
        self.model, self.encoding = model, encoding

    def call(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> dict[str, tf.Tensor]:
        """Outputs by name, in float32, of token ids and mask (b, s)."""
        output = self.model(input_ids=input_ids, attention_mask=attention_mask)
        if self.encoding is None:
            scores = TASKS[self.model.task].scores
            return {name: tf.cast(output[name], tf.float32) for name in scores}
        states = tf.cast(output.last_hidden_state, tf.float32)  # b s d
        shown = tf.expand_dims(tf.cast(attention_mask, tf.bool), -1)
        return {"sentence_embedding": self.embedded(states, shown)}

    def embedded(self, states: tf.Tensor, shown: tf.Tensor) -> tf.Tensor:
        """One vector (b d) of the states (b s d) of each text, where a mask (b s 1) shows them."""
        pooling = self.encoding.pooling
        if pooling == "cls":
            vectors = states[:, 0]
        elif pooling == "max":
            vectors = tf.reduce_max(tf.where(shown, states, states.dtype.min), axis=1)
        else:
            weights = tf.cast(shown, states.dtype)
            counts = tf.maximum(tf.reduce_sum(weights, axis=1), 1)
            divisor = tf.sqrt(counts) if pooling == "mean_sqrt_len" else counts
            vectors = tf.reduce_sum(states * weights, axis=1) / divisor
        if not self.encoding.normalize:
            return vectors
        return vectors / tf.maximum(tf.norm(vectors, axis=1, keepdims=True), 1e-12)


class ByteTable:
    """Embeddings in bytes, with one factor for each row.

    Args:
        table: The layer whose place it takes.
    """

    def __init__(self, table: keras.layers.Embedding) -> None:
        self.embeddings = table.embeddings  # what a projection that is tied to it reads
        self.values, self.factors = map(tf.constant, quantized(table.embeddings.numpy()))

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Ids of any shape to embeddings, with an axis more."""
        rows, factors = (tf.gather(one, ids) for one in (self.values, self.factors))
        return tf.cast(rows, factors.dtype) * factors

    __call__ = call


def store_embeddings_in_bytes(model: TFDistilBertPreTrainedModel) -> None:
    """Replace a model's tables of embeddings; a projection tied to one keeps its matrix."""
    for layer in model._flatten_layers():
        if isinstance(layer, Embeddings):
            layer.word_embeddings = ByteTable(layer.word_embeddings)
            layer.position_embeddings = ByteTable(layer.position_embeddings)


def traced(model: TFDistilBertPreTrainedModel, encoding: SentenceEncoding | None) -> Any:
    """A model as a function that takes batches of any size, and the module that holds its weights.

    Args:
        model: See `ExportedModel`.
        encoding: Likewise.
    """
    module = ExportedModel(model, encoding)
    size = [None] * (3 if TASKS[model.task].has_choices else 2)
    signature = [tf.TensorSpec(size, tf.int64, name) for name in ("input_ids", "attention_mask")]
    module.serve = tf.function(module.call, input_signature=signature)
    return module


def frozen(model: TFDistilBertPreTrainedModel, encoding: SentenceEncoding | None) -> Any:
    """As `traced`, with weights that are constants of the graph.

    LiteRT's converter writes variables as nothing, without a word, and the file answers NaN.
    """
    module = traced(model, encoding)
    concrete = module.serve.get_concrete_function()
    names = sorted(concrete.structured_outputs)  # as TensorFlow flattens a table
    constant = convert_variables_to_constants_v2(concrete)

    def call(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = constant(input_ids, attention_mask)
        return dict(zip(names, outputs, strict=True))

    held = tf.Module()
    held.serve = tf.function(call, input_signature=module.serve.input_signature)
    return held
