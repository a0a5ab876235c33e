"""What `evaluate` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from distil.evaluation.calibration import Calibration
from distil.evaluation.slices import Slice
from distil.evaluation.speed import Speed
from distil.measures.statistics import Difference, Estimate


@dataclass(frozen=True, kw_only=True)
class JudgedRow:
    """One row, to be shown.

    Attributes:
        row: Its number, from 1.
        text: What was asked.
        expected: The right answer.
        predicted: The model's answer.
        other: The answer of the model it is compared with, if any.
        score: How good the answer is, see `judges.Judged`.
    """

    row: int
    text: str
    expected: Any
    predicted: Any
    other: Any
    score: float


@dataclass(frozen=True, kw_only=True)
class LabelFigures:
    """How well one label is found, where a text may have several.

    Attributes:
        rows: Number of rows that have it.
        precision: Of the rows that it is predicted for, the share that have it.
        recall: Of the rows that have it, the share that it is predicted for.
        f1: The harmonic mean of the two.
    """

    rows: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True, kw_only=True)
class Against:
    """A second model on the same rows.

    Attributes:
        model: Its name, or the form of the first model that it is.
        metrics: Its metrics.
        differences: How much better the first model is, by metric.
        changed: Number of rows that the two models answer differently.
        rows: The first few of these.
    """

    model: str
    metrics: Mapping[str, Estimate]
    differences: Mapping[str, Difference]
    changed: int
    rows: tuple[JudgedRow, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How good a model is.

    Attributes:
        model: The model.
        task: Its task.
        rows: Number of rows judged.
        skipped: Number of rows that could not be read or answered.
        main: Name of the main metric.
        metrics: All metrics by name, with 95% intervals.
        calibration: Of the probabilities; None if the task gives none.
        confusion: How often each label was predicted, by right label; None if the task has no
            classes, or more than 50.
        labels: Each label's own figures, where a text may have several labels; else None.
        slices: The main metric of parts of the rows.
        worst: The rows with the worst answers.
        against: The comparison with a second model, if there was one.
        speed: How fast the model answered.
        seed: Of the resamples.
    """

    model: str
    task: str
    rows: int
    skipped: int
    main: str
    metrics: Mapping[str, Estimate]
    calibration: Calibration | None
    confusion: Mapping[str, Mapping[str, int]] | None
    labels: Mapping[str, LabelFigures] | None
    slices: tuple[Slice, ...]
    worst: tuple[JudgedRow, ...]
    against: Against | None
    speed: Speed
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data; `against` also has the main metric's difference by itself."""
        table = asdict(self)
        if self.against is not None:
            table["against"] |= asdict(self.against.differences[self.main])
        return table
