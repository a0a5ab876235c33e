"""What the six PyTorch models have in common; `distil.pt.heads` says what each adds.

The twin of this file is `distil.tf.model`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from distil.checkpoints.pretrained import Pretrained
from distil.common import surgery
from distil.common.config import DistilBertConfig
from distil.common.outputs import OUTPUTS, ModelOutput
from distil.pt import weights


class DistilBertPreTrainedModel(Pretrained, nn.Module):
    """Base class: construction, loading and saving, checks of inputs, surgery.

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
            self.fill({}, seed=seed)

    def make_layers(self, config: DistilBertConfig) -> None:
        """Set the modules of this model as attributes, under the checkpoint's names."""
        raise NotImplementedError

    def fill(
        self,
        read: Mapping[str, Callable[[], NDArray[Any]]],
        *,
        seed: int | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> None:
        """Give every weight its values, by its canonical name, and new ones where none is read."""
        weights.fill(
            self,
            self.config,
            self.task,
            read,
            seed=new_seed() if seed is None else seed,
            dtype=dtype or torch.get_default_dtype(),
            device=device or torch.get_default_device(),
        )
        self.tie_weights()

    @classmethod
    def restore(
        cls,
        config: DistilBertConfig,
        read: Mapping[str, Callable[[], NDArray[Any]]],
        *,
        seed: int | None,
        dtype: str,
        device: str | None,
    ) -> Self:
        """A model with the weights that `read` gives, ready for inference."""
        model = cls(config, initialise=False)
        target = None if device is None else torch.device(device)
        model.fill(read, seed=seed, dtype=getattr(torch, dtype), device=target)
        return model.eval()

    @property
    def weights_dtype(self) -> str:
        """The type of the weights, by name."""
        return str(self.dtype).removeprefix("torch.")

    def named_arrays(self) -> Any:
        """Pairs of canonical name and numpy array, one weight at a time."""
        return weights.named_arrays(self, self.config, self.task)

    def finish(self, output: ModelOutput, return_dict: bool | None) -> Any:
        """The output in the form that was asked for."""
        as_object = self.config.return_dict if return_dict is None else return_dict
        return output if as_object else output.to_tuple()

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

    def tie_weights(self) -> None:
        """Share weights where the configuration says so; only the masked-LM head has any."""

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: Any = None) -> None:
        """Trade time for memory in training: keep only each layer's input.

        Args:
            gradient_checkpointing_kwargs: Accepted for transformers' sake; there is one way.
        """
        encoder_of(self).transformer.gradient_checkpointing = True

    def gradient_checkpointing_disable(self) -> None:
        """Keep all activations again."""
        encoder_of(self).transformer.gradient_checkpointing = False

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether gradient checkpointing is on."""
        return encoder_of(self).transformer.gradient_checkpointing

    def get_input_embeddings(self) -> nn.Embedding:
        """The table of word embeddings."""
        return encoder_of(self).embeddings.word_embeddings

    def get_position_embeddings(self) -> nn.Embedding:
        """The table of position embeddings."""
        return encoder_of(self).embeddings.position_embeddings

    def prune_heads(self, heads: Mapping[int, Sequence[int]]) -> None:
        """Remove attention heads: layer -> heads, numbered as before any pruning.

        Raises:
            ConfigError: There is no such layer or head, or a layer would keep none.
        """
        self._reshape(surgery.without_heads(self.config, heads))

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, *, seed: int | None = None
    ) -> nn.Embedding:
        """Cut or extend the vocabulary, the masked-LM head's included; None changes nothing."""
        if new_num_tokens is not None:
            self._reshape(self.config.replace(vocab_size=new_num_tokens), seed)
        return self.get_input_embeddings()

    def resize_position_embeddings(
        self, new_num_position_embeddings: int, *, seed: int | None = None
    ) -> None:
        """Cut or extend the longest length; new learned positions are drawn, sinusoids computed."""
        config = self.config.replace(max_position_embeddings=new_num_position_embeddings)
        self._reshape(config, seed)

    def _reshape(self, config: DistilBertConfig, seed: int | None = None) -> None:
        seed = new_seed() if seed is None else seed
        weights.reshape(self, self.task, self.config, config, seed=seed)
        self.config = encoder_of(self).config = config
        self.tie_weights()

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Number of parameters, tied ones counted once."""
        left_out = self.get_input_embeddings().weight if exclude_embeddings else None
        return sum(
            p.numel()
            for p in self.parameters()
            if p is not left_out and (p.requires_grad or not only_trainable)
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


def encoder_of(model: DistilBertPreTrainedModel) -> DistilBertPreTrainedModel:
    """The model without its head."""
    return getattr(model, "distilbert", model)


def new_seed() -> int:
    """A seed from PyTorch's own generator."""
    return int(torch.randint(2**31, (), device="cpu"))


def _register(cls: type[ModelOutput]) -> None:
    """Let torch.export and functional transforms see the tensors in an output."""
    pytree.register_pytree_node(
        cls,
        lambda output: (output.values(), output.keys()),
        lambda values, names: cls(**dict(zip(names, values, strict=True))),
        serialized_type_name=f"distil.{cls.__name__}",
    )


for _output in OUTPUTS:
    _register(_output)
