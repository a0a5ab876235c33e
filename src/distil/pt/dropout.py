"""Dropout whose masks are cheap to draw on a CPU; `distil.tf` has no twin of this file."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# A mask takes 16 bits of a draw of 64; rates are rounded to 1 / 2^16.
_LEVELS = 2**16


class Dropout(nn.Dropout):
    """Drops elements at rate `p` in training, and scales up the rest.

    PyTorch draws Bernoulli numbers on a CPU so slowly that they take 7% of a training step of
    a base model in float32, and 40% in bfloat16.  Here a 64-bit integer serves four elements.
    """

    def forward(self, x: Tensor) -> Tensor:
        """A tensor of any shape to one of the same."""
        dropped = round(self.p * _LEVELS)
        if not (self.training and 0 < dropped < _LEVELS and draws_cheaply(x)):
            return super().forward(x)
        count = x.numel()
        draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
        levels = draws.view(torch.int16)[:count].view(x.shape)  # from -2^15 to 2^15 - 1
        drop = levels < dropped - _LEVELS // 2
        return _Drop.apply(x, drop, _LEVELS / (_LEVELS - dropped))


class _Drop(torch.autograd.Function):
    """Puts 0 under True, and scales the rest, both ways.

    A product with the mask would turn its bits into numbers, in the backward pass once more:
    that and the passes over memory that it needs take 1.7 times as long, in bfloat16 2.8 times.
    """

    @staticmethod
    def forward(x: Tensor, drop: Tensor, scale: float) -> Tensor:
        return x.mul(scale).masked_fill_(drop, 0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, float], output: Tensor) -> None:
        _, drop, ctx.scale = inputs
        ctx.save_for_backward(drop)
        ctx.save_for_forward(drop)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (drop,) = ctx.saved_tensors
        return gradient.mul(ctx.scale).masked_fill_(drop, 0), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        (drop,) = ctx.saved_tensors
        return tangent.mul(ctx.scale).masked_fill_(drop, 0)


def draws_cheaply(x: Tensor) -> bool:
    """Whether `Dropout` draws its own masks for `x`: on a CPU, unless something is traced."""
    return x.device.type == "cpu" and not (torch.compiler.is_compiling() or torch.jit.is_tracing())
