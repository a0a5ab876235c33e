"""What makes a keras.Model of a DistilBERT; `distil.pt` has no twin of this file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import keras
import tensorflow as tf

from distil.common.config import DistilBertConfig
from distil.common.outputs import ModelOutput
from distil.errors import InputError
from distil.tf import keras_state
from distil.tf.ragged import padded

_TENSORS = ("input_ids", "attention_mask", "head_mask", "inputs_embeds", "position_ids",
            "token_type_ids", "labels", "start_positions", "end_positions")  # fmt: skip

_DROPOUT = "dropout_seeds"


class KerasModel(keras.Model):
    """Calling, compiling, saving and exporting."""

    config: DistilBertConfig

    def __init__(self, **options: Any) -> None:
        # The layers cast what they compute with; casting all inputs would cost labels digits.
        super().__init__(**{"autocast": False, **options})
        self.dropout_seeds = keras.random.SeedGenerator()
        self.built = True  # every layer makes its weights when it is made

    def build(self, *_: Any, **__: Any) -> None:
        """There is nothing left to build."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the model, with tensors by position or by name, or in one dict or list.

        Arrays and lists of numbers are taken as tensors.
        """
        names = self._call_signature.parameters
        if arguments and isinstance(arguments[0], Mapping):
            first, arguments = arguments[0], arguments[1:]
            named |= {name: value for name, value in first.items() if name in names}
            if arguments:
                raise TypeError("a dict of inputs cannot be combined with inputs by position")
        elif arguments and _is_list_of_tensors(arguments[0]):
            arguments = (*arguments[0], *arguments[1:])
        named |= dict(zip(names, arguments, strict=False))
        named = padded(named, self.config.pad_token_id)
        for name in _TENSORS:
            if name in named and not (named[name] is None or _is_tensor(named[name])):
                named[name] = tf.convert_to_tensor(named[name])
        return super().__call__(**named)

    def compile(self, *arguments: Any, jit_compile: bool | str = False, **options: Any) -> None:
        """Compile for training as any Keras model.

        Without a loss, the model's own is used: on labels among the inputs, or on y.

        Args:
            *arguments: As Keras takes them.
            jit_compile: Use XLA.  Not the default as with Keras: XLA leaves out the checks on
                ids and labels, and compiles again for every new length.
            **options: As Keras takes them.
        """
        # Keras leaves both as they were where a model is compiled anew without them.
        self._compile_loss = self._compile_metrics = None
        super().compile(*arguments, jit_compile=jit_compile, **options)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as a saved model was; Keras does so only where `compile` is its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The compiled loss on the logits, or the model's own where none was compiled."""
        if self._compile_loss is not None:
            return super().compute_loss(x, y, logits_of(y_pred), sample_weight, training)
        if sample_weight is not None:
            raise InputError(
                "the model's own loss takes no sample weights", where="sample_weight",
                fix="compile with a Keras loss, or mask labels with -100",
            )  # fmt: skip
        loss = getattr(y_pred, "loss", None)
        if loss is None:
            scores = logits_of(y_pred)
            loss = self.loss_of(scores if isinstance(scores, tuple) else (scores,), targets_of(y))
        loss = tf.add_n([loss, *(tf.cast(extra, loss.dtype) for extra in self.losses)])
        # Keras adds up the gradients of all replicas, and scales its own losses likewise.
        return loss / tf.distribute.get_strategy().num_replicas_in_sync

    def loss_of(self, scores: tuple[tf.Tensor, ...], targets: Any) -> tf.Tensor:
        """The loss of the model's head; the encoder alone has none."""
        raise InputError("the encoder has no loss of its own", fix="compile with a loss")

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Metrics of the logits; labels among the inputs serve where there is no y."""
        if y is None and isinstance(x, Mapping):
            y = x.get("labels")
        return super().compute_metrics(x, targets_of(y), logits_of(y_pred), sample_weight)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Build losses and metrics on a batch of one replica.

        Keras takes the mean of all replicas' batches, in which ids are no integers.
        """
        if iterator is not None and self._distribute_strategy is not None:
            _, _, batches = next(iter(iterator))
            first = self._distribute_strategy.experimental_local_results
            data_batch = keras.tree.map_structure(lambda x: first(x)[0], next(batches))
        super()._maybe_symbolic_build(data_batch=data_batch)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` makes the same model of, weights left out."""
        own = {"config": self.config.to_dict(), "quantized": keras_state.quantized(self)}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """A model as `get_config` described it."""
        options = {name: config[name] for name in ("name", "trainable", "dtype") if name in config}
        if isinstance(options.get("dtype"), dict):
            options["dtype"] = keras.dtype_policies.deserialize(options["dtype"])
        model = cls(DistilBertConfig.from_dict(config["config"]), initialise=False, **options)
        keras_state.quantize(model, config.get("quantized", {}))
        return model

    def save_own_variables(self, store: Any) -> None:
        """Keep the state of dropout too, so that training goes on as if never interrupted."""
        super().save_own_variables(store)
        store[_DROPOUT] = self.dropout_seeds.state

    def load_own_variables(self, store: Any) -> None:
        """Read what `save_own_variables` wrote, or what was written without it."""
        own = {name: store[name] for name in store.keys()}  # noqa: SIM118 - it is no dict
        if _DROPOUT in own:
            self.dropout_seeds.state.assign(own.pop(_DROPOUT))
        super().load_own_variables(own)

    def export(self, filepath: str | Path, format: str = "tf_saved_model", **options: Any) -> None:  # noqa: A002
        """Write a SavedModel that takes input_ids and attention_mask of any length.

        Its signature "serve" gives the fields of the output that are tensors, by name.

        Args:
            filepath: The folder to write.
            format: As Keras has it; others than "tf_saved_model" are left to Keras.
            **options: Likewise.
        """
        if format != "tf_saved_model" or "input_signature" in options:
            super().export(str(filepath), format=format, **options)
            return
        archive = keras.export.ExportArchive()
        archive.track(self)
        archive.add_endpoint(
            "serve",
            lambda input_ids, attention_mask: _tensors(
                self(input_ids=input_ids, attention_mask=attention_mask, return_dict=True)
            ),
            input_signature=list(self.input_signature.values()),
        )
        archive.write_out(str(filepath), verbose=options.get("verbose", False))

    @property
    def input_signature(self) -> dict[str, tf.TensorSpec]:
        """Inputs of any length, by name."""
        shape = [None] * (3 if getattr(self, "task", "") == "multiple-choice" else 2)
        return {
            name: tf.TensorSpec(shape, tf.int32, name) for name in ("input_ids", "attention_mask")
        }

    @property
    def serving(self) -> Any:
        """A tf.function of a dict of inputs, that gives the output's tensors by name.

        `tf.saved_model.save(model, folder, signatures=model.serving)` writes it.
        """
        return tf.function(
            lambda inputs: _tensors(self(**inputs, return_dict=True)),
            input_signature=[self.input_signature],
        )

    @property
    def _default_save_signature(self) -> Any:
        """What TensorFlow writes where no signatures are given."""
        return self.serving

    def forget_graphs(self) -> None:
        """Let fit, evaluate and predict trace again: their graphs hold variables that are gone."""
        self.train_function = self.test_function = self.predict_function = None


def logits_of(output: Any) -> Any:
    """What a compiled loss or metric is given of an output: logits, or start and end logits."""
    if not isinstance(output, ModelOutput):
        return output
    if "start_logits" in output:
        return output["start_logits"], output["end_logits"]
    return output.get("logits", output.get("last_hidden_state"))


def targets_of(y: Any) -> Any:
    """What a model learns from, where data sets give it by name."""
    if not isinstance(y, Mapping):
        return y
    return y["labels"] if "labels" in y else (y["start_positions"], y["end_positions"])


def _tensors(output: ModelOutput) -> dict[str, tf.Tensor]:
    """The fields of an output by name; a field of several tensors is numbered."""
    flat: dict[str, tf.Tensor] = {}
    for name, value in output.items():
        if isinstance(value, tuple):
            flat |= {f"{name}_{number}": one for number, one in enumerate(value)}
        else:
            flat[name] = value
    return flat


def _is_tensor(x: Any) -> bool:
    return tf.is_tensor(x) or isinstance(x, keras.KerasTensor)


def _is_list_of_tensors(x: Any) -> bool:
    return isinstance(x, list | tuple) and all(_is_tensor(one) for one in x)
