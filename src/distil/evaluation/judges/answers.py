"""Answers to questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from distil.errors import InputError, shown
from distil.evaluation.judges.base import (
    Asked,
    Judge,
    Judged,
)
from distil.measures import metrics
from distil.measures.metrics import Metric
from distil.training.metrics import answer_scores


class Answers(Judge):
    """Question answering, by the rules of SQuAD 1.1; figures are shares, not percent."""

    fields = ("question", "context", "answers")
    metrics: ClassVar[Mapping[str, Metric]] = metrics.ANSWERS
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
        return Judged(
            expected=asked.expected,
            predicted=found,
            numbers=answer_scores(found, asked.expected),
        )
