"""Two models as one: both compute everything, and how far they are apart is kept."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.inference.model import InferenceModel


class ComparedModels(InferenceModel):
    """Gives the scores of one model, and compares them with another's.

    Args:
        first: Whose scores are given.
        second: Of the same task, with the same weights.

    Attributes:
        difference: The largest difference of any score so far; infinite if one is not a number.
    """

    def __init__(self, first: InferenceModel, second: InferenceModel) -> None:
        self.framework, self.config = first.framework, first.config
        self.task, self.dtype = first.task, first.dtype
        self.difference = 0.0
        self._models = first, second

    def score(
        self,
        sequences: Sequence[Any],
        *,
        positions: Sequence[Any] | None = None,
        wanted: Sequence[Any] | None = None,
    ) -> list[Array]:
        """Score sequences with both models; see `InferenceModel`."""
        one, other = (
            model.score(sequences, positions=positions, wanted=wanted) for model in self._models
        )
        for first, second in zip(one, other, strict=True):
            apart = float(np.abs(first.astype(np.float64) - second).max(initial=0.0))
            self.difference = max(self.difference, float("inf") if isnan(apart) else apart)
        return one
