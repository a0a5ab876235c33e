"""Measuring, on some text, what `distil.common.inference.quantization` has to know of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from distil.common.inference.quantization import ActivationRanges
from distil.errors import InputError
from distil.pt.inference.packed import PackedModel
from distil.pt.inference.prepared import Product, float_product
from distil.pt.model import DistilBertPreTrainedModel


def calibrate(model: DistilBertPreTrainedModel, sequences: Sequence[Any]) -> ActivationRanges:
    """The ranges of what goes into each linear layer of the encoder, on these sequences.

    Args:
        model: The model, of any task.
        sequences: Token ids of each, special tokens included; a few dozen are enough.

    Raises:
        InputError: There are no sequences.
    """
    if len(sequences) == 0:
        raise InputError("there is nothing to calibrate on", where="sequences")
    observed = _ObservedModel(model)
    observed.score(sequences, wanted=[range(len(sequence)) for sequence in sequences])
    return observed.ranges


class _ObservedModel(PackedModel):
    """A packed model in float32 that remembers the lowest and highest input of its products."""

    def __init__(self, model: DistilBertPreTrainedModel) -> None:
        self.config, self.task, self.device = model.config, "base", model.device
        self.dtype = "float32"
        self.ranges: dict[str, tuple[float, float]] = {}
        self._build(model, self._observed, torch.float32)
        self._head = None

    def _observed(self, modules: dict[str, nn.Linear], activation: str) -> Product:
        product = float_product([*modules.values()], torch.float32, activation)

        def call(x: Tensor, residual: Tensor | None) -> Tensor:
            low, high = (float(bound) for bound in x.aminmax())
            for name in modules:
                before = self.ranges.get(name, (low, high))
                self.ranges[name] = (min(low, before[0]), max(high, before[1]))
            return product(x, residual)

        return call
