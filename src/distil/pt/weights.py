"""Between canonical weights (numpy, named by the spec) and the parameters of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import ml_dtypes
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distil.common.config import DistilBertConfig
from distil.common.initial import initial_weight
from distil.common.spec import Weight, parameters
from distil.common.surgery import adapted, changed

# Attributes by kind of module and canonical leaf, and whether the axes are swapped: PyTorch's
# own names and orientation are the canonical ones.
_PAIR = {"weight": ("weight", False), "bias": ("bias", False)}
LEAVES = {
    "embedding": {"weight": ("weight", False)},
    "positions": {"weight": ("weight", False)},
    "linear": _PAIR,
    "norm": _PAIR,
}


def owner(model: nn.Module, weight: Weight) -> tuple[nn.Module, str, bool]:
    """The module that holds `weight`, its attribute there, and whether axes are swapped."""
    return model.get_submodule(weight.module), *LEAVES[weight.row.kind][weight.leaf]


def fill(
    model: nn.Module,
    config: DistilBertConfig,
    task: str,
    read: Mapping[str, Callable[[], NDArray]],
    *,
    seed: int,
    dtype: torch.dtype,
    device: torch.device,
) -> None:
    """Give every parameter its values: those that can be read, and new ones for the rest.

    Values that have the right type already are adopted without a copy, so that weights
    mapped from a file stay there until they are written to.
    """
    for weight in parameters(config, task):
        source = read.get(weight.name)
        array = initial_weight(config, weight, seed) if source is None else source()
        put(model, weight, to_tensor(array).to(device, dtype))


def put(model: nn.Module, weight: Weight, value: Tensor) -> None:
    """Replace a parameter by one with this value, of whatever shape."""
    module, leaf, _ = owner(model, weight)
    trainable = getattr(module, leaf).requires_grad
    setattr(module, leaf, nn.Parameter(value.contiguous(), requires_grad=trainable))
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.Embedding):
        module.num_embeddings, module.embedding_dim = module.weight.shape


def named_arrays(
    model: nn.Module, config: DistilBertConfig, task: str
) -> Iterator[tuple[str, NDArray]]:
    """Every parameter as a canonical array, one at a time."""
    for weight in parameters(config, task):
        module, leaf, _ = owner(model, weight)
        yield weight.name, to_numpy(getattr(module, leaf))


def reshape(
    model: nn.Module, task: str, before: DistilBertConfig, after: DistilBertConfig, *, seed: int
) -> None:
    """Replace the parameters whose shape differs between two configurations."""
    for weight in changed(before, after, task):
        module, leaf, _ = owner(model, weight)
        old = getattr(module, leaf)
        new = adapted(to_numpy(old), weight, before, after, seed=seed)
        put(model, weight, to_tensor(new).to(old.device, old.dtype))


def to_numpy(tensor: Tensor) -> NDArray:
    """The values of a tensor, without a copy where they are in main memory."""
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def to_tensor(array: NDArray) -> Tensor:
    """A tensor over the memory of an array, which it must be allowed to write to."""
    if array.dtype == ml_dtypes.bfloat16:
        return to_tensor(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
