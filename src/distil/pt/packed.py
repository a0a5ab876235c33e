"""A model for inference alone, in PyTorch: no padding, prepared weights, nothing computed in vain.

Shapes: t tokens of a pack, n its sequences, d dim, h heads, e width of a head, c sequences of
equal length, s that length.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from distil.common.errors import InputError
from distil.common.outputs import (
    EncoderOutput,
    HeadOutput,
    ModelOutput,
    QuestionAnsweringOutput,
)
from distil.common.packing import TOKENS_AT_ONCE, Group, Pack, packs
from distil.pt.activations import ACTIVATIONS
from distil.pt.checks import check_inputs
from distil.pt.encoder import LAYER_NORM_EPS, Embeddings, TransformerBlock
from distil.pt.model import DistilBertPreTrainedModel, encoder_of

# Activations that oneDNN applies while it writes the product, by our name.
_FUSED = {"gelu": ("gelu", "none"), "gelu_new": ("gelu", "tanh"), "relu": ("relu", "")}

# Heads that look at the first token of a sequence, and at nothing else.
READS_FIRST = ("sequence-classification", "multiple-choice")

Linear = Callable[[Tensor], Tensor]


class PackedModel:
    """A model for inference: it computes what the model does, without padding.

    Called like the model it was made from, or with `score` on sequences of any lengths.  Holds
    prepared copies of the weights, so that changing the model afterwards does not change it.

    Args:
        model: The model, of any task, on the CPU.
        dtype: To compute in: torch.float32 or torch.bfloat16.
    """

    framework = "pt"

    def __init__(
        self, model: DistilBertPreTrainedModel, *, dtype: torch.dtype = torch.float32
    ) -> None:
        self.config, self.task = model.config, model.task
        encoder = encoder_of(model)
        self._embeddings = _Embeddings(encoder.embeddings, dtype)
        activation = self.config.activation
        self._layers = [_Layer(layer, activation, dtype) for layer in encoder.transformer.layer]
        self._head = None
        if encoder is not model:
            # A copy of the model around no encoder, for its head alone.
            self._head = copy.deepcopy(model, {id(encoder): nn.Identity()}).eval().float().head

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> ModelOutput:
        """Score a padded batch, as the model does.

        Args:
            input_ids: Token ids (b, s), of multiple choice (b, choices, s).
            attention_mask: 0 where a token is padding; None shows all.
            token_type_ids: Ignored, with one warning.

        Returns:
            The model's kind of output; what belongs to padding is 0.

        Raises:
            InputError: The inputs do not fit the model or one another, or a row is all padding.
        """
        choices = self.task == "multiple-choice"
        check_inputs(
            self.config, input_ids, attention_mask, None, None, token_type_ids, choices=choices
        )
        shape = input_ids.shape
        ids = input_ids.reshape(-1, shape[-1])
        shown = torch.ones_like(ids, dtype=torch.bool)
        if attention_mask is not None:
            shown = attention_mask.reshape(ids.shape) != 0
        if not shown.any(1).all():
            raise InputError("a row has nothing to attend to", where="attention_mask")
        places = [row.nonzero()[:, 0] for row in shown]
        rows = [row[place].numpy() for row, place in zip(ids, places, strict=True)]
        scores = self.score(rows, positions=[place.numpy() for place in places])
        if self.task in READS_FIRST:
            logits = torch.from_numpy(np.stack(scores))
            return HeadOutput(logits=logits.reshape(shape[:2]) if choices else logits)
        padded = torch.zeros(*ids.shape, scores[0].shape[-1])
        padded[shown] = torch.from_numpy(np.concatenate(scores))
        if self.task == "base":
            return EncoderOutput(last_hidden_state=padded)
        if self.task == "question-answering":
            start_logits, end_logits = padded.unbind(-1)
            return QuestionAnsweringOutput(start_logits=start_logits, end_logits=end_logits)
        return HeadOutput(logits=padded)

    @torch.inference_mode()
    def score(
        self,
        sequences: Sequence[Any],
        *,
        positions: Sequence[Any] | None = None,
        wanted: Sequence[Any] | None = None,
        budget: int = TOKENS_AT_ONCE,
    ) -> list[NDArray[Any]]:
        """Score sequences.

        Args:
            sequences: Token ids of each, special tokens included; none is empty.
            positions: Of the tokens of each; None counts from 0.
            wanted: Which tokens of each are to be scored, by number; None scores all.  Heads
                that look at the first token alone take no notice.
            budget: Tokens to compute at once.

        Returns:
            For each sequence, in the order given, its logits (of the base model its hidden
            states) in float32: (labels) where the head looks at the first token alone, else
            (tokens scored, labels).
        """
        found: list[Any] = [None] * len(sequences)
        for pack in packs(sequences, positions=positions, budget=budget):
            chosen = wanted and [np.asarray(wanted[row], np.int64) for row in pack.rows]
            for row, scores in zip(pack.rows, self._score(pack, chosen), strict=True):
                found[row] = scores
        return found

    def _score(self, pack: Pack, wanted: Sequence[NDArray[Any]] | None) -> Sequence[NDArray[Any]]:
        starts = torch.from_numpy(pack.starts)
        x = self._embeddings(torch.from_numpy(pack.ids), torch.from_numpy(pack.positions))  # t d
        for layer in self._layers[:-1]:
            x = layer.all_tokens(x, pack.groups)
        last = self._layers[-1]
        if self.task in READS_FIRST:
            first = last.first_tokens(x, pack.groups, starts)  # n d
            return self._head(first[:, None].float()).numpy()
        x = last.all_tokens(x, pack.groups).float()
        counts = pack.lengths
        if wanted is not None:
            counts = [len(places) for places in wanted]
            x = x[torch.from_numpy(np.concatenate(wanted) + np.repeat(pack.starts, counts))]
        scores = x if self._head is None else self._head(x[None])[0]
        return np.split(scores.numpy(), np.cumsum(counts)[:-1])


class _Embeddings:
    def __init__(self, embeddings: Embeddings, dtype: torch.dtype) -> None:
        self.words = embeddings.word_embeddings.weight.detach().to(dtype)
        self.positions = embeddings.position_embeddings.weight.detach().to(dtype)
        self.norm = _norm(embeddings.LayerNorm, dtype)

    def __call__(self, ids: Tensor, positions: Tensor) -> Tensor:
        return self.norm(self.words[ids] + self.positions[positions])


class _Layer:
    """One layer, with queries, keys and values in one product."""

    def __init__(self, layer: TransformerBlock, activation: str, dtype: torch.dtype) -> None:
        attention, ffn = layer.attention, layer.ffn
        self.head_dim = attention.head_dim
        q, k, v = attention.q_lin, attention.k_lin, attention.v_lin
        self.qkv = _linear((q, k, v), dtype)
        self.q, self.kv = _linear((q,), dtype), _linear((k, v), dtype)
        self.out = _linear((attention.out_lin,), dtype)
        self.lin1 = _linear((ffn.lin1,), dtype, activation)
        self.lin2 = _linear((ffn.lin2,), dtype)
        self.sa_layer_norm = _norm(layer.sa_layer_norm, dtype)
        self.output_layer_norm = _norm(layer.output_layer_norm, dtype)

    def all_tokens(self, x: Tensor, groups: Sequence[Group]) -> Tensor:
        """Hidden states (t, d) of every token."""
        qkv = self.qkv(x).unflatten(1, (3, -1, self.head_dim))  # t 3 h e
        context = torch.empty_like(qkv[:, 0])  # t h e
        for group in groups:
            shape = (group.count, group.length)
            q, k, v = qkv[group.tokens].unflatten(0, shape).permute(2, 0, 3, 1, 4)  # c h s e each
            found = functional.scaled_dot_product_attention(q, k, v)
            context[group.tokens] = found.transpose(1, 2).flatten(0, 1)
        return self._finish(context.flatten(1), x)

    def first_tokens(self, x: Tensor, groups: Sequence[Group], starts: Tensor) -> Tensor:
        """Hidden states (n, d) of each sequence's first token, which attends to all of it."""
        first = x[starts]  # n d
        q = self.q(first).unflatten(1, (-1, self.head_dim))  # n h e
        kv = self.kv(x).unflatten(1, (2, -1, self.head_dim))  # t 2 h e
        context = torch.empty_like(q)
        for group in groups:
            rows = slice(group.first, group.first + group.count)
            shape = (group.count, group.length)
            k, v = kv[group.tokens].unflatten(0, shape).permute(2, 0, 3, 1, 4)  # c h s e each
            found = functional.scaled_dot_product_attention(q[rows, :, None], k, v)
            context[rows] = found[:, :, 0]
        return self._finish(context.flatten(1), first)

    def _finish(self, context: Tensor, x: Tensor) -> Tensor:
        x = self.sa_layer_norm(self.out(context) + x)
        return self.output_layer_norm(self.lin2(self.lin1(x)) + x)


def _norm(norm: nn.LayerNorm, dtype: torch.dtype) -> Linear:
    weight, bias = norm.weight.detach().to(dtype), norm.bias.detach().to(dtype)
    return lambda x: functional.layer_norm(x, weight.shape, weight, bias, LAYER_NORM_EPS)


def _linear(modules: Sequence[nn.Linear], dtype: torch.dtype, activation: str = "linear") -> Linear:
    """One product for several linear layers of the same input, with the activation after it.

    Where oneDNN is there, its weights are laid out for it once, and common activations are
    applied while the product is written.
    """
    weight = torch.cat([module.weight.detach() for module in modules]).to(dtype)
    bias = torch.cat([module.bias.detach() for module in modules]).to(dtype)
    function = ACTIVATIONS[activation]
    if not torch.backends.mkldnn.is_available():
        return lambda x: function(functional.linear(x, weight, bias))
    weight = torch.ops.mkldnn._reorder_linear_weight(weight, TOKENS_AT_ONCE)
    name, variant = _FUSED.get(activation, ("none", ""))

    def product(x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, name, [], variant)

    if activation == "linear" or activation in _FUSED:
        return product
    return lambda x: function(product(x))
