"""Dropout with masks of its own: the rate, the scale, the gradient, the generator."""

import pytest
import torch

from distil.pt.dropout import Dropout

COUNT = 1_000_003  # no multiple of the four elements that a draw serves


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_rate_and_the_scale(rate):
    torch.manual_seed(0)
    found = Dropout(rate)(torch.ones(COUNT))
    assert found.dtype == torch.float32
    assert found.shape == (COUNT,)
    kept = found != 0
    spread = (rate * (1 - rate) / COUNT) ** 0.5
    assert abs(kept.double().mean() - (1 - rate)) < 5 * spread + 2**-16
    torch.testing.assert_close(found[kept], torch.full_like(found[kept], 1 / (1 - rate)),
                               rtol=2e-4, atol=0)  # fmt: skip


def test_neighbours_are_independent():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(COUNT)) != 0).double()
    for distance in range(1, 9):
        together = (kept[:-distance] * kept[distance:]).mean()
        assert abs(together - 0.25) < 0.0025


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_types_and_shapes_stay(dtype):
    found = Dropout(0.3)(torch.ones(2, 3, 5, dtype=dtype))
    assert (found.dtype, found.shape) == (dtype, (2, 3, 5))


def test_the_gradient_goes_where_the_values_went():
    x = torch.ones(1000, requires_grad=True)
    found = Dropout(0.5)(x)
    found.sum().backward()
    torch.testing.assert_close(x.grad, found.detach(), rtol=0, atol=0)


def test_the_generator_decides():
    def drop():
        torch.manual_seed(3)
        return Dropout(0.5)(torch.ones(100))

    torch.testing.assert_close(drop(), drop(), rtol=0, atol=0)
    assert not torch.equal(drop(), Dropout(0.5)(torch.ones(100)))


@pytest.mark.parametrize("layer", [Dropout(0.5).eval(), Dropout(0.0), Dropout(0.0).train()])
def test_off_is_off(layer):
    x = torch.randn(7)
    assert torch.equal(layer(x), x)


def test_all_may_be_dropped():
    assert not Dropout(1.0)(torch.ones(7)).any()
