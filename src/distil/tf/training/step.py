"""One step of training, in TensorFlow; `distil.training` does all the rest.

The twin of this file is `distil.pt.training.step`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from distil.arrays import Array
from distil.common.model import encoder_of
from distil.common.spec import parameters
from distil.common.steps.batching import Batch
from distil.common.steps.recipe import Recipe
from distil.common.steps.slicing import slice_of
from distil.common.steps.stepping import (
    MEAN,
    SQUARE,
    STEPS,
    WEIGHT,
    Evaluation,
    counted_in,
    decays,
    is_frozen,
    rate_scale,
    seeds_for,
    shares_of,
    summed,
)
from distil.tf import losses
from distil.tf.model import TFDistilBertPreTrainedModel
from distil.tf.training.forward import forward
from distil.tf.training.workers import Workers
from distil.tf.weights import owner, to_numpy


class Step:
    """Trains a model step by step; see `distil.common.steps.stepping.Step`.

    Args:
        model: To be trained.
        recipe: How.
        workers: Who take the steps together; None for this process alone.
        class_weights: What a label of each class counts (c); None for one each.
        extra: Weights beside the model's, matrices by name with their first values: trained as its
            own are, and in the step's state, but no part of the model.
    """

    def __init__(
        self,
        model: TFDistilBertPreTrainedModel,
        recipe: Recipe,
        workers: Workers | None = None,
        *,
        class_weights: Array | None = None,
        extra: Mapping[str, Array] | None = None,
    ) -> None:
        self.workers = workers or Workers()
        self.model = model
        self.recipe = recipe
        self.class_weights = class_weights
        self.steps = 0
        table = list(parameters(model.config, model.task))
        self.swapped = {weight.name: owner(model, weight)[2] for weight in table}
        self.weights = {weight.name: _parameter(model, weight) for weight in table}
        for weight in table:
            if is_frozen(weight, recipe.model.freeze):
                self.weights[weight.name].trainable = False
        for name, values in (extra or {}).items():
            self.weights[name] = keras.Variable(values, dtype=model.variable_dtype, name=name)
            self.swapped[name] = False
        self.trained = {n: weight for n, weight in self.weights.items() if weight.trainable}
        self.decayed = {weight.name for weight in table if decays(weight)} | {*(extra or ())}
        layers, decay = model.config.n_layers, recipe.optimizer.layer_decay
        self.scales = {weight.name: rate_scale(weight, layers, decay) for weight in table}
        self.scales |= dict.fromkeys(extra or (), 1.0)
        self.means = {
            (kind, name): tf.Variable(tf.zeros_like(weight.value), trainable=False)
            for kind in (MEAN, SQUARE)
            for name, weight in self.trained.items()
        }
        self._graphs: dict[Any, Callable[..., Any]] = {}
        self._sum = self.workers.graph(partial(tf.nest.map_structure, tf.add))
        self._change = self.workers.graph(self._adamw)

    def train(
        self, parts: Sequence[Batch], learning_rate: float, place: Sequence[int]
    ) -> dict[str, float]:
        """Change the weights once."""
        dtype = self.model.variable_dtype
        totals = summed([self.counts(part) for part in parts])
        own, size = self.workers.own_replicas, self.workers.replicas
        found = None
        for number, part in enumerate(parts):
            arguments = []
            for replica in own:
                piece = slice_of(part, replica, size)
                shares = shares_of(self.counts(piece), totals)
                seeds = seeds_for(place, number * size + replica, 2)
                arguments.append(
                    (
                        dict(piece.inputs),
                        {name: np.array(share, dtype) for name, share in shares.items()},
                        np.array(seeds, np.uint32),
                    )
                )
            graph = self._graph(partial(self.workers.run, self._gradients), arguments)
            more = graph(tf.nest.map_structure(tf.constant, arguments))
            found = more if found is None else self._sum(list(zip(found, more, strict=True)))
        return self._apply(found, learning_rate)

    def _gradients(
        self,
        inputs: Mapping[str, tf.Tensor],
        shares: Mapping[str, tf.Tensor],
        seeds: tf.Tensor,
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        """The share of a part in the losses, and its gradients."""
        for model, seed in zip(
            (self.model, encoder_of(self.model)), tf.unstack(seeds, num=2), strict=True
        ):
            model.dropout_seeds.state.assign(tf.stack([seed, tf.zeros_like(seed)]))
        with tf.GradientTape() as tape:
            losses = self._losses(inputs, shares)
        trained = [weight.value for weight in self.trained.values()]
        return losses, tape.gradient(losses["loss"], trained, unconnected_gradients="zero")

    def counts(self, part: Batch) -> dict[str, float]:
        """How much of a part each loss is the mean of."""
        return {"loss": counted_in(part, self.class_weights)}

    def _losses(
        self, inputs: Mapping[str, tf.Tensor], shares: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """What is made smaller, `loss`, and what else is to be known, each times its share."""
        loss = self._label_loss(forward(self.model, inputs, training=True), inputs)
        return {"loss": loss * tf.cast(shares["loss"], loss.dtype)}

    def _label_loss(self, output: Any, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The loss on the labels: the model's own, or with weights or smoothing."""
        smoothing = self.recipe.loss.label_smoothing
        if self.class_weights is None and not smoothing:
            return output.loss
        logits = tf.reshape(output.logits, (-1, output.logits.shape[-1]))
        return losses.cross_entropy(
            logits, tf.reshape(inputs["labels"], (-1,)), self.class_weights, smoothing
        )

    def _apply(self, found: Sequence[Any], learning_rate: float) -> dict[str, float]:
        """Change the weights by the gradients that each device has found, and give measurements."""
        self.steps += 1
        settings = self.recipe.optimizer
        dtype = self.model.variable_dtype
        # The kernel rounds these to the type of the weights; its corrections have to, as well.
        beta_1, beta_2 = (
            float(np.dtype(dtype).type(b)) for b in (settings.beta_1, settings.beta_2)
        )
        correction = 1 - beta_2**self.steps
        scalars = {
            "lr": learning_rate,
            "beta1": beta_1,
            "beta2": beta_2,
            "beta1_power": beta_1**self.steps,
            "beta2_power": beta_2**self.steps,
            # PyTorch adds epsilon to the corrected root, this kernel to the root itself.
            "epsilon": settings.epsilon * correction**0.5,
        }
        constants = {name: tf.constant(value, dtype) for name, value in scalars.items()}
        # What it gives is the same on all devices.
        measured, *_ = self._change([(*one, constants) for one in found])
        return {name: x.numpy().item() for name, x in measured.items()}

    def _adamw(
        self,
        losses: Mapping[str, tf.Tensor],
        gradients: Sequence[tf.Tensor],
        scalars: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        settings = self.recipe.optimizer
        losses, gradients = self.workers.total((losses, gradients))
        norm = tf.linalg.global_norm(gradients)
        if settings.clip is not None:
            # As PyTorch has it.
            factor = tf.minimum(settings.clip / (norm + 1e-6), 1)
            gradients = [gradient * factor for gradient in gradients]
        for (name, weight), gradient in zip(self.trained.items(), gradients, strict=True):
            variable, scale = weight.value, self.scales[name]
            rate = scalars["lr"] if scale == 1 else scalars["lr"] * scale
            if name in self.decayed and settings.weight_decay:
                variable.assign(variable * (1 - rate * settings.weight_decay))
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=self.means[MEAN, name].handle,
                v=self.means[SQUARE, name].handle,
                grad=gradient,
                **{**scalars, "lr": rate},
            )
        return {**losses, "gradient_norm": norm}

    def evaluate(self, inputs: Mapping[str, Array]) -> Evaluation:
        """Run the model without dropout."""
        inputs = dict(inputs)
        graph = self._graph(self._outputs, inputs)
        output = graph(tf.nest.map_structure(tf.constant, inputs))
        loss = output.pop("loss").numpy().item()
        return Evaluation(loss=loss, outputs={name: x.numpy() for name, x in output.items()})

    def _outputs(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        output = forward(self.model, inputs, training=False)
        if self.model.task == "masked-lm":
            return {"loss": output.loss, "predicted": tf.argmax(output.logits, -1)}
        logits = {name: tf.cast(x, tf.float32) for name, x in output.items() if name != "loss"}
        return {"loss": output.loss, **logits}

    def state(self) -> dict[str, Array]:
        """All that the steps so far have left: weights and the optimizer's means."""
        state = {STEPS: np.array([self.steps])}
        for name, weight in self.weights.items():
            state[WEIGHT + name] = self._turned(name, to_numpy(weight))
        if self.steps:
            for (kind, name), mean in self.means.items():
                state[kind + name] = self._turned(name, mean.numpy())
        return state

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to where `state` was taken."""
        self.steps = int(state[STEPS][0])
        for name, weight in self.weights.items():
            weight.assign(self._turned(name, state[WEIGHT + name]))
        for (kind, name), mean in self.means.items():
            if kind + name in state:
                mean.assign(self._turned(name, state[kind + name]))

    def _turned(self, name: str, array: Array) -> Array:
        return array.T if self.swapped[name] else array

    def _graph(self, function: Callable[..., Any], example: Any) -> Callable[..., Any]:
        """A graph of `function` for arrays of any lengths, made once for each set of them."""
        specs = tf.nest.map_structure(_spec, example)
        key = repr(specs)
        if key not in self._graphs:
            self._graphs[key] = tf.function(function, input_signature=[specs], autograph=False)
        return self._graphs[key]


def _spec(array: Array) -> tf.TensorSpec:
    """Of arrays of other lengths, too; but how many choices there are is not one of those."""
    return tf.TensorSpec([None, *array.shape[1:-1], None][: array.ndim], array.dtype)


def _parameter(model: TFDistilBertPreTrainedModel, weight: Any) -> keras.Variable:
    module, leaf, _ = owner(model, weight)
    return getattr(module, leaf)
