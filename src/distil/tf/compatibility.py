"""What transformers' TensorFlow models have besides; see `distil.common.compatibility`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from distil.arrays import Array
from distil.common.compatibility.model import ModelHabits
from distil.common.spec import parameters
from distil.errors import InputError
from distil.tf.weights import owner


class Habits(ModelHabits):
    """A base of all TensorFlow models."""

    @classmethod
    def first_accelerator(cls) -> str | None:
        """What device_map="auto" means: TensorFlow takes a GPU where there is one."""
        return None

    @classmethod
    def as_array(cls, value: Any) -> Array:
        """A value of a state_dict, as an array."""
        return value.numpy() if hasattr(value, "numpy") else value

    @property
    def dummy_inputs(self) -> dict[str, tf.Tensor]:
        """Inputs that the model takes."""
        return {"input_ids": tf.constant(self.example_ids())}

    def own_weights(self) -> dict[str, Any]:
        """Refused where a subclass has weights besides: only Keras knows what they are called.

        The matrices of Keras's LoRA are not among them: they are part of their layer's kernel.
        """
        places = (owner(self, weight) for weight in parameters(self.config, self.task))
        # Of a layer with LoRA, `kernel` is a sum, and `_kernel` the variable.
        known = {
            id(module.__dict__.get(f"_{leaf}", getattr(module, leaf))) for module, leaf, _ in places
        }
        own = [
            variable.path
            for variable in self.weights
            if id(variable) not in known and "lora_kernel_" not in variable.name
        ]
        if own:
            raise InputError(
                "weights of a subclass have no place in a checkpoint", found=", ".join(own[:5]),
                fix='save the model with Keras: model.save("model.keras")',
            )  # fmt: skip
        return {}
