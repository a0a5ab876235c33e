"""One step of distillation, in PyTorch: a step of training whose loss comes from a teacher too.

The arithmetic that is neutral, and what shapes are called, is in `distil.common.steps.teaching`.
The twin of this file is `distil.tf.training.teaching`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor

from distil.arrays import Array
from distil.common.model import encoder_of
from distil.common.outputs import HeadOutput, ModelOutput
from distil.common.steps.batching import for_each
from distil.common.steps.linear_map import drawn_map
from distil.common.steps.masking import PLACES
from distil.common.steps.recipe import Recipe
from distil.common.steps.teaching import NO_SCORE, Teaching
from distil.common.steps.teaching_rules import check_alone
from distil.pt import losses
from distil.pt.model import DistilBertPreTrainedModel
from distil.pt.training import distillation
from distil.pt.training.forward import forward
from distil.pt.training.step import Step
from distil.pt.training.workers import Workers
from distil.pt.weights import to_numpy


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
        model: DistilBertPreTrainedModel,
        recipe: Recipe,
        teacher: DistilBertPreTrainedModel,
        workers: Workers | None = None,
        *,
        class_weights: Array | None = None,
    ) -> None:
        # Hidden states, vectors and attentions alone teach the head nothing.
        unused = not (recipe.distillation.alpha_ce or recipe.distillation.alpha_task)
        extra = drawn_map(model.config, teacher.config, recipe)
        super().__init__(
            model, recipe, workers, class_weights=class_weights, extra=extra, unused=unused
        )
        check_alone(recipe.distillation, self.workers.size)
        self._take_teacher(teacher.to(self.workers.device).eval().requires_grad_(False), recipe)
        for weight in teacher.parameters():
            weight.data = weight.data.clone()  # as in Step

    def _seen(
        self, model: DistilBertPreTrainedModel, inputs: Mapping[str, Tensor], wanted: Tensor | None
    ) -> ModelOutput:
        settings = self.settings
        states = {"output_hidden_states": settings.needs_states}
        with torch.no_grad() if model is self.teacher else nullcontext():
            if wanted is None:
                # What gives logits alone computes less.
                return (
                    model(**inputs, **states) if settings.needs_states else forward(model, inputs)
                )
            encoded = encoder_of(model)(
                inputs["input_ids"], inputs.get("attention_mask"), **states, return_dict=True
            )
            logits = None
            if settings.alpha_ce or settings.alpha_task:
                hidden = encoded.last_hidden_state.flatten(0, 1)[wanted]  # m d
                logits = model.head(hidden[None])[0]  # m v
        return HeadOutput(None, logits, encoded.hidden_states)

    @torch.inference_mode()
    def _outputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.model.task != "base":
            return super()._outputs(inputs)
        with self._precision():
            own, theirs = (
                distillation.pooled(model(**given).last_hidden_state, self._shown(given))
                for model, given in zip((self.model, self.teacher), for_each(inputs), strict=True)
            )
        loss = distillation.cosine_distance(own, theirs, self._everything(own))
        return {"loss": loss, "vectors": own.float()}

    @torch.inference_mode()
    def teacher_vectors(self, inputs: Mapping[str, Array]) -> Array:
        """The teacher's vectors of a batch (b, d)."""
        _, given = for_each(self._tensors(inputs))
        with self._precision():
            states = self.teacher(**given).last_hidden_state
            return to_numpy(distillation.pooled(states, self._shown(given)))

    def _shown(self, inputs: Mapping[str, Tensor]) -> Tensor:
        ids = inputs["input_ids"]
        mask = inputs.get("attention_mask")
        shown = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask != 0
        return shown.flatten(0, -2)

    def _wanted(self, inputs: Mapping[str, Tensor], shown: Tensor) -> Tensor:
        if self.settings.restrict_to_mask or not self.settings.alpha_ce:
            return inputs[PLACES].long()
        return shown.flatten().nonzero()[:, 0]

    def _task_loss(self, logits: Tensor, inputs: Mapping[str, Tensor], wanted: Tensor) -> Tensor:
        # Both are in ascending order, and every token to be guessed is among those scored.
        guessed = torch.searchsorted(wanted, inputs[PLACES].long())
        return losses.cross_entropy(
            logits[guessed], inputs["labels"], smoothing=self.recipe.loss.label_smoothing
        )

    def _times(self, loss: Tensor, share: float) -> Tensor:
        return loss * share

    def _at(self, shown: Tensor, scores: Tensor) -> Tensor:
        return scores.masked_fill(~shown, NO_SCORE)

    def _like(self, values: Tensor, others: Tensor) -> Tensor:
        return values.to(others.dtype)

    def _beside_zero(self, logits: Tensor) -> Tensor:
        return torch.stack((logits, torch.zeros_like(logits)), -1)

    def _everything(self, logits: Tensor) -> Tensor:
        return torch.ones(logits.shape[:-1], dtype=torch.bool, device=logits.device)
