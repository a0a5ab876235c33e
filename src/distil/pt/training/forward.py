"""A model's loss and logits in training, from no more of the model than they depend on.

What the model itself would compute besides is left out: scores of words that nobody has to
guess, and the last layer's output at tokens that the head does not look at.

Shapes: b batch, s length, d dim, m tokens to be guessed, v vocabulary.  The twin of this file is
`distil.tf.training.forward`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from distil.common.model import encoder_of
from distil.common.outputs import EncoderOutput, HeadOutput, ModelOutput
from distil.common.steps.masking import PLACES
from distil.common.tasks import TASKS
from distil.pt import losses
from distil.pt.checks import check_inputs
from distil.pt.model import DistilBertPreTrainedModel


def forward(model: DistilBertPreTrainedModel, inputs: Mapping[str, Tensor]) -> ModelOutput:
    """What `model(**inputs)` gives, as far as it is needed.

    Args:
        model: Of any task with a head; in training, dropout is on.
        inputs: Its inputs by name.  Of masked-LM `labels` (m) are the tokens to be guessed, and
            `places` (m) where they are in `input_ids` (b * s).

    Returns:
        The model's output; of masked-LM the logits are (m, v).

    Raises:
        InputError: The inputs or labels do not fit the model or one another.
    """
    if model.task == "masked-lm":
        return _guessed_words(model, **inputs)
    if TASKS[model.task].reads_first and not model.is_gradient_checkpointing:
        return _first_tokens(model, **inputs)
    return model(**inputs)


def _guessed_words(
    model: DistilBertPreTrainedModel,
    input_ids: Tensor,
    labels: Tensor,
    attention_mask: Tensor | None = None,
    **places: Tensor,
) -> HeadOutput:
    encoded = encoder_of(model)(input_ids, attention_mask, return_dict=True)
    hidden = encoded.last_hidden_state.flatten(0, 1)[places[PLACES].long()]  # m d
    logits = model.head(hidden[None])[0]  # m v
    return HeadOutput(losses.cross_entropy(logits, labels), logits)


def _first_tokens(
    model: DistilBertPreTrainedModel,
    input_ids: Tensor,
    labels: Tensor | None = None,
    attention_mask: Tensor | None = None,
) -> HeadOutput:
    choices = model.task == "multiple-choice"
    check_inputs(model.config, input_ids, attention_mask, None, None, None, choices=choices)
    ids = input_ids.flatten(0, -2)
    encoder = encoder_of(model)
    mask = None
    if attention_mask is not None:
        mask = (attention_mask.flatten(0, -2) != 0)[:, None, None, :]  # b 1 1 s
    x = encoder.embeddings(ids)  # b s d
    *layers, last = encoder.transformer.layer
    for layer in layers:
        x, _ = layer(x, mask)
    first, _ = last(x, mask, queries=x[:, :1])  # b 1 d
    return model.outcome(EncoderOutput(first), input_ids, labels)
