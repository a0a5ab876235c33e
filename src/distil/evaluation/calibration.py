"""Whether a model is as often right as its probabilities say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distil.arrays import Array
from distil.measures.table import Table

BINS = 15


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How good the probabilities of answers are.

    Attributes:
        ece: Expected calibration error: how far confidence and accuracy lie apart, the mean of
            bins with equally many rows (Nguyen and O'Connor 2015).  Where a text may have several
            labels, every label of every text counts as a row, and its probability as confidence.
        brier: The mean squared distance of the probabilities from the right answer (Brier 1950,
            the sum over all classes).
        nll: The mean negative log-likelihood of the right answer, in nats.
        bins: Of each bin the mean confidence, the accuracy, and the number of rows.
    """

    ece: float
    brier: float
    nll: float
    bins: tuple[tuple[float, float, int], ...]


def calibration(table: Table) -> Calibration | None:
    """That of answers with probabilities; None where the task gives none."""
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
