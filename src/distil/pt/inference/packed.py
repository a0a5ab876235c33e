"""A model for inference alone, in PyTorch: no padding, prepared weights, nothing computed in vain.

Shapes: t tokens of a pack, n its sequences, d dim, h heads, e width of a head, r tokens whose
last hidden states are wanted: t of them, or n where one of each sequence is enough.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distil.arrays import Array
from distil.common.config import DistilBertConfig
from distil.common.inference.model import InferenceModel
from distil.common.inference.packing import TOKENS_AT_ONCE, Group, Pack, packs
from distil.common.inference.ranges import ActivationRanges, check_ranges
from distil.common.model import encoder_of
from distil.common.spec import ATTENTION_OUT, FFN_IN, FFN_OUT, KEY, QUERY, VALUE, Row
from distil.common.tasks import TASKS
from distil.errors import InputError
from distil.pt.encoder import Embeddings
from distil.pt.inference.attention import Attention, attention_for
from distil.pt.inference.capabilities import settle
from distil.pt.inference.prepared import Product, float_product, layer_norm
from distil.pt.inference.quantized import QuantizedProduct
from distil.pt.model import DistilBertPreTrainedModel

# Of linear layers that have the same input, by their names in the encoder, the activation after
# them, and the linear layer that reads what they give, if nothing stands between.
MakeProduct = Callable[[dict[str, nn.Linear], str, str | None], Product]

# How many times TOKENS_AT_ONCE: the widest activations then have as many bytes in every type,
# and products of bfloat16 and int8 want more rows than those of float32.
_MORE_AT_ONCE = {"bfloat16": 2, "float16": 2, "int8": 2}


class PackedModel(InferenceModel):
    """A model for inference: it computes what the model does, without padding.

    Called like the model it was made from, or with `score` on sequences of any lengths.  Holds
    prepared copies of the weights, so that changing the model afterwards does not change it.
    Computes where the model is.

    Args:
        model: The model, of any task.
        dtype: To compute in: "float32", "bfloat16", on a CPU also "int8", on a GPU "float16".
            Where the processor has no such arithmetic, the next best, with a warning.
        ranges: For int8, see `distil.common.inference.calibration`.

    Raises:
        InputError: There is no such form on the model's device, or int8 has no ranges.
        CheckpointError: The ranges are not those of this model.
    """

    framework = "pt"

    def __init__(
        self,
        model: DistilBertPreTrainedModel,
        *,
        dtype: str = "float32",
        ranges: ActivationRanges | None = None,
    ) -> None:
        self.config, self.task, self.device = model.config, model.task, model.device
        self.dtype = settle(str(dtype).removeprefix("torch."), model.device)
        if self.dtype == "int8":
            if ranges is None:
                raise InputError(
                    "int8 has to know the ranges of activations", where="ranges",
                    fix="use distil.optimize, which measures them",
                )  # fmt: skip
            check_ranges(ranges, self.config, where="ranges")
            # The stream of hidden states stays in float32: it is what the bytes are made from.
            self._build(model, _int8_products(ranges, self.config), torch.float32)
        else:
            compute = getattr(torch, self.dtype)
            self._build(model, _float_products(compute), compute)

    def _build(
        self, model: DistilBertPreTrainedModel, make: MakeProduct, dtype: torch.dtype
    ) -> None:
        encoder = encoder_of(model)
        attention = attention_for(self.device, dtype)
        self._embeddings = _Embeddings(encoder.embeddings, dtype)
        self._layers = [
            _Layer(encoder, number, self.config.activation, make, attention, dtype)
            for number in range(self.config.n_layers)
        ]
        self._head = None
        if encoder is not model:
            # A copy of the model around no encoder, for its head alone.
            self._head = copy.deepcopy(model, {id(encoder): nn.Identity()}).eval().float().head

    def _own(self, array: Array) -> Tensor:
        return torch.from_numpy(array)

    @torch.inference_mode()
    def score(
        self,
        sequences: Sequence[Any],
        *,
        positions: Sequence[Any] | None = None,
        wanted: Sequence[Any] | None = None,
        budget: int | None = None,
    ) -> list[Array]:
        """See `InferenceModel.score`; `budget` is how many tokens to compute at once."""
        budget = budget or TOKENS_AT_ONCE * _MORE_AT_ONCE.get(self.dtype, 1)
        found: list[Any] = [None] * len(sequences)
        for pack in packs(sequences, positions=positions, budget=budget):
            chosen = wanted and [np.asarray(wanted[row], np.int64) for row in pack.rows]
            for row, scores in zip(pack.rows, self._score(pack, chosen), strict=True):
                found[row] = scores
        return found

    def _score(self, pack: Pack, wanted: Sequence[Array] | None) -> Sequence[Array]:
        first_only = TASKS[self.task].reads_first
        counts = np.array([len(places) for places in wanted]) if wanted else pack.lengths
        chosen = None  # of the tokens, in the pack; None where all are wanted
        if first_only:
            chosen = pack.starts
        elif wanted is not None:
            chosen = np.concatenate(wanted) + np.repeat(pack.starts, counts)
        one_each = first_only or (wanted is not None and bool((counts == 1).all()))

        x = self._embeddings(self._moved(pack.ids), self._moved(pack.positions))  # t d
        for layer in self._layers[:-1]:
            x = layer(x, pack.groups)
        if one_each:
            x = self._layers[-1](x, pack.groups, self._moved(chosen))  # n d
        else:
            x = self._layers[-1](x, pack.groups)  # t d
            if chosen is not None:
                x = x[self._moved(chosen)]
        x = x.float()
        if first_only:
            return self._head(x[:, None]).cpu().numpy()
        scores = x if self._head is None else self._head(x[None])[0]
        return np.split(scores.cpu().numpy(), np.cumsum(counts)[:-1])

    def _moved(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self.device)


class _Embeddings:
    def __init__(self, embeddings: Embeddings, dtype: torch.dtype) -> None:
        self.words = embeddings.word_embeddings.weight.detach().to(dtype, copy=True)
        self.positions = embeddings.position_embeddings.weight.detach().to(dtype, copy=True)
        self.norm = layer_norm(embeddings.LayerNorm, dtype)

    def __call__(self, ids: Tensor, positions: Tensor) -> Tensor:
        return self.norm(self.words[ids].add_(self.positions[positions]))


class _Layer:
    """One layer; queries, keys and values are one product, but for the last layer.

    There the queries are a product of their own, for they may be wanted of a few tokens only.
    """

    def __init__(
        self,
        encoder: nn.Module,
        number: int,
        activation: str,
        make: MakeProduct,
        attention: Attention,
        dtype: torch.dtype,
    ) -> None:
        def product(*rows: Row, activation: str = "linear", reader: Row | None = None) -> Product:
            names = [row.at(number) for row in rows]
            modules = {name: encoder.get_submodule(name) for name in names}
            return make(modules, activation, reader and reader.at(number))

        block = encoder.transformer.layer[number]
        self.head_dim = block.attention.head_dim
        self.attention = attention
        self.is_last = number == len(encoder.transformer.layer) - 1
        if self.is_last:
            self.q, self.kv = product(QUERY), product(KEY, VALUE)
        else:
            self.qkv = product(QUERY, KEY, VALUE)
        self.out = product(ATTENTION_OUT)
        self.lin1 = product(FFN_IN, activation=activation, reader=FFN_OUT)
        self.lin2 = product(FFN_OUT)
        self.sa_layer_norm = layer_norm(block.sa_layer_norm, dtype)
        self.output_layer_norm = layer_norm(block.output_layer_norm, dtype)

    def __call__(self, x: Tensor, groups: Sequence[Group], chosen: Tensor | None = None) -> Tensor:
        """Hidden states (r, d) of every token, or in the last layer of one token a sequence.

        Args:
            x: Hidden states (t, d).
            groups: The sequences.
            chosen: Which token of each sequence is wanted (n), or None for all.
        """
        if self.is_last:
            kv = self.kv(x, None).unflatten(1, (2, -1, self.head_dim))  # t 2 h e
            x = x if chosen is None else x[chosen]  # r d
            q = self.q(x, None).unflatten(1, (-1, self.head_dim))  # r h e
        else:
            qkv = self.qkv(x, None).unflatten(1, (3, -1, self.head_dim))  # t 3 h e
            q, kv = qkv[:, 0], qkv[:, 1:]
        context = self.attention(q, kv, groups)  # r h*e
        x = self.sa_layer_norm(self.out(context, x))
        return self.output_layer_norm(self.lin2(self.lin1(x, None), x))


def _float_products(dtype: torch.dtype) -> MakeProduct:
    return lambda modules, activation, _: float_product([*modules.values()], dtype, activation)


def _int8_products(ranges: ActivationRanges, config: DistilBertConfig) -> MakeProduct:
    """Products that take and give bytes where nothing stands between two of them."""
    to_sum = {row.at(layer) for row in (ATTENTION_OUT, FFN_OUT) for layer in range(config.n_layers)}

    def make(modules: dict[str, nn.Linear], activation: str, reader: str | None) -> Product:
        name = next(iter(modules))
        return QuantizedProduct(
            [*modules.values()], ranges[name], activation=activation,
            outputs=None if reader is None else ranges[reader],
            # What goes into attention is in bfloat16, what goes into a sum in float32.
            dtype=torch.float32 if reader or name in to_sum else torch.bfloat16,
        )  # fmt: skip

    return make
