"""Texts with several labels each, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, log1p
from typing import Any, ClassVar

from distil.common.config import DistilBertConfig
from distil.evaluation.judges.base import LEAST, Asked, Column, Judged, label_of
from distil.evaluation.judges.classes import Classes
from distil.measures import metrics
from distil.measures.metrics import Metric
from distil.reading import labels_in


class Labels(Classes):
    """Sequence classification in which every label applies or does not, by itself.

    The rows' labels are a list of names or numbers; or in columns of 0 and 1, named after them,
    where the column of `label` is a list of such.

    Args:
        config: Of the model.
        columns: As of `Judge`.
        threshold: Labels with a probability above it are predicted.
    """

    metrics: ClassVar[Mapping[str, Metric]] = metrics.LABELS
    main = "f1_micro"
    of_columns = ("label",)

    def __init__(
        self, config: DistilBertConfig, columns: Mapping[str, Column], *, threshold: float
    ) -> None:
        super().__init__(config, columns)
        self.threshold = threshold
        self.names = [config.id2label[number] for number in range(config.num_labels)]

    def right_answer(self, fields: Mapping[str, Any]) -> list[str]:  # noqa: D102
        named = self.columns["label"]
        values = fields["label"]
        if isinstance(named, str):
            values = {named: values}
        found = {label_of(one, self.config) for one in labels_in(values, named)}
        return [name for name in self.names if name in found]

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        (ranked,) = answers
        scores = {one["label"]: one["score"] for one in ranked}
        probabilities = [scores[name] for name in self.names]
        expected = [float(name in asked.expected) for name in self.names]
        predicted = [float(p > self.threshold) for p in probabilities]
        pairs = list(zip(probabilities, expected, strict=True))
        return Judged(
            expected=asked.expected,
            predicted=[name for name, is_one in zip(self.names, predicted, strict=True) if is_one],
            lists={"expected": expected, "predicted": predicted, "confidence": probabilities},
            numbers={
                "score": float(predicted == expected),
                # Of all labels together, each by itself: of the right answer as a whole.
                "loss": -sum(
                    log(max(p, LEAST)) if right else log1p(-min(p, 1 - LEAST)) for p, right in pairs
                ),
                "brier": sum((p - right) ** 2 for p, right in pairs),
            },
        )
