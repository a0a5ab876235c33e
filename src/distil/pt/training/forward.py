"""A model's loss and logits in training, from no more of the model than they depend on.

What the model itself would compute besides is left out: scores of words that nobody has to
guess, and the last layer's output at tokens that the head does not look at.

Shapes: b batch, s length, d dim, m tokens to be guessed, v vocabulary.  The twin of this file is
`distil.tf.training.forward`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from distil.common.inference.model import READS_FIRST
from distil.common.outputs import HeadOutput, ModelOutput
from distil.common.steps.masking import PLACES
from distil.pt import losses
from distil.pt.checks import check_inputs
from distil.pt.encoder import TransformerBlock, hide
from distil.pt.model import DistilBertPreTrainedModel, encoder_of


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
    if model.task in READS_FIRST and not model.is_gradient_checkpointing:
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
    x = encoder.embeddings(ids, None, None)  # b s d
    *layers, last = encoder.transformer.layer
    for layer in layers:
        x, _ = layer(x, mask, None, False)
    logits = model.head(_first_token(last, x, mask))
    if choices:
        logits = logits.reshape(input_ids.shape[:2])
    loss = None
    if labels is not None:
        loss = losses.loss(model.config, model.task, logits, labels)
    return HeadOutput(loss, logits)


def _first_token(layer: TransformerBlock, x: Tensor, mask: Tensor | None) -> Tensor:
    """What a layer gives for the first token of hidden states (b, s, d): (b, 1, d)."""
    attention = layer.attention
    first = x[:, :1]
    q = attention.split_heads(attention.q_lin(first))  # b h 1 e
    k = attention.split_heads(attention.k_lin(x))  # b h s e
    v = attention.split_heads(attention.v_lin(x))
    rate = attention.dropout.p if attention.training else 0.0
    q, bias = hide(q, mask)
    context = functional.scaled_dot_product_attention(q, k, v, bias, dropout_p=rate)
    attended = attention.out_lin(attention.join_heads(context))
    first = layer.sa_layer_norm(attended + first)
    return layer.output_layer_norm(layer.ffn(first) + first)
