"""All that a model computes for one batch, as numpy arrays, in TensorFlow, for parity checks."""

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
    padding: bool = True,
) -> Measurement:
    """Run a model on a batch.

    Args:
        model: Of any task.
        batch: Its inputs by name, labels included.
        gradients: Compute those of the loss, or without labels those of a fixed combination
            of the last hidden states or logits.
        attentions: Ask for attention weights.
        padding: Let that combination, of last hidden states, include those at padding.
    """
    tensors = {name: tf.convert_to_tensor(array) for name, array in batch.items()}
    with tf.GradientTape() as tape:
        output = model(**tensors, output_hidden_states=True, output_attentions=attentions)
        if "loss" in output:
            target = output.loss
        else:
            first = output[0]
            factors = probe(tuple(first.shape))
            if not padding:
                factors *= batch["attention_mask"][..., None]
            target = tf.reduce_sum(first * tf.cast(factors, first.dtype))
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
