"""Answers to questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from distil.errors import InputError, shown
from distil.evaluation import metrics
from distil.evaluation.judges.base import (
    Asked,
    Judge,
    Judged,
)
from distil.evaluation.metrics import Metric
from distil.training.metrics import normalised, overlap_of_words


class Answers(Judge):
    """Question answering, by the rules of SQuAD 1.1; figures are shares, not percent."""

    fields = ("question", "context", "answers")
    metrics: ClassVar[Mapping[str, Metric]] = {
        "f1": metrics.mean("score"),
        "exact_match": metrics.share("exact"),
    }
    main = "f1"

    def asked(self, fields: Mapping[str, Any]) -> Asked:  # noqa: D102
        answers = fields["answers"]
        texts = answers.get("text") if isinstance(answers, Mapping) else answers
        texts = [texts] if isinstance(texts, str) else texts
        if (
            not isinstance(texts, list | tuple)
            or not texts
            or not all(isinstance(text, str) for text in texts)
        ):
            raise InputError("there is no right answer", expected="texts", found=shown(answers))
        question = {name: fields[name] for name in ("question", "context")}
        return Asked(questions=(question,), expected=list(texts), text=str(fields["question"]))

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        found = answers[0]["answer"]
        exact = any(normalised(found) == normalised(right) for right in asked.expected)
        overlap = max(overlap_of_words(found, right) for right in asked.expected)
        return Judged(
            expected=asked.expected,
            predicted=found,
            numbers={"exact": float(exact), "score": overlap},
        )
