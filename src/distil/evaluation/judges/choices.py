"""Multiple choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any, ClassVar

from distil.errors import InputError, shown
from distil.evaluation.judges.base import (
    LEAST,
    Asked,
    Judge,
    Judged,
)
from distil.measures import metrics
from distil.measures.metrics import Metric


class Choices(Judge):
    """Multiple choice; a label is the number of the right choice, from 0, or that choice itself."""

    fields = ("prompt", "choices", "label")
    metrics: ClassVar[Mapping[str, Metric]] = metrics.CHOICES
    main = "accuracy"

    def asked(self, fields: Mapping[str, Any]) -> Asked:  # noqa: D102
        choices = fields["choices"]
        if not isinstance(choices, list | tuple):
            raise InputError("the choices are not a list", found=shown(choices))
        names = {str(number): number for number in range(len(choices))}
        label = names.get(str(fields["label"]))
        if label is None and fields["label"] in choices:
            label = choices.index(fields["label"])
        if label is None:
            raise InputError(
                "the label is not one of the choices", expected=f"0 to {len(choices) - 1}",
                found=shown(fields["label"]),
            )  # fmt: skip
        question = {"prompt": fields["prompt"], "choices": choices}
        return Asked(questions=(question,), expected=label, text=str(fields["prompt"]))

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        (ranked,) = answers
        right, best = asked.expected, ranked[0]
        probability = next(one["score"] for one in ranked if one["index"] == right)
        return Judged(
            expected=right,
            predicted=best["index"],
            numbers={
                "score": float(best["index"] == right),
                "confidence": best["score"],
                "loss": -log(max(probability, LEAST)),
                "brier": sum((one["score"] - (one["index"] == right)) ** 2 for one in ranked),
            },
        )
