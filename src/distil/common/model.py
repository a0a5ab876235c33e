"""What the model classes of both frameworks share besides the forward pass.

A framework says how to set and get one weight; filling, reading, pruning and resizing follow
from that and from the table of weights in `distil.common.spec`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Self

from distil.arrays import Array
from distil.common import surgery
from distil.common.config import DistilBertConfig
from distil.common.initial import initial_weight
from distil.common.outputs import ModelOutput
from distil.common.spec import Weight, parameters
from distil.errors import InputError

_FILLED_LATER = ContextVar("_FILLED_LATER", default=False)


class Model:
    """Base of all model classes; `distil.pt.model` and `distil.tf.model` complete it."""

    task: ClassVar[str] = "base"  # a subclass that adds layers is still an encoder
    framework: ClassVar[str]
    config: DistilBertConfig

    # What each framework implements.

    @classmethod
    def make(
        cls,
        config: DistilBertConfig,
        read: Mapping[str, Callable[[], Array]],
        *,
        seed: int | None,
        dtype: str,
        device: str | None,
        **options: Any,
    ) -> Self:
        """A model ready for inference.

        Args:
            config: The architecture.
            read: For each weight that is known, by canonical name, what gives its values; the
                others are new.
            seed: Of the new weights; None draws one.
            dtype: Of the weights.
            device: Where they go; None leaves it to the framework.
            **options: Of a subclass's own __init__.
        """
        raise NotImplementedError

    def put(self, weight: Weight, array: Array, **options: Any) -> None:
        """Set the values of one weight, of any shape, given in PyTorch's orientation."""
        raise NotImplementedError

    def take(self, weight: Weight) -> Array:
        """The values of one weight, in PyTorch's orientation."""
        raise NotImplementedError

    def new_seed(self) -> int:
        """A seed drawn from the framework's own generator."""
        raise NotImplementedError

    @property
    def weights_dtype(self) -> str:
        """The type of the weights, by name."""
        raise NotImplementedError

    @classmethod
    def first_accelerator(cls) -> str | None:
        """What device_map="auto" means; None leaves it to the framework."""
        raise NotImplementedError

    @classmethod
    def as_array(cls, value: Any) -> Array:
        """A value of a state_dict, as an array."""
        raise NotImplementedError

    def own_weights(self) -> Mapping[str, Any]:
        """The weights that a subclass adds to those of its task, by name."""
        raise NotImplementedError

    def put_own(self, name: str, array: Array) -> None:
        """Set the values of one of these."""
        raise NotImplementedError

    def tie_weights(self) -> None:
        """Tie the weights that the configuration says are shared."""

    def forget_graphs(self) -> None:
        """Drop compiled graphs, which hold weights of the old shape."""

    # What follows from these.

    def fill(
        self, read: Mapping[str, Callable[[], Array]], *, seed: int | None = None, **options: Any
    ) -> None:
        """Set every weight, from `read` or to new values.

        Args:
            read: As in `make`.
            seed: As in `make`.
            **options: As `put` takes them.
        """
        seed = self.new_seed() if seed is None else seed
        for weight in parameters(self.config, self.task):
            known = read.get(weight.name)
            array = initial_weight(self.config, weight, seed) if known is None else known()
            self.put(weight, array, **options)
        self.tie_weights()

    def begin(self, seed: int | None) -> None:
        """Fill a model that has just been made, unless it will be filled later.

        A subclass that makes its layers after `super().__init__()` has none yet; the encoder
        that it then makes fills itself.
        """
        if not _FILLED_LATER.get() and hasattr(encoder_of(self), "embeddings"):
            self.fill({}, seed=seed)

    def named_arrays(self) -> Iterator[tuple[str, Array]]:
        """Canonical name and values of every weight, one at a time, in PyTorch's orientation."""
        for weight in parameters(self.config, self.task):
            yield weight.name, self.take(weight)

    def chosen(self, flag: str, asked: bool | None) -> bool:
        """A flag of the call, or the configuration's where the call leaves it open."""
        return bool(getattr(self.config, flag) if asked is None else asked)

    def finish(self, output: ModelOutput, return_dict: bool | None) -> Any:
        """The output, as an object or as a tuple."""
        wanted = self.config.use_return_dict if return_dict is None else return_dict
        return output if wanted else output.to_tuple()

    def gradient_checkpointing_enable(
        self, gradient_checkpointing_kwargs: Any = None, every_n_layers: int = 1
    ) -> None:
        """Save memory in training: keep only each layer's input, and recompute the rest.

        Args:
            gradient_checkpointing_kwargs: Accepted because transformers has it; there is one way.
            every_n_layers: Likewise of transformers 5, but only 1: all layers are.

        Raises:
            InputError: Some layers are to be left out.
        """
        if every_n_layers != 1:
            raise InputError("all layers are computed twice", expected="1", found=every_n_layers,
                             where="every_n_layers")  # fmt: skip
        encoder_of(self).transformer.gradient_checkpointing = True

    def gradient_checkpointing_disable(self) -> None:
        """Keep all activations again."""
        encoder_of(self).transformer.gradient_checkpointing = False

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether gradient checkpointing is on."""
        return bool(encoder_of(self).transformer.gradient_checkpointing)

    def get_input_embeddings(self) -> Any:
        """The layer with the word embeddings."""
        return encoder_of(self).embeddings.word_embeddings

    def get_position_embeddings(self) -> Any:
        """The layer with the position embeddings."""
        return encoder_of(self).embeddings.position_embeddings

    def prune_heads(self, heads: Mapping[int, Sequence[int]]) -> None:
        """Remove attention heads: layer -> heads, numbered as before any pruning.

        Raises:
            ConfigError: There is no such layer or head, or a layer would have none left.
        """
        self._reshape(surgery.without_heads(self.config, heads), None)

    def resize_token_embeddings(
        self,
        new_num_tokens: int | None = None,
        pad_to_multiple_of: int | None = None,
        mean_resizing: bool = True,
        *,
        seed: int | None = None,
    ) -> Any:
        """Cut or extend the vocabulary, and the masked-LM head with it.

        Args:
            new_num_tokens: How many words there are to be; None keeps as many as there are.
            pad_to_multiple_of: Round that up to a multiple of this.
            mean_resizing: Draw new rows close around the mean of the old ones, as transformers
                does since 4.46; False draws them as a new model's.
            seed: Of new rows; None draws one.

        Returns:
            The layer with the word embeddings.

        Raises:
            ConfigError: There cannot be so many.
        """
        size = self.config.vocab_size if new_num_tokens is None else new_num_tokens
        if pad_to_multiple_of is not None:
            size = surgery.rounded_up(size, pad_to_multiple_of)
        if size != self.config.vocab_size:
            self._reshape(self.config.replace(vocab_size=size), seed, around_mean=mean_resizing)
        return self.get_input_embeddings()

    def resize_position_embeddings(
        self, new_num_position_embeddings: int, *, seed: int | None = None
    ) -> None:
        """Cut or extend the longest length; new learned positions are drawn, sinusoids computed.

        Args:
            new_num_position_embeddings: The longest length.
            seed: Of new rows; None draws one.
        """
        config = self.config.replace(max_position_embeddings=new_num_position_embeddings)
        self._reshape(config, seed)

    def _reshape(
        self, config: DistilBertConfig, seed: int | None, *, around_mean: bool = False
    ) -> None:
        """Take on another configuration, keeping the weights that fit."""
        seed = self.new_seed() if seed is None else seed
        for weight in surgery.changed(self.config, config, self.task):
            array = surgery.adapted(
                self.take(weight), weight, self.config, config, seed=seed, around_mean=around_mean
            )
            self.put(weight, array)
        self.config = encoder_of(self).config = config
        self.tie_weights()
        self.forget_graphs()


@contextmanager
def filled_later() -> Iterator[None]:
    """Leave the weights of models made in this block unset, whatever their __init__ takes."""
    token = _FILLED_LATER.set(True)
    try:
        yield
    finally:
        _FILLED_LATER.reset(token)


def encoder_of(model: Any) -> Any:
    """The model without its head."""
    # Not a property: Keras saves a model's attributes, and would save the encoder twice.
    return getattr(model, "distilbert", model)
