"""What a recipe says of the course of training: how weights change, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass

from distil.common.rules import (
    AMOUNT,
    COUNT,
    FLAG,
    POSITIVE,
    RATE,
    SHARE,
    TEXT,
    integer,
    one_of,
    or_none,
)
from distil.common.steps.recipe_rules import NAMES, Section, setting

SCHEDULES = ("linear", "cosine", "constant")
# Batches of every epoch are counted before the first; `schedule.steps` has no such limit.
_MOST_EPOCHS = 10_000


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
    """

    learning_rate: float = setting(POSITIVE, 5e-5)
    weight_decay: float = setting(AMOUNT, 0.01)
    beta_1: float = setting(RATE, 0.9)
    beta_2: float = setting(RATE, 0.999)
    epsilon: float = setting(POSITIVE, 1e-8)
    clip: float | None = setting(or_none(POSITIVE), 1.0)


@dataclass(frozen=True, kw_only=True)
class ScheduleSection(Section):
    """Length of the training, and learning rate over time.

    Attributes:
        epochs: Passes over the training rows.
        steps: Number of steps; None goes by `epochs`.
        kind: Decay after the warm-up: "linear" or "cosine" to 0, or "constant".
        warmup: Fraction of the steps in which the rate rises from 0.
    """

    epochs: int = setting(integer(1, _MOST_EPOCHS), 3)
    steps: int | None = setting(or_none(COUNT), None)
    kind: str = setting(one_of(SCHEDULES), "linear")
    warmup: float = setting(SHARE, 0.1)


@dataclass(frozen=True, kw_only=True)
class EvaluationSection(Section):
    """Evaluation on the dev rows.

    Attributes:
        every: Steps between evaluations; None evaluates after every epoch.
        metric: The metric that decides which model is best; None takes the task's usual one.
        tokens: Tokens in a batch, padding included.
    """

    every: int | None = setting(or_none(COUNT), None)
    metric: str | None = setting(or_none(TEXT), None)
    tokens: int = setting(COUNT, 4096)


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
    """What the model card says and training cannot know.

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
        tensorboard: Write event files for TensorBoard as well, which must be installed.
    """

    every: int = setting(COUNT, 10)
    tensorboard: bool = setting(FLAG, False)
