"""95% intervals of the dev metrics of the model that is kept.

The results for each dev row are kept in the folder with the model until training ends: by then
the model may have changed, and the process may be another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path

import numpy as np

from distil.arrays import Array
from distil.common.tasks import TASKS
from distil.measures import metrics
from distil.measures.answers import ANSWERS, POSSIBLE_ANSWERS, THRESHOLDS
from distil.measures.metrics import Metric
from distil.measures.table import Table, estimates
from distil.storage.files import atomic_write

FILE_NAME = "dev_rows.npz"

_METRICS: Mapping[str, Mapping[str, Metric]] = {
    "sequence-classification": metrics.CLASSES,
    "multiple-choice": metrics.CHOICES,
    "token-classification": metrics.ENTITIES,
    "question-answering": ANSWERS,
}
_PERCENT = ("question-answering",)

Interval = tuple[float, float]


def save_rows(folder: Path, columns: Mapping[str, Array]) -> None:
    """Keep what is known of each dev row (n), by name."""
    if columns:
        with atomic_write(folder / FILE_NAME) as temporary, temporary.open("wb") as file:
            np.savez(file, **columns)  # type: ignore[arg-type]


def intervals_of(folder: Path, task: str, *, seed: int) -> dict[str, Interval]:
    """The 95% intervals of the metrics that have one, for the rows that were kept.

    Args:
        folder: Of the training.
        task: Of the recipe.
        seed: Of the resamples.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        columns = {name: np.asarray(arrays[name], float) for name in arrays.files}
    chosen = _METRICS[task]
    if TASKS[task].has_problem_type and "score" not in columns:
        chosen = metrics.NUMBERS
    elif TASKS[task].has_problem_type and columns["expected"].ndim > 1:
        chosen = metrics.LABELS
    elif "null_odds" in columns:
        chosen = POSSIBLE_ANSWERS
    found = estimates(Table.of(columns), chosen, seed=seed)
    percent = [name for name in found if task in _PERCENT and name not in THRESHOLDS]
    return {
        name: (100 * one.low, 100 * one.high) if name in percent else (one.low, one.high)
        for name, one in found.items()
        if isfinite(one.low) and isfinite(one.high)  # not of answers that are all the same
    }


def remove_rows(folder: Path) -> None:
    """Remove what was kept, once training is done."""
    (folder / FILE_NAME).unlink(missing_ok=True)
