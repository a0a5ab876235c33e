"""One step of distillation, in TensorFlow: a step of training whose loss comes from a teacher too.

The arithmetic that is neutral, and what shapes are called, is in `distil.common.steps.teaching`.
The twin of this file is `distil.pt.training.teaching`.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from distil.arrays import Array
from distil.common.model import encoder_of
from distil.common.outputs import HeadOutput, ModelOutput
from distil.common.steps.batching import for_each
from distil.common.steps.linear_map import drawn_map
from distil.common.steps.masking import PLACES
from distil.common.steps.recipe import Recipe
from distil.common.steps.teaching import NO_SCORE, Teaching
from distil.common.steps.teaching_rules import check_alone
from distil.tf import losses
from distil.tf.model import TFDistilBertPreTrainedModel, dropout_seed
from distil.tf.training import distillation
from distil.tf.training.forward import forward
from distil.tf.training.step import Step
from distil.tf.training.workers import Workers


class TeachingStep(Teaching, Step):
    """Trains a student step by step; see `distil.common.steps.stepping.Step`.

    Args:
        model: The student.
        recipe: With a teacher.
        teacher: Of the student's task; it is not changed.
        workers: Who take the steps together; None for this process alone.
        class_weights: What a label of each class counts (c); None for one each.
    """

    measures = distillation

    def __init__(
        self,
        model: TFDistilBertPreTrainedModel,
        recipe: Recipe,
        teacher: TFDistilBertPreTrainedModel,
        workers: Workers | None = None,
        *,
        class_weights: Array | None = None,
    ) -> None:
        extra = drawn_map(model.config, teacher.config, recipe)
        super().__init__(model, recipe, workers, class_weights=class_weights, extra=extra)
        check_alone(recipe.distillation, self.workers.replicas)
        self._take_teacher(teacher, recipe)

    def _seen(
        self,
        model: TFDistilBertPreTrainedModel,
        inputs: Mapping[str, tf.Tensor],
        wanted: tf.Tensor | None,
    ) -> ModelOutput:
        settings = self.settings
        states = {"output_hidden_states": settings.needs_states}
        training = model is not self.teacher
        if wanted is None:
            # What gives logits alone computes less.
            if not settings.needs_states:
                return forward(model, inputs, training)
            return model(**inputs, **states, return_dict=True, training=training)
        encoded = encoder_of(model)(
            input_ids=inputs["input_ids"],
            attention_mask=inputs.get("attention_mask"),
            **states,
            return_dict=True,
            training=training,
        )
        logits = None
        if settings.alpha_ce or settings.alpha_task:
            hidden = tf.reshape(encoded.last_hidden_state, (-1, model.config.dim))
            hidden = tf.gather(hidden, wanted)  # m d
            logits = model.head(hidden[None], dropout_seed(model, training))[0]  # m v
        return HeadOutput(None, logits, encoded.hidden_states)

    def _outputs(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if self.model.task != "base":
            return super()._outputs(inputs)
        own, theirs = (
            distillation.pooled(
                model(**given, return_dict=True, training=False).last_hidden_state,
                self._shown(given),
            )
            for model, given in zip((self.model, self.teacher), for_each(inputs), strict=True)
        )
        loss = distillation.cosine_distance(own, theirs, self._everything(own))
        return {"loss": loss, "vectors": tf.cast(own, tf.float32)}

    def teacher_vectors(self, inputs: Mapping[str, Array]) -> Array:
        """The teacher's vectors of a batch (b, d)."""
        _, given = for_each(inputs)
        found = self._graph(self._vectors_of_teacher, given)
        vectors: Array = found(tf.nest.map_structure(tf.constant, given)).numpy()
        return vectors

    def _vectors_of_teacher(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        states = self.teacher(**inputs, return_dict=True, training=False).last_hidden_state
        return distillation.pooled(states, self._shown(inputs))

    def _shown(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        ids = inputs["input_ids"]
        mask = inputs.get("attention_mask")
        shown = tf.ones_like(ids, tf.bool) if mask is None else mask != 0
        return tf.reshape(shown, (-1, tf.shape(ids)[-1]))

    def _wanted(self, inputs: Mapping[str, tf.Tensor], shown: tf.Tensor) -> tf.Tensor:
        if self.settings.restrict_to_mask or not self.settings.alpha_ce:
            return tf.cast(inputs[PLACES], tf.int64)
        return tf.where(tf.reshape(shown, (-1,)))[:, 0]

    def _task_loss(
        self, logits: tf.Tensor, inputs: Mapping[str, tf.Tensor], wanted: tf.Tensor
    ) -> tf.Tensor:
        # Both are in ascending order, and every token to be guessed is among those scored.
        guessed = tf.searchsorted(wanted, tf.cast(inputs[PLACES], tf.int64))
        return losses.cross_entropy(
            tf.gather(logits, guessed),
            inputs["labels"],
            smoothing=self.recipe.loss.label_smoothing,
        )

    def _times(self, loss: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        return loss * tf.cast(share, loss.dtype)

    def _at(self, shown: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        return tf.where(shown, scores, NO_SCORE)

    def _like(self, values: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        return tf.cast(values, others.dtype)

    def _beside_zero(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.stack((logits, tf.zeros_like(logits)), -1)

    def _everything(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.ones(tf.shape(logits)[:-1], tf.bool)
