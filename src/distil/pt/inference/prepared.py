"""Linear layers for inference: weights laid out once for the library that multiplies with them.

Shapes: t tokens, i inputs, o outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from distil.common.spec import NORM_EPSILON
from distil.pt.activations import ACTIVATIONS
from distil.pt.inference import capabilities

# Of x (t, i), and of what is added to the product (t, o) or None; gives (t, o).
Product = Callable[[Tensor, Tensor | None], Tensor]

# Activations that oneDNN applies while it writes the product, by our name.
FUSED = {
    "linear": ("none", ""),
    "gelu": ("gelu", "none"),
    "gelu_new": ("gelu", "tanh"),
    "relu": ("relu", ""),
}

# Rows that oneDNN lays weights out for; with fewer or more they serve as well.
_ONEDNN_ROWS = 2048

# Sums of so many products, over so many rows, oneDNN divides among its threads in such a way that
# bfloat16 takes up to twice the time it takes in pieces (oneDNN 3, two cores with AMX).
_LONG_SUM = 2048
_BADLY_DIVIDED = range(450, 1300)
_ROWS_OF_A_PIECE = 256


def joined(modules: Sequence[nn.Linear], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight (o, i) and bias (o) of one product in place of several, all of the same input."""
    weight = torch.cat([module.weight.detach() for module in modules])
    bias = torch.cat([module.bias.detach() for module in modules])
    return weight.to(dtype), bias.to(dtype)  # copies: cat makes one even of a single tensor


def float_product(
    modules: Sequence[nn.Linear], dtype: torch.dtype, activation: str = "linear"
) -> Product:
    """One product for several linear layers of the same input, with the activation after it."""
    weight, bias = joined(modules, dtype)
    on_cpu = weight.device.type == "cpu"
    if on_cpu and dtype == torch.float32 and capabilities.has_mkl(*weight.shape):
        return _finished(_mkl(weight, bias), activation)
    if on_cpu and capabilities.has_onednn():
        if activation in FUSED:
            return _finished(_onednn(weight, bias, *FUSED[activation]), "linear")
        return _finished(_onednn(weight, bias, *FUSED["linear"]), activation)
    return _finished(lambda x: functional.linear(x, weight, bias), activation)


def _finished(product: Callable[[Tensor], Tensor], activation: str) -> Product:
    """The product, then the activation, then the sum, in the memory of the product."""
    function = ACTIVATIONS[activation]

    def call(x: Tensor, residual: Tensor | None = None) -> Tensor:
        y = product(x)
        if activation == "gelu":
            # Fresh memory for the widest activations of all takes longer than computing them.
            torch.ops.aten.gelu_(y)
        elif activation != "linear":
            y = function(y)
        return y if residual is None else y.add_(residual)

    return call


def _mkl(weight: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
    """MKL's float32 product: 5 to 10% faster than oneDNN's, the GELU after it included."""
    packed = torch.ops.mkl._mkl_reorder_linear_weight(weight, capabilities.MKL_ROWS)
    shape_alone = weight.new_empty(()).expand(weight.shape)  # the values are in `packed`
    return lambda x: torch.ops.mkl._mkl_linear(x, packed, shape_alone, bias, x.shape[0])


def _onednn(
    weight: Tensor, bias: Tensor, activation: str, variant: str
) -> Callable[[Tensor], Tensor]:
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ONEDNN_ROWS)

    def product(x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, packed, bias, activation, [], variant)

    if weight.dtype != torch.bfloat16 or weight.shape[1] < _LONG_SUM:
        return product

    def in_pieces(x: Tensor) -> Tensor:
        if len(x) in _BADLY_DIVIDED:
            return torch.cat([product(piece) for piece in x.split(_ROWS_OF_A_PIECE)])
        return product(x)

    return in_pieces


def layer_norm(norm: nn.LayerNorm, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """A layer norm in `dtype`."""
    weight = norm.weight.detach().to(dtype, copy=True)
    bias = norm.bias.detach().to(dtype, copy=True)
    shape, eps = weight.shape, NORM_EPSILON
    return lambda x: functional.layer_norm(x, shape, weight, bias, eps)
