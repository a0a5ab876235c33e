"""One step of training, in PyTorch; `distil.training` does all the rest.

The twin of this file is `distil.tf.training.step`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distil.arrays import Array
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
from distil.pt import losses
from distil.pt.model import DistilBertPreTrainedModel
from distil.pt.training.forward import forward
from distil.pt.training.workers import Workers
from distil.pt.weights import owner, to_numpy, to_tensor


class Step:
    """Trains a model step by step; see `distil.common.steps.stepping.Step`.

    Args:
        model: To be trained.
        recipe: How.
        workers: Who take the steps together; None for this process alone.
        class_weights: What a label of each class counts (c); None for one each.
        extra: Weights beside the model's, matrices by name with their first values: trained as its
            own are, and in the step's state, but no part of the model.
        unused: Whether the losses leave weights of the model without gradients.
    """

    def __init__(
        self,
        model: DistilBertPreTrainedModel,
        recipe: Recipe,
        workers: Workers | None = None,
        *,
        class_weights: Array | None = None,
        extra: Mapping[str, Array] | None = None,
        unused: bool = False,
    ) -> None:
        self.workers = workers or Workers()
        self.model = model.to(self.workers.device)
        self.recipe = recipe
        self.class_weights = class_weights
        self.steps = 0
        table = list(parameters(model.config, model.task))
        self.weights = {weight.name: _parameter(model, weight) for weight in table}
        for weight in table:
            if is_frozen(weight, recipe.model.freeze):
                self.weights[weight.name].requires_grad_(False)
        for weight in self.weights.values():
            # Products depend in their last digit on where a matrix lies in memory: in a mapped
            # file, in numpy's, or, as from here on, at a multiple of 64 bytes.
            weight.data = weight.data.clone()
        extra_weights = {
            name: nn.Parameter(torch.tensor(x, dtype=self.model.dtype, device=self.model.device))
            for name, x in (extra or {}).items()
        }
        self.weights |= extra_weights
        self.trained = {n: weight for n, weight in self.weights.items() if weight.requires_grad}
        settings = recipe.optimizer
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for weight in table:
            if weight.name in self.trained:
                scale = rate_scale(weight, model.config.n_layers, settings.layer_decay)
                groups.setdefault((scale, decays(weight)), []).append(self.weights[weight.name])
        if extra_weights:
            groups.setdefault((1.0, True), []).extend(extra_weights.values())
        self.optimizer = torch.optim.AdamW(
            [
                {"params": some, "scale": scale, **({} if decayed else {"weight_decay": 0})}
                for (scale, decayed), some in groups.items()
            ],
            betas=(settings.beta_1, settings.beta_2),
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        losses_module = _Losses(self.model, extra_weights.values(), self._losses)
        self.replica = self.workers.parallel(losses_module, unused=unused)

    def train(
        self, parts: Sequence[Batch], learning_rate: float, place: Sequence[int]
    ) -> dict[str, float]:
        """Change the weights once."""
        self.model.train()
        totals = summed([self.counts(part) for part in parts])
        rank, size = self.workers.rank, self.workers.size
        found: list[dict[str, float]] = []
        for number, part in enumerate(parts, start=1):
            own = slice_of(part, rank, size)
            shares = shares_of(self.counts(own), totals)
            seeds = seeds_for(place, (number - 1) * size + rank, 1)
            # Workers add up their gradients when each has those of all parts.
            waits = size > 1 and number < len(parts)
            with self.replica.no_sync() if waits else nullcontext():
                found.append(self._gradients(self._tensors(own.inputs), shares, seeds))
        return {**self.workers.summed(summed(found)), "gradient_norm": self._apply(learning_rate)}

    def _gradients(
        self, inputs: Mapping[str, Tensor], shares: Mapping[str, float], seeds: Sequence[int]
    ) -> dict[str, float]:
        """The share of a part in the losses; its gradients are added to those of other parts."""
        torch.manual_seed(seeds[0])
        with self._precision():
            losses = self.replica(inputs, shares)
        # What is added up over the workers is divided by their number, too.
        (losses["loss"] * self.workers.size).backward()
        return {name: loss.item() for name, loss in losses.items()}

    def counts(self, part: Batch) -> dict[str, float]:
        """How much of a part each loss is the mean of."""
        return {"loss": counted_in(part, self.class_weights)}

    def _losses(
        self, inputs: Mapping[str, Tensor], shares: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """What is made smaller, `loss`, and what else is to be known, each times its share."""
        return {"loss": self._label_loss(forward(self.model, inputs), inputs) * shares["loss"]}

    def _label_loss(self, output: Any, inputs: Mapping[str, Tensor]) -> Tensor:
        """The loss on the labels: the model's own, or with weights or smoothing."""
        smoothing = self.recipe.loss.label_smoothing
        if self.class_weights is None and not smoothing:
            return output.loss
        logits = output.logits.flatten(0, -2)
        return losses.cross_entropy(
            logits, inputs["labels"].flatten(), self.class_weights, smoothing
        )

    def _apply(self, learning_rate: float) -> float:
        """Change the weights by their gradients, and give the norm of those."""
        self.steps += 1
        limit = self.recipe.optimizer.clip
        for weight in self.trained.values():
            # What no loss depends on decays all the same, as in TensorFlow.
            weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
        gradients = [weight.grad for weight in self.trained.values()]
        norm = nn.utils.get_total_norm(gradients)
        if limit is not None and norm > limit:
            nn.utils.clip_grads_with_norm_(self.trained.values(), limit, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group["scale"]
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norm.item()

    def evaluate(self, inputs: Mapping[str, Array]) -> Evaluation:
        """Run the model without dropout."""
        self.model.eval()
        output = self._outputs(self._tensors(inputs))
        loss = output.pop("loss").item()
        return Evaluation(loss=loss, outputs={name: to_numpy(x) for name, x in output.items()})

    @torch.inference_mode()
    def _outputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with self._precision():
            output = forward(self.model, inputs)
        if self.model.task == "masked-lm":
            return {"loss": output.loss, "predicted": output.logits.argmax(-1)}
        logits = {name: x.float() for name, x in output.items() if name != "loss"}
        return {"loss": output.loss, **logits}

    def state(self) -> dict[str, Array]:
        """All that the steps so far have left: weights and the optimizer's means."""
        state = {STEPS: np.array([self.steps])}
        for name, weight in self.weights.items():
            state[WEIGHT + name] = to_numpy(weight)
        for name, weight in self.trained.items():
            means = self.optimizer.state[weight]
            if means:
                state[MEAN + name] = to_numpy(means["exp_avg"])
                state[SQUARE + name] = to_numpy(means["exp_avg_sq"])
        return state

    @torch.no_grad()
    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to where `state` was taken."""
        self.steps = int(state[STEPS][0])
        for name, weight in self.weights.items():
            weight.copy_(to_tensor(state[WEIGHT + name]))
        for name, weight in self.trained.items():
            if MEAN + name in state:
                self.optimizer.state[weight] = {
                    "step": torch.tensor(float(self.steps), device=weight.device),
                    "exp_avg": to_tensor(state[MEAN + name]).to(weight, copy=True),
                    "exp_avg_sq": to_tensor(state[SQUARE + name]).to(weight, copy=True),
                }

    def _precision(self) -> AbstractContextManager[Any]:
        enabled = self.recipe.precision == "bfloat16"
        return torch.autocast(self.model.device.type, torch.bfloat16, enabled=enabled)

    def _tensors(self, inputs: Mapping[str, Array]) -> dict[str, Tensor]:
        return {name: torch.from_numpy(x).to(self.model.device) for name, x in inputs.items()}


class _Losses(nn.Module):
    """The losses as a module, since DistributedDataParallel looks at the calls of one.

    Args:
        model: Whose weights get gradients.
        extra: Weights beside the model's that do, too.
        losses: What computes them.
    """

    def __init__(
        self,
        model: nn.Module,
        extra: Iterable[nn.Parameter],
        losses: Callable[..., dict[str, Tensor]],
    ) -> None:
        super().__init__()
        self.model = model
        self.extra = nn.ParameterList(extra)
        self.losses = losses

    def forward(
        self, inputs: Mapping[str, Tensor], shares: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """The losses of a part."""
        return self.losses(inputs, shares)


def _parameter(model: DistilBertPreTrainedModel, weight: Any) -> nn.Parameter:
    module, leaf, _ = owner(model, weight)
    return getattr(module, leaf)
