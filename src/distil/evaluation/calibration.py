"""Calibration: whether a model is right as often as its probabilities say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distil.arrays import Array
from distil.measures.table import Table

BINS = 15


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How well calibrated a model's probabilities are.

    Attributes:
        ece: Expected calibration error: the mean gap between confidence and accuracy over bins of
            equal size (Nguyen and O'Connor 2015).  Where a text may have several labels, every
            label of every text counts as a row, with its probability as the confidence.
        brier: Brier score (1950): the mean squared error of the probabilities, summed over classes.
        nll: Mean negative log-likelihood of the right answer, in nats.
        bins: Mean confidence, accuracy and number of rows of each bin.
    """

    ece: float
    brier: float
    nll: float
    bins: tuple[tuple[float, float, int], ...]


def calibration(table: Table) -> Calibration | None:
    """The calibration of judged rows; None if the task gives no probabilities."""
    if "confidence" not in table:
        return None
    confidence = table["confidence"]
    right = table["score"] if confidence.ndim == 1 else table["expected"]
    bins = _bins(confidence.ravel(), right.ravel())
    gaps = [rows * abs(middle - accuracy) for middle, accuracy, rows in bins]
    return Calibration(
        ece=sum(gaps) / confidence.size,
        brier=float(table["brier"].mean()),
        nll=float(table["loss"].mean()),
        bins=tuple(bins),
    )


def _bins(confidence: Array, right: Array) -> list[tuple[float, float, int]]:
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    return [
        (float(confidence[part].mean()), float(right[part].mean()), len(part)) for part in parts
    ]
