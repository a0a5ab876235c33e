"""One step of distillation, in TensorFlow: a step of training whose loss comes from a teacher too.

Source: Sanh et al. 2019, section 3.  Shapes: b batch (for multiple choice, rows times choices),
s length, d dim, m tokens whose word is scored, v vocabulary, c classes.  The twin of this file is
`distil.pt.training.teaching`.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from distil.common.outputs import HeadOutput, ModelOutput
from distil.common.steps.batching import Batch
from distil.common.steps.masking import PLACES
from distil.common.steps.recipe import Recipe
from distil.common.steps.teaching import NO_SCORE, TARGETS, counts_of, matched_layers
from distil.tf import losses
from distil.tf.model import TFDistilBertPreTrainedModel, dropout_seed, encoder_of
from distil.tf.training.distillation import (
    attention_difference,
    cosine_distance,
    hidden_difference,
    soft_cross_entropy,
)
from distil.tf.training.forward import forward
from distil.tf.training.step import Step
from distil.tf.training.workers import Workers


class TeachingStep(Step):
    """Trains a student step by step; see `distil.common.steps.stepping.Step`.

    Each loss is a measurement: `loss_ce`, `loss_task`, `loss_cos`, `loss_hidden` and
    `loss_attention`, as far as the recipe asks for them, and `loss`, their weighted sum.

    Args:
        model: The student.
        recipe: With a teacher.
        teacher: Of the student's task and vocabulary; it is not changed.
        workers: Who take the steps together; None for this process alone.
    """

    def __init__(
        self,
        model: TFDistilBertPreTrainedModel,
        recipe: Recipe,
        teacher: TFDistilBertPreTrainedModel,
        workers: Workers | None = None,
    ) -> None:
        super().__init__(model, recipe, workers)
        self.settings = recipe.distillation
        self.teacher = teacher
        self.matched = matched_layers(model.config, teacher.config, recipe.teacher.layers)

    def counts(self, part: Batch) -> dict[str, int]:
        """How much of a part each loss is the mean of."""
        return counts_of(part, self.model.task, self.settings)

    def _losses(
        self, inputs: Mapping[str, tf.Tensor], shares: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        settings = self.settings
        asked = {name: x for name, x in inputs.items() if name not in TARGETS}
        shown = _shown(inputs)  # b s
        wanted = self._wanted(inputs, shown)
        teacher = self._seen(self.teacher, asked, wanted, training=False)
        own_inputs = inputs if settings.alpha_task else asked
        student = self._seen(self.model, own_inputs, wanted, training=True)
        found = {}
        if settings.alpha_ce:
            found["ce"] = self._predictions(student, teacher, shown)
        if settings.alpha_task:
            found["task"] = self._task_loss(student, inputs, wanted)
        if settings.alpha_cos:
            found["cos"] = cosine_distance(
                student.hidden_states[-1], teacher.hidden_states[-1], shown
            )
        if settings.alpha_hidden:
            found["hidden"] = sum(
                hidden_difference(own, teacher.hidden_states[number], shown)
                for own, number in zip(student.hidden_states[1:], self.matched, strict=True)
            ) / len(self.matched)
        if settings.alpha_attention:
            found["attention"] = sum(
                attention_difference(own, teacher.attentions[number - 1], shown)
                for own, number in zip(student.attentions, self.matched, strict=True)
            ) / len(self.matched)
        found = {name: loss * tf.cast(shares[name], loss.dtype) for name, loss in found.items()}
        total = sum(getattr(settings, f"alpha_{name}") * loss for name, loss in found.items())
        return {"loss": total, **{f"loss_{name}": loss for name, loss in found.items()}}

    def _wanted(self, inputs: Mapping[str, tf.Tensor], shown: tf.Tensor) -> tf.Tensor | None:
        """Of masked-LM the tokens whose words are scored (m), by place in `input_ids` (b * s)."""
        if self.model.task != "masked-lm":
            return None
        if self.settings.restrict_to_mask or not self.settings.alpha_ce:
            return tf.cast(inputs[PLACES], tf.int64)
        return tf.where(tf.reshape(shown, (-1,)))[:, 0]

    def _seen(
        self,
        model: TFDistilBertPreTrainedModel,
        inputs: Mapping[str, tf.Tensor],
        wanted: tf.Tensor | None,
        training: bool,
    ) -> ModelOutput:
        """What the losses look at: logits, and hidden states and attentions as far as needed."""
        settings = self.settings
        states = {
            "output_hidden_states": bool(settings.alpha_cos or settings.alpha_hidden),
            "output_attentions": bool(settings.alpha_attention),
        }
        if wanted is None:
            # What gives logits alone computes less.
            if not any(states.values()):
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
        return HeadOutput(None, logits, encoded.hidden_states, encoded.attentions)

    def _predictions(
        self, student: ModelOutput, teacher: ModelOutput, shown: tf.Tensor
    ) -> tf.Tensor:
        """L_ce over what the task predicts: words, classes, choices, or where an answer is."""
        if self.model.task == "question-answering":
            return (
                self._agreement(
                    tf.where(shown, student.start_logits, NO_SCORE),
                    tf.where(shown, teacher.start_logits, NO_SCORE),
                )
                + self._agreement(
                    tf.where(shown, student.end_logits, NO_SCORE),
                    tf.where(shown, teacher.end_logits, NO_SCORE),
                )
            ) / 2
        tokens = self.model.task == "token-classification"
        return self._agreement(student.logits, teacher.logits, shown if tokens else None)

    def _agreement(
        self, student: tf.Tensor, teacher: tf.Tensor, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """L_ce of logits (..., c) where `mask` (...) is true; None counts all."""
        if mask is None:
            mask = tf.ones(tf.shape(student)[:-1], tf.bool)
        if student.shape[-1] == 1:  # a number is predicted, no class
            return hidden_difference(student, teacher, mask)
        return soft_cross_entropy(student, teacher, mask, self.settings.temperature)

    def _task_loss(
        self, student: ModelOutput, inputs: Mapping[str, tf.Tensor], wanted: tf.Tensor | None
    ) -> tf.Tensor:
        if wanted is None:
            return student.loss
        # Both are in ascending order, and every token to be guessed is among those scored.
        guessed = tf.searchsorted(wanted, tf.cast(inputs[PLACES], tf.int64))
        return losses.cross_entropy(tf.gather(student.logits, guessed), inputs["labels"])


def _shown(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """True where a token is not padding (b, s)."""
    ids = inputs["input_ids"]
    mask = inputs.get("attention_mask")
    shown = tf.ones_like(ids, tf.bool) if mask is None else mask != 0
    return tf.reshape(shown, (-1, tf.shape(ids)[-1]))
