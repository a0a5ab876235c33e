"""What a framework does in training: one step.  Everything around it is shared.

`distil.pt.training.step` and `distil.tf.training.step` each have a `Step`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from distil.arrays import Array
from distil.common.labels import IGNORED
from distil.common.spec import Weight
from distil.common.steps.batching import Batch

# Names in a step's state: the prefix of a weight's canonical name.
WEIGHT, MEAN, SQUARE = "weight/", "mean/", "square/"
STEPS = "steps"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model computes for a batch.

    Attributes:
        loss: The mean over the labels that count.
        outputs: By name: logits, or start_logits and end_logits; of masked-LM `predicted`, the
            most likely words.
    """

    loss: float
    outputs: Mapping[str, Array]


class Step(Protocol):
    """Trains a model step by step, with AdamW."""

    def train(
        self, parts: Sequence[Batch], learning_rate: float, place: Sequence[int]
    ) -> dict[str, float]:
        """Update the weights once.

        Every worker is given the same batches, and computes its slices of them.

        Args:
            parts: Batches that make one step; the loss is the mean over the labels of all.
            learning_rate: Of this step.
            place: What dropout depends on: the seed and the number of the step.

        Returns:
            Measurements by name: `loss`, what it is made of, if that is more than one, and
            `gradient_norm` before clipping; the same in every worker.
        """

    def evaluate(self, inputs: Mapping[str, Array]) -> Evaluation:
        """Run the model without dropout."""

    def state(self) -> dict[str, Array]:
        """The state after the steps so far: weights and the optimizer's running means.

        By canonical name and in PyTorch's orientation, in either framework.
        """

    def restore(self, state: Mapping[str, Array]) -> None:
        """Return to the point where `state` was taken."""


def is_frozen(weight: Weight, freeze: Sequence[str | int] | None) -> bool:
    """Whether a weight is not trained, by the recipe's `model.freeze`."""
    part = "embeddings" if weight.layer is None else weight.layer
    return freeze is not None and weight.in_encoder and part in freeze


def decays(weight: Weight) -> bool:
    """Whether weight decay applies: not to biases or LayerNorms."""
    return weight.leaf != "bias" and weight.row.kind != "norm"


def summed(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Numbers by name, added up."""
    return {name: sum(part[name] for part in parts) for name in parts[0]}


def shares_of(counts: Mapping[str, float], totals: Mapping[str, float]) -> dict[str, float]:
    """What each loss of a part counts in that of its step.

    A loss is a mean: over so many labels, tokens or rows of the part, of so many of the step.
    """
    return {name: count / totals[name] if totals[name] else 0.0 for name, count in counts.items()}


def counted_in(part: Batch, class_weights: Array | None) -> float:
    """How much the labels of a part count: one each, or the weights of their classes (c)."""
    if class_weights is None or not len(part.rows):
        return part.counted
    labels = part.inputs["labels"]
    return float(class_weights[labels[labels != IGNORED]].sum())


def rate_scale(weight: Weight, layers: int, decay: float) -> float:
    """What the learning rate of a weight is multiplied by.

    Args:
        weight: Of the model.
        layers: How many the model has.
        decay: The factor for every layer that lies further from the head.
    """
    if weight.layer is not None:
        return float(decay ** (layers - weight.layer))
    return float(decay ** (layers + 1)) if weight.in_encoder else 1.0


def seeds_for(place: Sequence[int], part: int, count: int) -> list[int]:
    """Seeds for the dropout of a part of a step, 31 bits each."""
    state = np.random.SeedSequence([*place, part]).generate_state(count)
    return [int(word) >> 1 for word in state]
