"""Answers to questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from math import inf
from typing import Any, ClassVar

from distil.errors import InputError, shown
from distil.evaluation.judges.base import (
    Asked,
    Judge,
    Judged,
)
from distil.measures.answers import ANSWERS, POSSIBLE_ANSWERS, answer_numbers, answer_scores
from distil.measures.metrics import Metric
from distil.pipelines.base import Pipeline
from distil.reading import right_answers


class Answers(Judge):
    """Question answering, by the rules of SQuAD 1.1; metrics are from 0 to 1, not percent."""

    fields = ("question", "context", "answers")
    optional = ("is_impossible",)
    metrics: ClassVar[Mapping[str, Metric]] = ANSWERS
    main = "f1"

    def ask(self, values: Mapping[str, Any]) -> Asked:  # noqa: D102
        flag, answers = (str(self.columns.get(one, one)) for one in ("is_impossible", "answers"))
        if values.get(flag) is not None:
            # A question that is known to have no answer may lack the column of answers.
            found = right_answers(values.get(answers), values[flag])
            values = {**values, answers: list(found.texts)}
        return super().ask(values)

    def asked(self, fields: Mapping[str, Any]) -> Asked:  # noqa: D102
        texts = list(right_answers(fields["answers"]).texts)
        self.check(texts, fields["answers"])
        question = {name: fields[name] for name in ("question", "context")}
        return Asked(questions=(question,), expected=texts, text=str(fields["question"]))

    def check(self, texts: Sequence[str], given: Any) -> None:
        """See that these right answers can be judged by.

        Raises:
            InputError: They cannot.
        """
        if not texts:
            raise InputError(
                "there is no right answer", expected="texts", found=shown(given),
                fix="judge by the rules of SQuAD 2: handle_impossible_answer=True",
            )  # fmt: skip

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        found = answers[0]["answer"]
        return Judged(
            expected=asked.expected,
            predicted=found,
            numbers=answer_scores(found, asked.expected),
        )


class PossibleAnswers(Answers):
    """Likewise by the rules of SQuAD 2, where questions may have no answer."""

    # The best answer, and the odds that there is none, whatever the threshold.
    options: ClassVar[Mapping[str, Any]] = {
        "top_k": 1, "handle_impossible_answer": True, "return_null_odds": True,
        "null_score_diff_threshold": inf,
    }  # fmt: skip
    metrics: ClassVar[Mapping[str, Metric]] = POSSIBLE_ANSWERS
    threshold = 0.0
    judged = 0

    def check(self, texts: Sequence[str], given: Any) -> None:  # noqa: D102
        return

    def stream(  # noqa: D102
        self, pipeline: Pipeline, rows: Iterable[tuple[int, Asked | InputError]]
    ) -> Iterator[tuple[int, Judged | InputError]]:
        of_pipeline, given = copy(self), pipeline.options
        # One that was made without it finds an answer to every question.
        says_none = given.handle_impossible_answer
        of_pipeline.threshold = given.null_score_diff_threshold if says_none else inf
        return super(PossibleAnswers, of_pipeline).stream(pipeline, rows)

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        best, odds = answers[0]["answer"], answers[0]["null_odds"]
        self.judged += 1
        return Judged(
            expected=asked.expected,
            predicted="" if odds > self.threshold else best,
            numbers=answer_numbers(
                best, odds, asked.expected, number=self.judged, threshold=self.threshold
            ),
        )
