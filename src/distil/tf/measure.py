"""Everything a model computes for one batch, as numpy arrays, in TensorFlow: what parity compares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from distil.common.measurement import Measurement, flatten, probe
from distil.common.spec import parameters
from distil.tf.model import TFDistilBertPreTrainedModel
from distil.tf.weights import owner


def measure(
    model: TFDistilBertPreTrainedModel,
    batch: Mapping[str, NDArray[Any]],
    *,
    gradients: bool = True,
    attentions: bool = True,
) -> Measurement:
    """Run a model on a batch.

    Args:
        model: Of any task.
        batch: Its inputs by name, labels included.
        gradients: Compute those of the loss, or without labels those of a fixed combination
            of the last hidden states or logits.
        attentions: Ask for attention weights.
    """
    tensors = {name: tf.convert_to_tensor(array) for name, array in batch.items()}
    with tf.GradientTape() as tape:
        output = model(**tensors, output_hidden_states=True, output_attentions=attentions)
        if "loss" in output:
            target = output.loss
        else:
            first = output[0]
            target = tf.reduce_sum(first * tf.cast(probe(tuple(first.shape)), first.dtype))
    found = flatten(output)
    measured = Measurement({name: value.numpy() for name, value in found.items()})
    if gradients:
        table = list(parameters(model.config, model.task))
        places = [owner(model, weight) for weight in table]
        variables = [getattr(module, leaf) for module, leaf, _ in places]
        trained = [v.value for v in variables if v.trainable]
        values = iter(tape.gradient(target, trained))
        for weight, variable, (_, _, swapped) in zip(table, variables, places, strict=True):
            value = next(values) if variable.trainable else None
            if value is not None:
                array = tf.convert_to_tensor(value).numpy()
                measured.gradients[weight.name] = array.T if swapped else array
    return measured
