"""Looking at the values of tensors, in PyTorch, where looking is free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distil.common.errors import DistilError
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
    x = x.long()  # `limit` may not fit the type of `x`
    refuse_if((x < 0) | (x >= limit), x, lambda found: out_of_range(name, limit, found, what=what))


def refuse_if(wrong: Tensor, x: Tensor, error: Callable[[Any], DistilError]) -> None:
    """Raise if any value is wrong, where values can be read.

    Args:
        wrong: Where `x` is wrong, of the same shape.
        x: The values.
        error: Makes the error from one of the wrong values.
    """
    if can_look(x) and wrong.any():
        raise error(x[wrong][0].item())
