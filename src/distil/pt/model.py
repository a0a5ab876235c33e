"""What the six PyTorch models have in common; `distil.pt.heads` says what each adds.

The twin of this file is `distil.tf.model`; what is neutral is in `distil.common.model`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from distil.arrays import Array
from distil.checkpoints.pretrained import Pretrained
from distil.common.config import DistilBertConfig
from distil.common.model import encoder_of, filled_later
from distil.common.spec import Weight
from distil.errors import InputError
from distil.pt import outputs as _outputs  # noqa: F401 - registers them
from distil.pt import weights
from distil.pt.compatibility import Habits


class DistilBertPreTrainedModel(Habits, Pretrained, nn.Module):
    """Base class: construction, loading and saving, surgery.

    Args:
        config: The architecture.
        seed: Of the initial weights; None draws one from PyTorch's generator, so that
            torch.manual_seed decides.
        initialise: False leaves every weight on the meta device, for a caller who fills them.
    """

    framework = "pt"

    def __init__(
        self, config: DistilBertConfig, *, seed: int | None = None, initialise: bool = True
    ) -> None:
        super().__init__()
        self.config = config
        with torch.device("meta"), NothingDrawn():
            self.make_layers(config)
        if initialise:
            self.begin(seed)

    def make_layers(self, config: DistilBertConfig) -> None:
        """Set the modules of this model as attributes, under the checkpoint's names."""

    @classmethod
    def make(  # noqa: D102
        cls,
        config: DistilBertConfig,
        read: Mapping[str, Callable[[], Array]],
        *,
        seed: int | None,
        dtype: str,
        device: str | None,
        **options: Any,
    ) -> Self:
        target = _device_called(device)
        with filled_later():
            model = cls(config, **options)
        model.fill(read, seed=seed, dtype=getattr(torch, dtype), device=target)
        return model.eval()

    def put(self, weight: Weight, array: Array, **options: Any) -> None:  # noqa: D102
        weights.put(self, weight, array, **options)

    def take(self, weight: Weight) -> Array:  # noqa: D102
        return weights.take(self, weight)

    def new_seed(self) -> int:  # noqa: D102
        seed = torch.randint(2**31, (), device="cpu")
        return int(seed) if type(seed) is torch.Tensor else 0  # a FakeTensor has no value

    @property
    def weights_dtype(self) -> str:  # noqa: D102
        return str(self.dtype).removeprefix("torch.")

    @property
    def base_model(self) -> DistilBertPreTrainedModel:
        """The model without its head."""
        return encoder_of(self)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(self.parameters()).dtype

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Number of parameters, tied ones counted once."""
        tables = (self.get_input_embeddings(), self.get_position_embeddings())
        left_out = {id(one.weight) for one in tables if exclude_embeddings}
        return sum(
            p.numel()
            for p in self.parameters()
            if id(p) not in left_out and (p.requires_grad or not only_trainable)
        )


class NothingDrawn(TorchFunctionMode):
    """Make modules without their initial values, which `fill` gives them.

    On the meta device they cost no memory; but to draw them there PyTorch imports 80 MB of
    Python for 0.8 s.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def _device_called(name: str | None) -> torch.device | None:
    """The device of that name; None leaves it to PyTorch.

    Raises:
        InputError: There is no such device.
    """
    try:
        device = None if name is None else torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # no such device, or no CUDA in PyTorch
        raise InputError(
            "unknown device", expected='"cpu", "cuda:0", ...', found=str(error).splitlines()[0],
            where="device",
        ) from None  # fmt: skip
    return device
