"""A model's loss and logits in training, from no more of the model than they depend on.

What the model itself would compute besides is left out: scores of words that nobody has to
guess, and the last layer's output at tokens that the head does not look at.

Shapes: b batch, s length, d dim, m tokens to be guessed, v vocabulary.  The twin of this file is
`distil.pt.training.forward`.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from distil.common.model import encoder_of
from distil.common.outputs import EncoderOutput, HeadOutput, ModelOutput
from distil.common.steps.masking import PLACES
from distil.common.tasks import TASKS
from distil.tf import losses
from distil.tf.checks import check_inputs
from distil.tf.layers import split_seed
from distil.tf.model import TFDistilBertPreTrainedModel, dropout_seed


def forward(
    model: TFDistilBertPreTrainedModel, inputs: Mapping[str, tf.Tensor], training: bool
) -> ModelOutput:
    """What `model(**inputs)` gives, as far as it is needed.

    Args:
        model: Of any task with a head.
        inputs: Its inputs by name.  Of masked-LM `labels` (m) are the tokens to be guessed, and
            `places` (m) where they are in `input_ids` (b * s).
        training: Whether dropout is on.

    Returns:
        The model's output; of masked-LM the logits are (m, v).

    Raises:
        InputError: The inputs or labels do not fit the model or one another.
    """
    if model.task == "masked-lm":
        return _guessed_words(model, training=training, **inputs)
    if TASKS[model.task].reads_first and not model.is_gradient_checkpointing:
        return _first_tokens(model, training=training, **inputs)
    return model(**inputs, training=training)


def _guessed_words(
    model: TFDistilBertPreTrainedModel,
    input_ids: tf.Tensor,
    labels: tf.Tensor,
    attention_mask: tf.Tensor | None = None,
    training: bool = False,
    **places: tf.Tensor,
) -> HeadOutput:
    encoded = encoder_of(model)(
        input_ids=input_ids, attention_mask=attention_mask, training=training, return_dict=True
    )
    hidden = tf.reshape(encoded.last_hidden_state, (-1, model.config.dim))
    hidden = tf.gather(hidden, places[PLACES])  # m d
    logits = model.head(hidden[None], dropout_seed(model, training))[0]  # m v
    return HeadOutput(losses.cross_entropy(logits, labels), logits)


def _first_tokens(
    model: TFDistilBertPreTrainedModel,
    input_ids: tf.Tensor,
    labels: tf.Tensor | None = None,
    attention_mask: tf.Tensor | None = None,
    training: bool = False,
) -> HeadOutput:
    choices = model.task == "multiple-choice"
    check_inputs(model.config, input_ids, attention_mask, None, None, None, choices=choices)
    length = tf.shape(input_ids)[-1]
    ids = tf.reshape(input_ids, (-1, length))
    encoder = encoder_of(model)
    mask = None
    if attention_mask is not None:
        mask = tf.cast(tf.reshape(attention_mask, (-1, length)), tf.bool)[:, None, None, :]
    embeddings_seed, transformer_seed = split_seed(dropout_seed(encoder, training), 2)
    x = encoder.embeddings(input_ids=ids, seed=embeddings_seed)  # b s d
    *layers, last = encoder.transformer.layer
    *seeds, last_seed = split_seed(transformer_seed, len(layers) + 1)
    for layer, seed in zip(layers, seeds, strict=True):
        x, _ = layer(x, attention_mask=mask, seed=seed)
    # Not by __call__, which opens a name scope: what is in one scope TensorFlow's optimizer of
    # graphs adds up in another order, and results from before would differ in their last digit.
    first, _ = last.call(x, attention_mask=mask, queries=x[:, :1], seed=last_seed)  # b 1 d
    return model.outcome(EncoderOutput(first), input_ids, labels, dropout_seed(model, training))
