"""What transformers' TensorFlow models have besides; see `distil.common.compatibility`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree
import tensorflow as tf

from distil.arrays import Array
from distil.common.compatibility.model import ModelHabits
from distil.common.spec import parameters
from distil.common.tokenizer import BatchEncoding
from distil.errors import InputError, listed
from distil.tf.layers import check_not_quantized
from distil.tf.weights import owner

_LABELS = ("labels", "start_positions", "end_positions")
_OTHER_NAMES = {"label": "labels", "label_ids": "labels"}

# Keras takes what a tokenizer gives for a dict: model.fit(tokenizer(..., return_tensors="np"), y).
optree.register_pytree_node(
    BatchEncoding,
    lambda batch: (list(batch.values()), list(batch), list(batch)),
    lambda names, values: dict(zip(names, values, strict=True)),
    namespace="keras",
)


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

    def __getattr__(self, name: str) -> Any:
        # No property: Keras saves what a model's attributes hold, and would go round in circles.
        if name == "distilbert" and self.task == "base":
            return self
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def dummy_inputs(self) -> dict[str, tf.Tensor]:
        """Inputs that the model takes."""
        return {"input_ids": tf.constant(self.example_ids())}

    def own_weights(self) -> dict[str, Any]:
        """Refused where a subclass has weights besides: only Keras knows what they are called.

        The matrices of Keras's LoRA are not among them: they are part of their layer's kernel.
        """
        known = set()
        for weight in parameters(self.config, self.task):
            module, leaf, _ = owner(self, weight)
            check_not_quantized(module, weight.module)
            # Of a layer with LoRA, `kernel` is a sum, and `_kernel` the variable.
            known.add(id(module.__dict__.get(f"_{leaf}", getattr(module, leaf))))
        own = [
            variable.path
            for variable in self.weights
            if id(variable) not in known and not variable.name.startswith("lora_")
        ]
        if own:
            raise InputError(
                "weights of a subclass have no place in a checkpoint", found=listed(own),
                fix='save the model with Keras: model.save("model.keras")',
            )  # fmt: skip
        return {}

    def prepare_tf_dataset(
        self,
        dataset: Any,
        batch_size: int = 8,
        shuffle: bool = True,
        tokenizer: Any = None,
        collate_fn: Callable[..., Any] | None = None,
        collate_fn_args: dict[str, Any] | None = None,
        drop_remainder: bool | None = None,
        prefetch: bool = True,
    ) -> tf.data.Dataset:
        """Batches for `fit` from a `datasets.Dataset`: the columns that the model takes.

        Args:
            dataset: Of tokenized rows.
            batch_size: Rows in a batch.
            shuffle: Whether to draw the rows in another order each epoch.
            tokenizer: Fills up the rows of a batch; without it they have one length.
            collate_fn: Makes a batch of a list of rows, instead.
            collate_fn_args: Further arguments of that.
            drop_remainder: Whether to leave out a last batch that is smaller; None does so where
                rows are shuffled.
            prefetch: Whether to make the next batch ahead.

        Returns:
            Pairs of inputs and labels.
        """
        if not hasattr(dataset, "to_tf_dataset"):
            raise InputError(
                "not a data set", expected="a datasets.Dataset", found=type(dataset).__name__,
                where="dataset", fix="datasets.Dataset.from_dict makes one of columns",
            )  # fmt: skip
        names = {_OTHER_NAMES.get(name, name) for name in dataset.column_names}
        inputs = [name for name in self._call_signature.parameters if name in names]
        return dataset.to_tf_dataset(
            columns=_one_alone([name for name in inputs if name not in _LABELS]),
            label_cols=_one_alone([name for name in inputs if name in _LABELS]),
            batch_size=batch_size,
            shuffle=shuffle,
            drop_remainder=shuffle if drop_remainder is None else drop_remainder,
            collate_fn=collate_fn or (lambda rows: _collated(rows, tokenizer)),
            collate_fn_args=collate_fn_args,
            prefetch=prefetch,
        )


def _one_alone(names: list[str]) -> list[str] | str | None:
    """As `to_tf_dataset` is asked for tensors rather than dicts of one."""
    return names[0] if len(names) == 1 else names or None


def _collated(rows: Sequence[dict[str, Any]], tokenizer: Any) -> dict[str, Array]:
    rows = [{_OTHER_NAMES.get(name, name): x for name, x in row.items()} for row in rows]
    if tokenizer is not None:
        return dict(tokenizer.pad(rows, return_tensors="np"))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
