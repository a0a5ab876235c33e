"""The sections of a recipe on the course of training: how weights change, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from distil.common.rules import (
    AMOUNT,
    COUNT,
    FLAG,
    POSITIVE,
    PROBABILITY,
    RATE,
    SHARE,
    TEXT,
    Rule,
    integer,
    is_number,
    one_of,
    or_none,
)
from distil.common.steps.recipe_data import MaskingSection
from distil.common.steps.recipe_rules import NAMES, Section, refused, setting

SCHEDULES = (
    "linear", "cosine", "constant", "polynomial", "inverse-sqrt", "cosine-restarts",
    "warmup-stable-decay",
)  # fmt: skip
BALANCED = "balanced"
_DECAY = Rule("a number above 0, at most 1", lambda v: is_number(v) and 0 < v <= 1)
_WEIGHTS = Rule(
    f'"{BALANCED}", or a table from the name of every class to its weight, 0 or more',
    lambda v: v is None or v == BALANCED
    or (isinstance(v, dict) and len(v) > 0 and all(map(AMOUNT.holds, v.values()))),
)  # fmt: skip
# Batches of every epoch are counted before the first; `schedule.steps` has no such limit.
_MOST_EPOCHS = 10_000
# Settings that one kind of schedule has; kinds that never reach a floor.
_ONLY_OF = {"power": "polynomial", "cycles": "cosine-restarts", "decay": "warmup-stable-decay"}
_NO_FLOOR = ("constant", "inverse-sqrt")


@dataclass(frozen=True, kw_only=True)
class OptimizerSection(Section):
    """AdamW (Loshchilov and Hutter 2019), without decay of biases and LayerNorms.

    Attributes:
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay, multiplied by the learning rate.
        beta_1: Decay of the running mean of gradients.
        beta_2: Decay of the running mean of squared gradients.
        epsilon: Added to the denominator.
        clip: Largest norm of all gradients together; None does not clip.
        layer_decay: Factor of the learning rate for every layer that lies further from the head
            (ELECTRA, Clark et al. 2020): the last layer has it once, the embeddings once more
            than the first layer.
    """

    learning_rate: float = setting(POSITIVE, 5e-5)
    weight_decay: float = setting(AMOUNT, 0.01)
    beta_1: float = setting(RATE, 0.9)
    beta_2: float = setting(RATE, 0.999)
    epsilon: float = setting(POSITIVE, 1e-8)
    clip: float | None = setting(or_none(POSITIVE), 1.0)
    layer_decay: float = setting(_DECAY, 1.0)


@dataclass(frozen=True, kw_only=True)
class LossSection(Section):
    """The loss on the labels in training; dev losses are plain.

    Attributes:
        class_weights: What the label of a class counts in the mean, as torch.nn.CrossEntropyLoss
            has it: a weight for every class by its name; or "balanced", by which every class
            counts as much as any other (rows / (classes * rows of the class)).
        label_smoothing: Share of the right answer that is spread over all (Szegedy et al. 2016).
    """

    class_weights: str | Mapping[str, float] | None = setting(_WEIGHTS, None)
    label_smoothing: float = setting(RATE, 0.0)


@dataclass(frozen=True, kw_only=True)
class ScheduleSection(Section):
    """Length of the training, and learning rate over time.

    Attributes:
        epochs: Passes over the training rows.
        steps: Number of steps; None goes by `epochs`.
        kind: Decay after the warm-up: "linear", "cosine", "polynomial", "cosine-restarts",
            "constant", "inverse-sqrt", or "warmup-stable-decay", which is linear at the end.
        warmup: Fraction of the steps in which the rate rises from 0.
        floor: What it decays to, as a fraction of the peak.
        power: Of "polynomial".
        cycles: Number of them, of "cosine-restarts".
        decay: Fraction of the steps in which "warmup-stable-decay" decays.
    """

    epochs: int = setting(integer(1, _MOST_EPOCHS), 3)
    steps: int | None = setting(or_none(COUNT), None)
    kind: str = setting(one_of(SCHEDULES), "linear")
    warmup: float = setting(SHARE, 0.1)
    floor: float = setting(SHARE, 0.0)
    power: float = setting(POSITIVE, 2.0)
    cycles: int = setting(COUNT, 1)
    decay: float = setting(SHARE, 0.1)

    def check_together(self) -> None:  # noqa: D102
        for name, kind in _ONLY_OF.items():
            default = next(item.default for item in fields(self) if item.name == name)
            if self.kind != kind and getattr(self, name) != default:
                raise refused(name, f"{default}, unless kind is {kind}", getattr(self, name))
        if self.kind in _NO_FLOOR and self.floor:
            raise refused("floor", f"0 where kind is {self.kind}", self.floor)
        if self.kind == "warmup-stable-decay" and self.warmup + self.decay > 1:
            raise refused("decay", "warmup and decay at most 1 together", self.decay)


@dataclass(frozen=True, kw_only=True)
class EvaluationSection(Section):
    """Evaluation on the dev rows.

    Attributes:
        every: Steps between evaluations; None evaluates after every epoch.
        metric: The metric that decides which model is best; None takes the task's usual one.
        masking: Masking of the dev rows of masked-LM; None masks them as in training.
        tokens: Tokens in a batch, padding included.
        patience: Stop early after so many evaluations in a row without a better metric; None
            trains to the end.
        threshold: Of several labels, those with a probability above this are predicted.
    """

    every: int | None = setting(or_none(COUNT), None)
    metric: str | None = setting(or_none(TEXT), None)
    masking: MaskingSection | None = None
    tokens: int = setting(COUNT, 4096)
    patience: int | None = setting(or_none(COUNT), None)
    threshold: float = setting(PROBABILITY, 0.5)


@dataclass(frozen=True, kw_only=True)
class CheckpointsSection(Section):
    """Checkpoints, and which model is kept.

    Attributes:
        every: Steps between checkpoints, from which an interrupted training continues; None saves
            one after every epoch.
        model: Which model is kept: the "best" by the metric, or the "last".
    """

    every: int | None = setting(or_none(COUNT), None)
    model: str = setting(one_of(("best", "last")), "best")


@dataclass(frozen=True, kw_only=True)
class CardSection(Section):
    """What the model card says that training cannot know.

    Attributes:
        license: Of the model, as the hub calls it: apache-2.0.
        language: Of the texts, by codes: en.
        datasets: Names on the hub of the data sets that the rows are from; None takes `data.hub`.
    """

    license: str | None = setting(or_none(TEXT), None)
    language: tuple[str, ...] | None = setting(or_none(NAMES), None)
    datasets: tuple[str, ...] | None = setting(or_none(NAMES), None)


@dataclass(frozen=True, kw_only=True)
class LogSection(Section):
    """The log.

    Attributes:
        every: Steps that are averaged to one point of the curve.
        tensorboard: Write event files for TensorBoard as well; needs the extra "tensorboard".
    """

    every: int = setting(COUNT, 10)
    tensorboard: bool = setting(FLAG, False)
