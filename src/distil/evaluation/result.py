"""What `evaluate` gives."""

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
    """A row that people may want to see.

    Attributes:
        row: Its number.
        text: What was asked.
        expected: The right answer.
        predicted: The model's.
        other: That of the model it is compared with, else None.
        score: How right it is, see `judges.Judged`.
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
        model: Its name, or what form of the first it is.
        metrics: Its metrics.
        differences: By metric, how much better the first model is.
        changed: Number of rows that the two answer differently.
        rows: Some of these.
    """

    model: str
    metrics: Mapping[str, Estimate]
    differences: Mapping[str, Difference]
    changed: int
    rows: tuple[JudgedRow, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        model: The model.
        task: Its task.
        rows: Number of rows judged.
        skipped: Number of rows that could not be read or answered.
        main: The metric that counts most.
        metrics: By name, each with its 95% interval.
        calibration: How good probabilities are; None where the task gives none.
        confusion: By right label, how often each label was predicted; None where the task has no
            classes, or more than 50.
        labels: By label, its own figures, where a text may have several; else None.
        slices: Parts of the rows.
        worst: The rows that are most wrong.
        against: The model it was compared with.
        speed: How fast the answers came.
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
        """Everything as tables, lists and numbers; of `against` the main difference by itself."""
        table = asdict(self)
        if self.against is not None:
            table["against"] |= asdict(self.against.differences[self.main])
        return table
