"""What the six TensorFlow models have in common; `distil.tf.heads` says what each adds.

The twin of this file is `distil.pt.model`; what is neutral is in `distil.common.model`, and
what Keras needs besides in `distil.tf.keras_model`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import tensorflow as tf

from distil.arrays import Array
from distil.checkpoints.pretrained import Pretrained
from distil.common.config import DistilBertConfig
from distil.common.config_rules import DTYPES
from distil.common.model import filled_later
from distil.common.spec import Weight
from distil.errors import InputError
from distil.tf import outputs as _outputs  # noqa: F401 - registers them
from distil.tf import weights
from distil.tf.compatibility import Habits
from distil.tf.keras_model import KerasModel
from distil.tf.layers import Seed


class TFDistilBertPreTrainedModel(Habits, Pretrained, KerasModel):
    """Base class: construction, loading and saving, surgery.

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
            self.begin(seed)

    def make_layers(self, config: DistilBertConfig, **options: Any) -> None:
        """Set the layers of this model as attributes, under the checkpoint's names."""

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
        with _device_called(device):
            with filled_later():
                model = cls(config, dtype=dtype, **options)
            model.fill(read, seed=seed)
        return model

    def put(self, weight: Weight, array: Array, **options: Any) -> None:  # noqa: D102
        weights.put(self, weight, array, **options)

    def take(self, weight: Weight) -> Array:  # noqa: D102
        return weights.take(self, weight)

    def new_seed(self) -> int:  # noqa: D102
        return random.randrange(2**31)  # where Keras draws its own

    @property
    def weights_dtype(self) -> str:  # noqa: D102
        return self.variable_dtype

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Number of parameters, tied ones counted once."""
        tables = (self.get_input_embeddings(), self.get_position_embeddings())
        left_out = {id(one.embeddings) for one in tables if exclude_embeddings}
        return sum(
            int(tf.size(v.value))
            for v in (self.trainable_weights if only_trainable else self.weights)
            if id(v) not in left_out
        )


def dropout_seed(model: KerasModel, training: bool | None) -> Seed:
    """A new seed in training, None else; each replica of a distributed model gets its own."""
    if not training:
        return None
    seed = tf.cast(model.dropout_seeds.next(), tf.int32)
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return seed
    return tf.random.fold_in(seed, replica.replica_id_in_sync_group)


def _device_called(name: str | None) -> AbstractContextManager[Any]:
    """A context whose variables are on the device of that name; None leaves that to TensorFlow.

    Raises:
        InputError: There is no such device; TensorFlow itself would silently take the CPU.
    """
    if name is None:
        return nullcontext()
    own_name = name.replace("cuda", "GPU")
    there = [tf.DeviceSpec.from_string(one.name) for one in tf.config.list_logical_devices()]
    try:
        asked = tf.DeviceSpec.from_string(own_name)
    except ValueError:  # not the name of any device
        asked = tf.DeviceSpec()
    if asked.device_type is None or all(one.make_merged_spec(asked) != one for one in there):
        raise InputError(
            "unknown device", found=repr(name), where="device",
            expected=" or ".join(f"{one.device_type}:{one.device_index}" for one in there),
        )  # fmt: skip
    return tf.device(own_name)
