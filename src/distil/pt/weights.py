"""Between canonical weights (numpy, named by the spec) and the parameters of a module."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import torch
from torch import Tensor, nn

from distil.arrays import Array
from distil.common.model import encoder_of
from distil.common.spec import Weight
from distil.errors import InputError

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
    root = encoder_of(model) if model.task == "base" else model
    return root.get_submodule(weight.module), *LEAVES[weight.row.kind][weight.leaf]


def put(
    model: nn.Module,
    weight: Weight,
    array: Array,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
) -> None:
    """Replace a parameter by one with the values of a canonical array, of whatever shape.

    Values that have the right type already are adopted without a copy, so that weights
    mapped from a file stay there until they are written to.

    Args:
        model: Of any task.
        weight: Which one.
        array: Its values.
        dtype: None keeps the parameter's.
        device: None keeps the parameter's, or takes PyTorch's default in place of "meta".
    """
    module, leaf, _ = owner(model, weight)
    old = getattr(module, leaf)
    if device is None:
        device = torch.get_default_device() if old.is_meta else old.device
    value = to_tensor(array).to(device, dtype or old.dtype).contiguous()
    setattr(module, leaf, nn.Parameter(value, requires_grad=old.requires_grad))
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.Embedding):
        module.num_embeddings, module.embedding_dim = module.weight.shape


def take(model: nn.Module, weight: Weight) -> Array:
    """The canonical array of a parameter."""
    module, leaf, _ = owner(model, weight)
    return to_numpy(getattr(module, leaf))


def to_numpy(x: Tensor) -> Array:
    """The values of a tensor, without a copy where they are in main memory.

    Raises:
        InputError: The tensor is of a kind that has none of its own (DTensor, torchao's).
    """
    if hasattr(x, "__tensor_flatten__"):
        raise InputError(
            "weights of this kind have no values of their own", expected="torch.Tensor",
            found=type(x.detach()).__name__,
            fix="pass whole ones as state_dict=: of FSDP, get_model_state_dict(model, options="
            "StateDictOptions(full_state_dict=True)); save a model before it is quantized",
        )  # fmt: skip
    x = x.detach().cpu()
    if x.dtype == torch.bfloat16:
        return x.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


def to_tensor(array: Array) -> Tensor:
    """A tensor over the memory of an array, which it must be allowed to write to."""
    if array.dtype == ml_dtypes.bfloat16:
        return to_tensor(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
