"""How fast a model answers: over all rows, and one row at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.inference.model import InferenceModel
from distil.pipelines.base import Pipeline


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast a model answered.

    Attributes:
        seconds: Time spent computing all rows, without reading and tokenizing.
        tokens: Number of tokens computed; equal texts are computed once.
        tokens_per_second: `tokens` over `seconds`.
        p50: Median time for one row by itself, from text to answer, in milliseconds.
        p99: The 99th percentile of that, in milliseconds.
    """

    seconds: float
    tokens: int
    tokens_per_second: float
    p50: float
    p99: float


class Counted(InferenceModel):
    """A model that counts the tokens it computes and the time that takes."""

    def __init__(self, model: InferenceModel) -> None:
        self._model = model
        self.framework, self.config = model.framework, model.config
        self.task, self.dtype = model.task, model.dtype
        self.seconds, self.tokens = 0.0, 0

    def score(
        self,
        sequences: Sequence[Any],
        *,
        positions: Sequence[Any] | None = None,
        wanted: Sequence[Any] | None = None,
    ) -> list[Array]:
        """As the model's own."""
        begin = time.perf_counter()
        scores = self._model.score(sequences, positions=positions, wanted=wanted)
        self.seconds += time.perf_counter() - begin
        self.tokens += sum(map(len, sequences))
        return scores


def measure(pipeline: Pipeline, counted: Counted, questions: Sequence[Any]) -> Speed:
    """The speed of everything computed so far, and of some questions one at a time."""
    seconds, tokens = counted.seconds, counted.tokens
    times = []
    for question in questions:
        begin = time.perf_counter()
        for _ in pipeline.stream([(0, question)], skip_bad_rows=True, on_bad_row=_ignored):
            pass
        times.append(1000 * (time.perf_counter() - begin))
    p50, p99 = np.quantile(times, (0.5, 0.99)) if times else (np.nan, np.nan)
    return Speed(
        seconds=seconds, tokens=tokens, tokens_per_second=tokens / max(seconds, 1e-9),
        p50=float(p50), p99=float(p99),
    )  # fmt: skip


def _ignored(number: int, problem: Exception) -> None:
    """The row was judged or skipped before."""
