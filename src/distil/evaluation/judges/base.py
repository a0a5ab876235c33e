"""What all judges have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, ClassVar

from distil.common.config import DistilBertConfig
from distil.errors import InputError, shown
from distil.measures.metrics import Metric
from distil.pipelines.base import Pipeline

# A field's column; or several, where each label has its own.
Column = str | Sequence[str]

# The smallest probability in a loss: float32 may round to 0.
LEAST = 1e-12


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A row, ready to be asked.

    Attributes:
        questions: Inputs of the pipeline.
        expected: The right answer.
        text: The row as it is shown to people.
    """

    questions: tuple[Any, ...]
    expected: Any
    text: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A row and its judged answer.

    Attributes:
        expected: The right answer, as people read it.
        predicted: The model's answer, likewise.
        numbers: The row of the table: what the metrics need, and "score", from 0 (wrong) to 1
            (right), or minus the error where the answer is a number.
        lists: More of that row: a number per label, where a text may have several labels.
    """

    expected: Any
    predicted: Any
    numbers: Mapping[str, float]
    lists: Mapping[str, Sequence[float]] | None = None


class Judge(ABC):
    """Judges the rows of a task.

    Args:
        config: Of the model.
        columns: The column of each field, where their names differ.
    """

    fields: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[Mapping[str, Any]] = {}
    metrics: ClassVar[Mapping[str, Metric]]
    main: ClassVar[str]
    has_classes: ClassVar[bool] = False
    of_columns: ClassVar[tuple[str, ...]] = ()  # fields that may have several columns
    needs: ClassVar[Mapping[str, str]] = {}  # packages, and what they are for

    def __init__(self, config: DistilBertConfig, columns: Mapping[str, Column]) -> None:
        self.config = config
        known = (*self.fields, *self.optional)
        for field, column in columns.items():
            if not isinstance(column, str) and field not in self.of_columns:
                raise InputError(
                    "a field is read from one column", expected="its name", found=shown(column),
                    where=f"columns, {field}",
                )  # fmt: skip
            if field not in known:
                raise InputError(
                    "this task reads no such field", expected=", ".join(known), found=shown(field),
                    where="columns",
                )  # fmt: skip
        self._first_is_named = self.fields[0] in columns
        self.columns = {field: columns.get(field, field) for field in self.fields}
        self.columns |= {field: columns[field] for field in self.optional if field in columns}

    def ask(self, values: Mapping[str, Any]) -> Asked:
        """The questions of a row of data.

        Raises:
            InputError: A column is missing, or its value is not what the task reads.
        """
        found: dict[str, Any] = {}
        own = {
            name
            for column in self.columns.values()
            for name in ([column] if isinstance(column, str) else column)
        }
        others = [name for name in values if name not in own]
        for field, named in self.columns.items():
            if not isinstance(named, str):
                found[field] = values
                continue
            column = named
            if field == self.fields[0] and not self._first_is_named and named not in values:
                # If only one column is left, it is the text, whatever its name.
                column = others[0] if len(others) == 1 else named
            if column not in values:
                raise InputError(
                    "there is no such column", expected=shown(column),
                    found=", ".join(map(shown, values)) or "none",
                    fix=f"name the column of {field}",
                )  # fmt: skip
            found[field] = values[column]
        return self.asked(found)

    def stream(
        self, pipeline: Pipeline, rows: Iterable[tuple[int, Asked | InputError]]
    ) -> Iterator[tuple[int, Judged | InputError]]:
        """Judge rows, in order.

        Args:
            pipeline: Answers the questions.
            rows: Numbered rows, or what is wrong with them.
        """
        waiting: deque[Asked] = deque()
        problems: dict[int, InputError] = {}

        def questions() -> Iterator[tuple[int, Any]]:
            for number, asked in rows:
                if isinstance(asked, InputError):
                    waiting.append(Asked(questions=(None,), expected=None, text=""))
                    yield number, asked
                    continue
                waiting.append(asked)
                for question in asked.questions:
                    yield number, question

        answers = pipeline.stream(
            questions(), skip_bad_rows=True, on_bad_row=problems.__setitem__,
            options=replace(pipeline.options, **self.options),
        )  # fmt: skip
        for number, answer in answers:
            asked = waiting.popleft()
            found = [answer, *(next(answers)[1] for _ in asked.questions[1:])]
            problem = problems.pop(number, None)
            yield number, problem or self.judge(asked, found)

    @abstractmethod
    def asked(self, fields: Mapping[str, Any]) -> Asked:
        """The questions of a row, from its fields."""

    @abstractmethod
    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:
        """Judge the pipeline's answers to a row."""


def label_of(value: Any, config: DistilBertConfig) -> str:
    """The name of a label that is given by name or by number.

    Raises:
        InputError: The model has no such label.
    """
    if isinstance(value, str) and value in config.label2id:
        return value
    names = {str(number): name for number, name in config.id2label.items()}
    found = None if isinstance(value, bool) else names.get(str(value).removesuffix(".0"))
    if found is None:
        raise InputError(
            "the model has no such label",
            expected=", ".join(list(config.label2id)[:10]) + ", or a number", found=shown(value),
        )  # fmt: skip
    return found


def number_of(value: Any) -> float:
    """A label as a number.

    Raises:
        InputError: It is not one.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not isfinite(number):
        raise InputError("label is not a number", found=shown(value))
    return number


def joined(texts: Iterable[Any]) -> str:
    """Texts as they are shown to people."""
    return " | ".join(map(str, texts))


def judged_number(expected: float, predicted: float) -> Judged:
    """A row whose answer is a number."""
    return Judged(
        expected=expected,
        predicted=predicted,
        numbers={"expected": expected, "predicted": predicted, "score": -abs(predicted - expected)},
    )
