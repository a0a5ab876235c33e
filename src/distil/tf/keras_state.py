"""What Keras has made of a model's layers since: which are quantized, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from distil.common.spec import parameters
from distil.errors import InputError
from distil.tf.weights import owner

# Those of the other modes are calibrated with samples, which a file does not hold.
_MODES = ("int8", "int4", "float8")


def quantized(model: keras.Model) -> dict[str, Any]:
    """How layers have been quantized, by `model.quantize` or their own, by the layers' names.

    Raises:
        InputError: In a mode that cannot be repeated.
    """
    found = {}
    for name, layer in _layers(model):
        mode = layer.quantization_mode
        if mode is None:
            continue
        if mode not in _MODES:
            raise InputError(
                "Keras cannot save layers quantized like this", expected=" or ".join(_MODES),
                found=mode, where=name,
            )  # fmt: skip
        settings = getattr(layer, "quantization_config", None)
        found[name] = {"mode": mode, "config": keras.saving.serialize_keras_object(settings)}
    return found


def quantize(model: keras.Model, found: Mapping[str, Any]) -> None:
    """Quantize the layers that `quantized` found, before their values are read."""
    for name, layer in _layers(model):
        if name in found:
            settings = keras.saving.deserialize_keras_object(found[name]["config"])
            options = {} if settings is None else {"config": settings}
            # Memory that has not been written to may hold what Keras warns about.
            layer.kernel.assign(tf.zeros_like(layer.kernel))
            layer.quantize(found[name]["mode"], **options)


def _layers(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    layers = {weight.module: weight for weight in parameters(model.config, model.task)}
    for name, weight in layers.items():
        yield name, owner(model, weight)[0]
