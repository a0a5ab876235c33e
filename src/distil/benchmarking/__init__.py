"""`bench`: which framework, engine and type is fastest here, for this model and these texts.

Every candidate lives in a process of its own and they take turns, round by round, so that the
noise of the machine meets all alike; speeds are ratios to the plain model in the same round.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distil.benchmarking.entrants import DTYPES, Entrant, Measurement, ways
from distil.common.config import DistilBertConfig
from distil.common.inference.calibration import sample_texts
from distil.common.rules import as_list
from distil.common.tasks import TASKS, find_task, task_of_checkpoint
from distil.errors import InputError
from distil.pipelines.checks import check_count

# A faster way may lose this much of the main metric, or change this share of the answers.
_FIGURE_LOST = 0.005
_ANSWERS_CHANGED = 0.01

_TEXTS_MADE_UP = 200


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What `bench` gives.

    Attributes:
        name: Of the checkpoint.
        task: That was measured.
        texts: How many.
        measurements: The plain model first, then the others, the fastest first.
        best: The fastest that answers as the plain model does, or as accurately.
    """

    name: str
    task: str
    texts: int
    measurements: tuple[Measurement, ...]
    best: Measurement | None

    def to_dict(self) -> dict[str, Any]:
        """Everything as tables, lists and numbers."""
        return asdict(self)


def bench(
    name: str | Path,
    rows: Sequence[Any] | None = None,
    *,
    task: str | None = None,
    labels: Sequence[Any] | None = None,
    dtypes: Sequence[str] = DTYPES,
    rounds: int = 3,
    progress: Callable[[str], None] = lambda doing: None,
) -> Bench:
    """Measure every way to compute that is installed.

    Args:
        name: As in `distil.load`.
        rows: Distinct rows for the task's pipeline; None makes up English texts.
        task: As in `distil.load`.
        labels: The label of each row, as `distil.evaluate` takes it; for sequence classification
            only.
        dtypes: Which of "float32", "bfloat16" and "int8" to measure.
        rounds: How often each computes all rows.
        progress: Called with what is being done.

    Raises:
        InputError: Rows and labels differ in number, or there is nothing to measure.
        FrameworkError: No framework is installed.
        DistilError: The checkpoint cannot be loaded, or cannot predict these rows.
    """
    chosen = task_of(name, task)
    rows = _made_up() if rows is None else as_list(rows, "rows")
    dtypes = [str(dtype) for dtype in as_list(dtypes, "dtypes")]
    check_count(rounds, "rounds")
    _check(chosen, rows, labels, dtypes)
    config = _config(name)
    labelled = None
    if labels is not None:
        labelled = _labelled(rows, labels, chosen, config)
    entrants = []
    for way in ways(str(name), chosen, dtypes):
        progress(f"starting {way.candidate.name}")
        entrants.append(Entrant(way, rows[0]))
    for number in range(rounds):
        for entrant in entrants:
            progress(f"round {number + 1} of {rounds}: {entrant.way.candidate.name}")
            entrant.compute(rows)
    for entrant in entrants:
        entrant.finish(rows[0], labelled)
    plain, *others = entrants
    if plain.problem is not None:
        raise InputError("the plain model cannot predict these rows", found=plain.problem)
    measured = [entrant.measured(plain) for entrant in others]
    measured.sort(key=lambda one: -(one.speed or 0))
    first = plain.measured(plain)
    return Bench(
        name=str(name),
        task=chosen,
        texts=len(rows),
        measurements=(first, *measured),
        best=next((one for one in measured if _is_as_good(one, first)), None),
    )


def task_of(name: str | Path, task: str | None) -> str:
    """What a checkpoint is measured at: `task`, or its own.

    Raises:
        InputError: There is no such task.
        DistilError: The checkpoint's configuration cannot be read.
    """
    return (task_of_checkpoint(_config(name), name) if task is None else find_task(task)).name


def _config(name: str | Path) -> DistilBertConfig:
    return DistilBertConfig.from_pretrained(name)


def _labelled(
    rows: Sequence[Any], labels: Sequence[Any], task: str, config: DistilBertConfig
) -> list[dict[str, Any]]:
    """Rows as tables, with labels as the model calls them; data often has their numbers.

    Raises:
        InputError: A label is not one that `distil.evaluate` takes.
    """
    from distil.evaluation.judges import judge_for  # noqa: PLC0415 - candidates import this file

    judge = judge_for(task, config, {})
    found = []
    for number, (row, label) in enumerate(zip(rows, labels, strict=True), start=1):
        values = {**row} if isinstance(row, Mapping) else {"text": row}
        try:
            right = judge.ask({**values, "label": label}).expected
        except InputError as error:
            raise error.at(f"labels, row {number}") from None
        found.append({**values, "label": right})
    return found


def _check(
    task: str,
    rows: Sequence[Any],
    labels: Sequence[Any] | None,
    dtypes: Sequence[str],
) -> None:
    if not rows:
        raise InputError("no rows to measure", expected="at least one row", where="rows")
    unknown = sorted(set(dtypes) - set(DTYPES))
    if unknown or not dtypes:
        raise InputError(
            "unknown type", expected=", ".join(DTYPES), found=", ".join(unknown) or "none",
            where="dtypes",
        )  # fmt: skip
    if labels is not None and not TASKS[task].has_problem_type:
        raise InputError("labels of texts need a sequence classifier", found=task, where="labels")
    if labels is not None and len(labels) != len(rows):
        raise InputError(
            "expected one label for each row",
            expected=f"{len(rows)} labels", found=len(labels), where="labels",
        )  # fmt: skip


def _made_up() -> list[str]:
    """Texts of one sentence to a dozen, no two alike."""
    sentences, chance = sample_texts(), random.Random(0)
    drawn = (chance.sample(sentences, chance.randint(1, 12)) for _ in range(_TEXTS_MADE_UP))
    return list(dict.fromkeys(" ".join(some) for some in drawn))


def _is_as_good(one: Measurement, plain: Measurement) -> bool:
    if one.problem is not None:
        return False
    if one.figure is not None and plain.figure is not None:
        return one.figure >= plain.figure - _FIGURE_LOST
    return one.same is not None and one.same >= 1 - _ANSWERS_CHANGED
