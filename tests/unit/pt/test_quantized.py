"""A product in int8 is that of the bytes that its inputs and weights become."""

import numpy as np
import pytest
import torch
from torch import nn

from distil.common.inference.quantization import scale_and_zero_point
from distil.pt.activations import ACTIVATIONS
from distil.pt.inference import capabilities
from distil.pt.inference.quantized import QuantizedProduct

pytestmark = [
    pytest.mark.pt,
    pytest.mark.skipif(not capabilities.has_int8(), reason="this processor has no VNNI"),
]

INPUTS, OUTPUTS = (-1.5, 2.5), (-0.2, 4.0)


def layers(*outputs, inputs=24):
    torch.manual_seed(0)
    return [nn.Linear(inputs, width).requires_grad_(False) for width in outputs]


def reference(modules, x, activation="linear", residual=None):
    """In float64, from the bytes: every step but the sum's own rounding."""
    weight = np.concatenate([module.weight.numpy() for module in modules]).astype(np.float64)
    bias = np.concatenate([module.bias.numpy() for module in modules])
    scales = np.abs(weight).max(1, keepdims=True) / 127
    levels = np.rint(weight / scales)
    scale, zero = scale_and_zero_point(*INPUTS)
    inputs = np.clip(np.floor(x.double().numpy() / scale + zero + 0.5), 0, 255) - zero
    y = torch.from_numpy(inputs @ levels.T * scale * scales.T + bias)
    y = ACTIVATIONS[activation](y)
    return y if residual is None else y + residual


def inputs(rows=7):
    """Some beyond the range, which are cut off."""
    return torch.linspace(-2, 3, rows * 24).view(rows, 24).flip(1)


@pytest.mark.parametrize("activation", ["linear", "gelu", "gelu_new", "relu", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_product(dtype, activation):
    modules = layers(5, 11)
    found = QuantizedProduct(modules, INPUTS, dtype=dtype, activation=activation)(inputs())
    assert (found.shape, found.dtype) == ((7, 16), dtype)
    near = 1e-5 if dtype == torch.float32 else 1e-2
    expected = reference(modules, inputs(), activation)
    torch.testing.assert_close(found.double(), expected, rtol=near, atol=near)


def test_a_residual_is_added():
    modules, residual = layers(6), torch.linspace(-3, 3, 42).view(7, 6)
    expected = reference(modules, inputs(), residual=residual)
    found = QuantizedProduct(modules, INPUTS)(inputs(), residual.clone())
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_inputs_in_bfloat16():
    modules, x = layers(6), inputs().bfloat16()
    found = QuantizedProduct(modules, INPUTS)(x)
    torch.testing.assert_close(found.double(), reference(modules, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_bytes_go_from_one_product_to_the_next(activation):
    modules = layers(6)
    product = QuantizedProduct(modules, INPUTS, outputs=OUTPUTS, activation=activation)
    found = product(inputs())
    assert (found.shape, found.dtype) == ((7, 6), torch.uint8)
    scale, zero = scale_and_zero_point(*OUTPUTS)
    expected = reference(modules, inputs(), activation).clamp(*OUTPUTS)
    # Half a step of rounding, and a little of the sum's own.
    torch.testing.assert_close((found.double() - zero) * scale, expected, rtol=0, atol=0.52 * scale)
    following = QuantizedProduct(layers(4, inputs=6), OUTPUTS)
    torch.testing.assert_close(following(found), following((found.float() - zero) * scale))


def test_an_activation_that_is_not_fused_gives_no_bytes():
    product = QuantizedProduct(layers(6), INPUTS, outputs=OUTPUTS, activation="silu")
    assert product(inputs()).dtype == torch.float32


def test_an_output_whose_weights_are_all_zero():
    modules = layers(6)
    modules[0].weight[2] = 0
    found = QuantizedProduct(modules, INPUTS)(inputs())
    torch.testing.assert_close(found[:, 2], modules[0].bias[2].expand(7))
