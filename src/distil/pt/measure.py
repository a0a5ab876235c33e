"""All that a model computes for one batch, as numpy arrays, in PyTorch, for parity checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray

from distil.common.measurement import Measurement, flatten, probe
from distil.common.spec import parameters
from distil.pt.model import DistilBertPreTrainedModel
from distil.pt.weights import owner, to_numpy


def measure(
    model: DistilBertPreTrainedModel,
    batch: Mapping[str, NDArray[Any]],
    *,
    gradients: bool = True,
    attentions: bool = True,
    padding: bool = True,
) -> Measurement:
    """Run a model on a batch.

    Args:
        model: Of any task.
        batch: Its inputs by name, labels included.
        gradients: Compute those of the loss, or without labels those of a fixed combination
            of the last hidden states or logits.
        attentions: Ask for attention weights, which takes the explicit path.
        padding: Let that combination, of last hidden states, include those at padding.
    """
    tensors = {name: torch.from_numpy(array).to(model.device) for name, array in batch.items()}
    output = model(**tensors, output_hidden_states=True, output_attentions=attentions)
    found = flatten(output)
    measured = Measurement({name: to_numpy(value) for name, value in found.items()})
    if gradients:
        if "loss" in output:
            target = output.loss
        else:
            first = output[0]
            factors = probe(tuple(first.shape))
            if not padding:
                factors *= batch["attention_mask"][..., None]
            target = (first * torch.from_numpy(factors).to(first)).sum()
        table = list(parameters(model.config, model.task))
        variables = [getattr(module, leaf) for module, leaf, _ in (owner(model, w) for w in table)]
        trained = [v for v in variables if v.requires_grad]
        values = iter(torch.autograd.grad(target, trained, allow_unused=True))
        for weight, variable in zip(table, variables, strict=True):
            value = next(values) if variable.requires_grad else None
            if value is not None:
                measured.gradients[weight.name] = to_numpy(value)
    return measured
