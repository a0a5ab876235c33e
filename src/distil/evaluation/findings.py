"""What is kept of the rows judged so far, and the evaluation that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distil.evaluation.calibration import calibration
from distil.evaluation.judges import Asked, Judge, Judged
from distil.evaluation.judges.labels import Labels
from distil.evaluation.result import Against, Evaluation, JudgedRow, LabelFigures
from distil.evaluation.slices import Slicer
from distil.evaluation.speed import Speed
from distil.measures.metrics import LABEL
from distil.measures.table import Table, compare, estimates, had_by
from distil.reading import Row

# Of the worst rows, and of those that two models answer differently.
_ROWS_SHOWN = 20
_CLASSES_SHOWN = 50
_TEXT_SHOWN = 300
_QUESTIONS_TIMED = 100


class Findings:
    """What is kept of the rows judged so far."""

    def __init__(self, judge: Judge, slices: tuple[str, ...], *, compared: bool) -> None:
        self.judge = judge
        self.table, self.other = Table(), Table() if compared else None
        self.slicer = Slicer(slices)
        self.skipped = self.changed = 0
        self.questions: list[Any] = []
        self.worst: list[JudgedRow] = []
        self.differing: list[JudgedRow] = []
        self.confusion: dict[str, dict[str, int]] = {}

    def add(self, row: Row, asked: Asked, judged: Judged, other: Judged | None) -> None:
        """Add a judged row."""
        self.table.add(judged.numbers, judged.lists)
        self.slicer.add(row.values, asked.text)
        self.questions += asked.questions[: max(0, _QUESTIONS_TIMED - len(self.questions))]
        shown = JudgedRow(
            row=row.number, text=asked.text[:_TEXT_SHOWN], expected=judged.expected,
            predicted=judged.predicted, other=None if other is None else other.predicted,
            score=judged.numbers["score"] - judged.numbers.get("loss", 0.0),
        )  # fmt: skip
        self._keep_worst(shown)
        if other is not None and self.other is not None:
            self.other.add(other.numbers, other.lists)
            if judged.predicted != other.predicted:
                self.changed += 1
                if len(self.differing) < _ROWS_SHOWN:
                    self.differing.append(shown)
        if (
            judged.expected in self.judge.config.label2id
            if isinstance(judged.expected, str)
            else False
        ):
            line = self.confusion.setdefault(judged.expected, {})
            line[judged.predicted] = line.get(judged.predicted, 0) + 1

    def _keep_worst(self, shown: JudgedRow) -> None:
        full = len(self.worst) == _ROWS_SHOWN
        if full and shown.score >= self.worst[-1].score:
            return
        self.worst.append(shown)
        self.worst.sort(key=lambda one: (one.score, one.row))
        del self.worst[_ROWS_SHOWN:]

    def result(
        self, *, model: str, task: str, against: str | None, speed: Speed, seed: int
    ) -> Evaluation:
        """The evaluation of all rows added."""
        judge = self.judge
        classes = judge.config.label2id
        confusion = None
        if self.confusion and len(classes) <= _CLASSES_SHOWN:
            confusion = {
                right: {found: self.confusion.get(right, {}).get(found, 0) for found in classes}
                for right in classes
            }
        return Evaluation(
            model=model,
            task=task,
            rows=len(self.table),
            skipped=self.skipped,
            main=judge.main,
            metrics=estimates(self.table, judge.metrics, seed=seed),
            calibration=calibration(self.table),
            confusion=confusion,
            labels=self._labels(seed),
            slices=self.slicer.slices(self.table, judge.metrics[judge.main], seed=seed),
            worst=tuple(self.worst),
            against=None if against is None else self._against(against, seed),
            speed=speed,
            seed=seed,
        )

    def _labels(self, seed: int) -> Mapping[str, LabelFigures] | None:
        """The figures of each label, where a text may have several."""
        if not isinstance(self.judge, Labels):
            return None
        expected, predicted = (self.table[name] for name in ("expected", "predicted"))
        found = {}
        for number, name in enumerate(self.judge.names):
            columns = {"expected": expected[:, number], "predicted": predicted[:, number]}
            own = Table.of({**columns, "right": columns["expected"] * columns["predicted"]})
            found[name] = LabelFigures(
                rows=int(own["expected"].sum()), **estimates(own, LABEL, seed=seed)
            )
        return found

    def _against(self, name: str, seed: int) -> Against:
        assert self.other is not None
        metrics = had_by(self.table, self.judge.metrics)
        return Against(
            model=name,
            metrics=estimates(self.other, metrics, seed=seed),
            differences={
                metric: compare(self.other, self.table, how, seed=seed)
                for metric, how in metrics.items()
            },
            changed=self.changed,
            rows=tuple(self.differing),
        )
