"""What the model classes of both frameworks can do besides computing.

A framework says how one weight is put into a model and taken out of it; filling, reading,
pruning and resizing follow from that, and from the table of weights in `distil.common.spec`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from distil.arrays import Array
from distil.common import surgery
from distil.common.config import DistilBertConfig
from distil.common.initial import initial_weight
from distil.common.outputs import ModelOutput
from distil.common.spec import Weight, parameters


class Model:
    """Base of all model classes; `distil.pt.model` and `distil.tf.model` complete it."""

    task: ClassVar[str]
    framework: ClassVar[str]
    config: DistilBertConfig

    # What each framework says in its own words.

    @classmethod
    def make(
        cls,
        config: DistilBertConfig,
        read: Mapping[str, Callable[[], Array]],
        *,
        seed: int | None,
        dtype: str,
        device: str | None,
    ) -> Self:
        """A model ready for inference.

        Args:
            config: The architecture.
            read: For each weight that is known, by canonical name, what gives its values; the
                others are new.
            seed: Of the new weights; None draws one.
            dtype: Of the weights.
            device: Where they go; None leaves it to the framework.
        """
        raise NotImplementedError

    def put(self, weight: Weight, array: Array, **options: Any) -> None:
        """Give one weight its values, of whatever shape; they come in PyTorch's orientation."""
        raise NotImplementedError

    def take(self, weight: Weight) -> Array:
        """The values of one weight, in PyTorch's orientation."""
        raise NotImplementedError

    def new_seed(self) -> int:
        """A seed from the framework's own source of them."""
        raise NotImplementedError

    @property
    def weights_dtype(self) -> str:
        """The type of the weights, by name."""
        raise NotImplementedError

    def tie_weights(self) -> None:
        """Share the weights that the configuration says are one."""

    def forget_graphs(self) -> None:
        """Drop compiled graphs, which hold weights of the old shape."""

    # What follows from that.

    def fill(
        self, read: Mapping[str, Callable[[], Array]], *, seed: int | None = None, **options: Any
    ) -> None:
        """Give every weight its values, those of `read` or new ones.

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

    def named_arrays(self) -> Iterator[tuple[str, Array]]:
        """Canonical name and values of every weight, one at a time, in PyTorch's orientation."""
        for weight in parameters(self.config, self.task):
            yield weight.name, self.take(weight)

    def chosen(self, flag: str, asked: bool | None) -> bool:
        """A flag of the call, or where that leaves it open the configuration's."""
        return bool(getattr(self.config, flag) if asked is None else asked)

    def finish(self, output: ModelOutput, return_dict: bool | None) -> Any:
        """The output, as an object or as a tuple."""
        return output if self.chosen("return_dict", return_dict) else output.to_tuple()

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: Any = None) -> None:
        """Save memory in training: keep only the input of each layer, and compute the rest twice.

        Args:
            gradient_checkpointing_kwargs: Accepted because transformers has it; there is one way.
        """
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
        self, new_num_tokens: int | None = None, *, seed: int | None = None
    ) -> Any:
        """Cut or extend the vocabulary, and the masked-LM head with it.

        Args:
            new_num_tokens: How many words there are to be; None changes nothing.
            seed: Of new rows; None draws one.

        Returns:
            The layer with the word embeddings.
        """
        if new_num_tokens is not None:
            self._reshape(self.config.replace(vocab_size=new_num_tokens), seed)
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

    def _reshape(self, config: DistilBertConfig, seed: int | None) -> None:
        """Become a model of another configuration, with what fits of the weights there are."""
        seed = self.new_seed() if seed is None else seed
        for weight in surgery.changed(self.config, config, self.task):
            old = self.take(weight)
            self.put(weight, surgery.adapted(old, weight, self.config, config, seed=seed))
        self.config = encoder_of(self).config = config
        self.tie_weights()
        self.forget_graphs()


def encoder_of(model: Any) -> Any:
    """The model without its head."""
    # No property: Keras saves what a model's attributes hold, and would save the encoder twice.
    return getattr(model, "distilbert", model)
