"""What the six TensorFlow models have in common; `distil.tf.heads` says what each adds.

The twin of this file is `distil.pt.model`; what Keras needs besides is in
`distil.tf.keras_model`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Self

import keras
import tensorflow as tf
from numpy.typing import NDArray

from distil.checkpoints.pretrained import Pretrained
from distil.common import surgery
from distil.common.config import DistilBertConfig
from distil.common.config_rules import DTYPES
from distil.common.outputs import ModelOutput
from distil.tf import weights
from distil.tf.keras_model import KerasModel
from distil.tf.layers import Seed


class TFDistilBertPreTrainedModel(Pretrained, KerasModel):
    """Base class: construction, loading and saving, checks of inputs, surgery.

    Args:
        config: The architecture.
        seed: Of the initial weights; None draws one as Keras does, so that
            keras.utils.set_random_seed decides.
        initialise: False leaves every weight unset, for a caller who fills them.
        **options: `dtype` (a type or a Keras policy, such as "mixed_bfloat16"), `name` and
            `trainable`, as every Keras layer takes them.
    """

    framework = "tf"
    dtypes = (*DTYPES, "mixed_bfloat16", "mixed_float16")

    def __init__(
        self,
        config: DistilBertConfig,
        *,
        seed: int | None = None,
        initialise: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.config = config
        self.make_layers(config, dtype=self.dtype_policy)
        if initialise:
            self.fill({}, seed=seed)

    def make_layers(self, config: DistilBertConfig, **options: Any) -> None:
        """Set the layers of this model as attributes, under the checkpoint's names."""
        raise NotImplementedError

    def fill(
        self, read: Mapping[str, Callable[[], NDArray[Any]]], *, seed: int | None = None
    ) -> None:
        """Give every weight its values, by its canonical name, and new ones where none is read."""
        weights.fill(self, self.config, self.task, read, seed=new_seed() if seed is None else seed)

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
        with nullcontext() if device is None else tf.device(device.replace("cuda", "GPU")):
            model = cls(config, initialise=False, dtype=dtype)
            model.fill(read, seed=seed)
        return model

    @property
    def weights_dtype(self) -> str:
        """The type of the weights, by name."""
        return self.variable_dtype

    def named_arrays(self) -> Any:
        """Pairs of canonical name and numpy array, one weight at a time."""
        return weights.named_arrays(self, self.config, self.task)

    def finish(self, output: ModelOutput, return_dict: bool | None) -> Any:
        """The output in the form that was asked for."""
        as_object = self.config.return_dict if return_dict is None else return_dict
        return output if as_object else output.to_tuple()

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

    def get_input_embeddings(self) -> keras.layers.Embedding:
        """The table of word embeddings."""
        return encoder_of(self).embeddings.word_embeddings

    def get_position_embeddings(self) -> keras.layers.Embedding:
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
    ) -> keras.layers.Embedding:
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
        self.forget_graphs()

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Number of parameters, tied ones counted once."""
        left_out = self.get_input_embeddings().embeddings if exclude_embeddings else None
        return sum(
            int(tf.size(v.value))
            for v in (self.trainable_weights if only_trainable else self.weights)
            if v is not left_out
        )


def encoder_of(model: TFDistilBertPreTrainedModel) -> TFDistilBertPreTrainedModel:
    """The model without its head."""
    return getattr(model, "distilbert", model)


def new_seed() -> int:
    """A seed from Python's generator, where Keras draws its own."""
    return random.randrange(2**31)


def dropout_seed(model: KerasModel, training: bool | None) -> Seed:
    """A new seed in training, None else; each replica of a distributed model gets its own."""
    if not training:
        return None
    seed = tf.cast(model.dropout_seeds.next(), tf.int32)
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return seed
    return tf.random.fold_in(seed, replica.replica_id_in_sync_group)
