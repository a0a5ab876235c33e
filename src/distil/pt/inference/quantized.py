"""Linear layers in int8: bytes times bytes, summed in int32, through oneDNN.

Weights have a scale for each output, inputs one scale and a zero point for all: those of
`distil.common.inference.quantization`, so that nothing has to be measured while the model runs.
Shapes: t tokens, i inputs, o outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distil.common.inference.quantization import LEVELS, quantized, scale_and_zero_point
from distil.pt.activations import ACTIVATIONS
from distil.pt.inference.prepared import FUSED, joined

Range = tuple[float, float]


class QuantizedProduct:
    """One product for several linear layers of the same input, with the activation after it.

    Args:
        modules: The layers.
        inputs: Range of what goes in.
        outputs: Range of what comes out, for a result in bytes, which the next product takes
            as they are; None gives a result in `dtype`.
        dtype: Of the result.
        activation: By name.
    """

    def __init__(
        self,
        modules: Sequence[nn.Linear],
        inputs: Range,
        *,
        outputs: Range | None = None,
        dtype: torch.dtype = torch.float32,
        activation: str = "linear",
    ) -> None:
        weight, self._bias = joined(modules, torch.float32)  # o i, o
        values, factors = map(torch.from_numpy, quantized(weight.numpy()))  # o i, o 1
        self._weight = torch.ops.onednn.qlinear_prepack(values, None)
        self._weight_scales = factors[:, 0]
        self._weight_zeros = torch.zeros(len(factors), dtype=torch.int32)
        self._scale, self._zero = scale_and_zero_point(*inputs)
        # Half a step more, for the conversion cuts off what rounding would look at.
        self._offset = torch.tensor([self._zero + 0.5])
        fused = activation in FUSED
        self._after = None if fused else ACTIVATIONS[activation]
        self._post = FUSED[activation] if fused else FUSED["linear"]
        self._result = (1.0, 0, dtype)
        if outputs is not None and fused:
            self._result = (*scale_and_zero_point(*outputs), torch.uint8)

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """The product of x (t, i), bytes already or not, plus a residual (t, o).

        The sum takes the residual's place in memory.  No layer has both that and an activation.
        """
        if x.dtype != torch.uint8:
            x = self._in_bytes(x)
        name, variant = self._post
        head = (x, self._scale, self._zero, self._weight, self._weight_scales, self._weight_zeros)
        if residual is not None:
            return torch.ops.onednn.qlinear_pointwise.binary(
                *head, residual, self._bias, *self._result, 1.0, 0, "sum", 1.0, name, [], variant
            )
        y = torch.ops.onednn.qlinear_pointwise(*head, self._bias, *self._result, name, [], variant)
        return y if self._after is None else self._after(y)

    def _in_bytes(self, x: Tensor) -> Tensor:
        # A sum of two types takes four times the time of a conversion before it.
        levels = torch.add(self._offset, x.float(), alpha=1 / self._scale)
        return levels.clamp_(0, LEVELS).to(torch.uint8)
