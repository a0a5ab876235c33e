"""Judges: how rows of each task are asked, and how answers become numbers.

A judge reads a row of data, hands its questions to the pipeline, and turns the answers into a row
of a `Table`, from whose columns the task's metrics are computed (`distil.measures.metrics`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distil.common.config import DistilBertConfig
from distil.common.labels import BINARY, REGRESSION
from distil.errors import InputError
from distil.evaluation.judges.answers import Answers, PossibleAnswers
from distil.evaluation.judges.base import Asked, Column, Judge, Judged
from distil.evaluation.judges.choices import Choices
from distil.evaluation.judges.classes import Classes, Numbers
from distil.evaluation.judges.embeddings import Retrieval, Similarities
from distil.evaluation.judges.entities import Entities
from distil.evaluation.judges.labels import Labels
from distil.evaluation.judges.words import Words

__all__ = ["Asked", "Column", "Judge", "Judged", "judge_for"]

JUDGES: Mapping[str, type[Judge]] = {
    "masked-lm": Words,
    "retrieval": Retrieval,
    "sequence-classification": Classes,
    "multiple-choice": Choices,
    "token-classification": Entities,
    "question-answering": Answers,
    "base": Similarities,
}


# Of a label, where a text may have several.
THRESHOLD = 0.5


def judge_for(
    task: str,
    config: DistilBertConfig,
    columns: Mapping[str, Column],
    *,
    threshold: float | None = None,
    options: Any = None,
) -> Judge:
    """The judge of a task.

    Args:
        task: Of the pipeline, or "retrieval".
        config: Of the model.
        columns: As of `Judge`.
        threshold: As of `Labels`; None where nothing is said.
        options: Of the pipeline.

    Raises:
        InputError: `columns` names a field that the task does not read, or the threshold has no
            effect.
    """
    judge = JUDGES[task]
    if judge is Classes and config.problem_type == BINARY:
        return Labels(config, columns, threshold=THRESHOLD if threshold is None else threshold)
    if threshold is not None:
        raise InputError(
            "only a model that gives a text several labels has a threshold",
            expected=f"problem_type {BINARY}", found=threshold, where="threshold",
            fix="leave it out",
        )  # fmt: skip
    if getattr(options, "handle_impossible_answer", False):
        judge = PossibleAnswers
    is_number = config.problem_type == REGRESSION or (
        config.problem_type is None and config.num_labels == 1
    )
    return (Numbers if judge is Classes and is_number else judge)(config, columns)
