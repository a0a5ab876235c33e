"""Observing what goes into linear layers, for `distil.common.inference.calibration`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from distil.pt.inference.packed import PackedModel
from distil.pt.inference.prepared import Product, float_product
from distil.pt.model import DistilBertPreTrainedModel


def observe(
    model: DistilBertPreTrainedModel, sequences: Sequence[Any]
) -> list[tuple[str, float, float]]:
    """The lowest and highest input of each linear layer of the encoder, once for each pack.

    Args:
        model: The model, of any task.
        sequences: Token ids of each, special tokens included; a few dozen are enough.

    Returns:
        Name of the layer, lowest and highest input; of layers with one input, the first.
    """
    observed = _ObservedModel(model)
    observed.score(sequences)
    return observed.seen


class _ObservedModel(PackedModel):
    """A packed model in float32 that writes down the lowest and highest input of its products."""

    def __init__(self, model: DistilBertPreTrainedModel) -> None:
        self.config, self.task, self.device = model.config, "base", model.device
        self.dtype = "float32"
        self.seen: list[tuple[str, float, float]] = []
        self._build(model, self._observed, torch.float32)
        self._head = None

    def _observed(
        self, modules: dict[str, nn.Linear], activation: str, reader: str | None
    ) -> Product:
        product = float_product([*modules.values()], torch.float32, activation)
        name = next(iter(modules))

        def call(x: Tensor, residual: Tensor | None) -> Tensor:
            low, high = (float(bound) for bound in x.aminmax())
            self.seen.append((name, low, high))
            return product(x, residual)

        return call
