"""Texts with a label or a number each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any, ClassVar

from distil.evaluation.judges.base import (
    LEAST,
    Asked,
    Judge,
    Judged,
    joined,
    judged_number,
    label_of,
    number_of,
)
from distil.measures import metrics
from distil.measures.metrics import Metric


class Classes(Judge):
    """Sequence classification with one label per text."""

    fields = ("text", "label")
    optional = ("text_pair",)
    options: ClassVar[Mapping[str, Any]] = {"top_k": None}
    metrics: ClassVar[Mapping[str, Metric]] = metrics.CLASSES
    main = "accuracy"
    has_classes = True

    def asked(self, fields: Mapping[str, Any]) -> Asked:  # noqa: D102
        row = {name: fields[name] for name in ("text", "text_pair") if name in fields}
        question = row if len(row) > 1 else row["text"]
        right = self.right_answer(fields)
        return Asked(questions=(question,), expected=right, text=joined(row.values()))

    def right_answer(self, fields: Mapping[str, Any]) -> Any:
        """What the label says."""
        return label_of(fields["label"], self.config)

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        (ranked,) = answers
        best, right = ranked[0], asked.expected
        scores = {one["label"]: one["score"] for one in ranked}
        numbers = self.config.label2id
        return Judged(
            expected=right,
            predicted=best["label"],
            numbers={
                "expected": numbers[right],
                "predicted": numbers[best["label"]],
                "score": float(best["label"] == right),
                "confidence": best["score"],
                "loss": -log(max(scores[right], LEAST)),
                "brier": sum((p - (label == right)) ** 2 for label, p in scores.items()),
            },
        )


class Numbers(Judge):
    """Regression: a number for each text."""

    fields = ("text", "label")
    optional = ("text_pair",)
    metrics: ClassVar[Mapping[str, Metric]] = metrics.NUMBERS
    main = "pearson"

    def asked(self, fields: Mapping[str, Any]) -> Asked:  # noqa: D102
        row = {name: fields[name] for name in ("text", "text_pair") if name in fields}
        question = row if len(row) > 1 else row["text"]
        number = number_of(fields["label"])
        return Asked(questions=(question,), expected=number, text=joined(row.values()))

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        (answer,) = answers
        return judged_number(asked.expected, float(answer["score"]))
