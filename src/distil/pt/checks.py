"""Looking at the values of tensors, in PyTorch, where looking is free."""

from __future__ import annotations

import torch
from torch import Tensor

from distil.common.inputs import not_integers, out_of_range


def can_look(x: Tensor) -> bool:
    """Whether values can be read now: not on a GPU, which would stall, nor while tracing."""
    return x.device.type == "cpu" and not (torch.compiler.is_compiling() or torch.jit.is_tracing())


def is_integer(x: Tensor) -> bool:
    """Whether `x` holds integers."""
    return not (x.is_floating_point() or x.is_complex() or x.dtype == torch.bool)


def check_indices(name: str, x: Tensor, limit: int, *, what: str) -> None:
    """Integers that index something must lie within it.

    Raises:
        InputError: They are not integers, or one is outside.
    """
    if not is_integer(x):
        raise not_integers(name, x.dtype)
    if can_look(x) and x.numel():
        low, high = (int(value) for value in torch.aminmax(x))
        if low < 0 or high >= limit:
            raise out_of_range(name, limit, low if low < 0 else high, what=what)
