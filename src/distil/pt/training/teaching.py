"""One step of distillation, in PyTorch: a step of training whose loss comes from a teacher too.

Source: Sanh et al. 2019, section 3.  Shapes: b batch (for multiple choice, rows times choices),
s length, d dim, m tokens whose word is scored, v vocabulary, c classes.  The twin of this file is
`distil.tf.training.teaching`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from distil.common.outputs import HeadOutput, ModelOutput
from distil.common.steps.batching import Batch
from distil.common.steps.masking import PLACES
from distil.common.steps.recipe import Recipe
from distil.common.steps.teaching import NO_SCORE, TARGETS, counts_of, matched_layers
from distil.pt import losses
from distil.pt.model import DistilBertPreTrainedModel, encoder_of
from distil.pt.training.distillation import (
    attention_difference,
    cosine_distance,
    hidden_difference,
    soft_cross_entropy,
)
from distil.pt.training.forward import forward
from distil.pt.training.step import Step
from distil.pt.training.workers import Workers


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
        model: DistilBertPreTrainedModel,
        recipe: Recipe,
        teacher: DistilBertPreTrainedModel,
        workers: Workers | None = None,
    ) -> None:
        self.settings = recipe.distillation
        # Hidden states and attentions alone teach the head nothing.
        unused = not (self.settings.alpha_ce or self.settings.alpha_task)
        super().__init__(model, recipe, workers, unused=unused)
        self.teacher = teacher.to(self.workers.device).eval().requires_grad_(False)
        for weight in teacher.parameters():
            weight.data = weight.data.clone()  # as in Step
        self.matched = matched_layers(model.config, teacher.config, recipe.teacher.layers)

    def counts(self, part: Batch) -> dict[str, int]:
        """How much of a part each loss is the mean of."""
        return counts_of(part, self.model.task, self.settings)

    def _losses(
        self, inputs: Mapping[str, Tensor], shares: Mapping[str, float]
    ) -> dict[str, Tensor]:
        settings = self.settings
        asked = {name: x for name, x in inputs.items() if name not in TARGETS}
        shown = _shown(inputs)  # b s
        wanted = self._wanted(inputs, shown)
        with torch.no_grad():
            teacher = self._seen(self.teacher, asked, wanted)
        student = self._seen(self.model, inputs if settings.alpha_task else asked, wanted)
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
        found = {name: loss * shares[name] for name, loss in found.items()}
        total = sum(getattr(settings, f"alpha_{name}") * loss for name, loss in found.items())
        return {"loss": total, **{f"loss_{name}": loss for name, loss in found.items()}}

    def _wanted(self, inputs: Mapping[str, Tensor], shown: Tensor) -> Tensor | None:
        """Of masked-LM the tokens whose words are scored (m), by place in `input_ids` (b * s)."""
        if self.model.task != "masked-lm":
            return None
        if self.settings.restrict_to_mask or not self.settings.alpha_ce:
            return inputs[PLACES].long()
        return shown.flatten().nonzero()[:, 0]

    def _seen(
        self,
        model: DistilBertPreTrainedModel,
        inputs: Mapping[str, Tensor],
        wanted: Tensor | None,
    ) -> ModelOutput:
        """What the losses look at: logits, and hidden states and attentions as far as needed."""
        settings = self.settings
        states = {
            "output_hidden_states": bool(settings.alpha_cos or settings.alpha_hidden),
            "output_attentions": bool(settings.alpha_attention),
        }
        if wanted is None:
            # What gives logits alone computes less.
            return model(**inputs, **states) if any(states.values()) else forward(model, inputs)
        encoded = encoder_of(model)(
            inputs["input_ids"], inputs.get("attention_mask"), **states, return_dict=True
        )
        logits = None
        if settings.alpha_ce or settings.alpha_task:
            hidden = encoded.last_hidden_state.flatten(0, 1)[wanted]  # m d
            logits = model.head(hidden[None])[0]  # m v
        return HeadOutput(None, logits, encoded.hidden_states, encoded.attentions)

    def _predictions(self, student: ModelOutput, teacher: ModelOutput, shown: Tensor) -> Tensor:
        """L_ce over what the task predicts: words, classes, choices, or where an answer is."""
        if self.model.task == "question-answering":
            return (
                self._agreement(
                    student.start_logits.masked_fill(~shown, NO_SCORE),
                    teacher.start_logits.masked_fill(~shown, NO_SCORE),
                )
                + self._agreement(
                    student.end_logits.masked_fill(~shown, NO_SCORE),
                    teacher.end_logits.masked_fill(~shown, NO_SCORE),
                )
            ) / 2
        tokens = self.model.task == "token-classification"
        return self._agreement(student.logits, teacher.logits, shown if tokens else None)

    def _agreement(self, student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
        """L_ce of logits (..., c) where `mask` (...) is true; None counts all."""
        if mask is None:
            mask = torch.ones(student.shape[:-1], dtype=torch.bool, device=student.device)
        if student.shape[-1] == 1:  # a number is predicted, no class
            return hidden_difference(student, teacher, mask)
        return soft_cross_entropy(student, teacher, mask, self.settings.temperature)

    def _task_loss(
        self, student: ModelOutput, inputs: Mapping[str, Tensor], wanted: Tensor | None
    ) -> Tensor:
        if wanted is None:
            return student.loss
        # Both are in ascending order, and every token to be guessed is among those scored.
        guessed = torch.searchsorted(wanted, inputs[PLACES].long())
        return losses.cross_entropy(student.logits[guessed], inputs["labels"])


def _shown(inputs: Mapping[str, Tensor]) -> Tensor:
    """True where a token is not padding (b, s)."""
    ids = inputs["input_ids"]
    mask = inputs.get("attention_mask")
    shown = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask != 0
    return shown.flatten(0, -2)
