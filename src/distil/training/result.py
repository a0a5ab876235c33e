"""The result of a training, and the result that a folder may have already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from distil.errors import CheckpointError
from distil.storage.files import read_json, write_json
from distil.training.folder import RESULT
from distil.training.identity import check_same


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The result of a training.

    Attributes:
        folder: Where the model is, with its tokenizer, its card, its curves and its log.
        framework: It was trained in.
        steps: How many there were.
        metrics: Of the model that was kept, on the dev rows; none if there are no such rows.
        metric: Which of them decided; None likewise.
        best_step: After which step the model was as it was kept.
        examples: To learn from, an epoch.
        tokens: Seen in training, padding not counted.
        seconds: It took; of training that was interrupted, since then.
        labels: Names of the classes; none where the task has none.
        intervals: Of metrics, the ends of the 95% interval (`distil.measures.statistics`).
        trained: False where it was finished before, and nothing was trained by this call.
    """

    folder: Path
    framework: str
    steps: int
    metrics: Mapping[str, float]
    metric: str | None
    best_step: int
    examples: int
    tokens: int
    seconds: float
    labels: tuple[str, ...] = ()
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    trained: bool = field(default=True, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**asdict(self), "folder": str(self.folder)}


def finished(folder: Path, settings: Mapping[str, Any]) -> TrainingResult | None:
    """The result that is in the folder already, if there is one.

    Raises:
        TrainingError: It is that of another recipe, or of other files.
        CheckpointError: It is damaged.
    """
    path = folder / RESULT
    if not path.exists():
        return None
    found = read_json(path)
    check_same({name: found.get(name) for name in settings}, settings, folder)
    try:
        result = dict(found["result"])
        result["labels"] = tuple(result["labels"])
        result["intervals"] = {
            name: (low, high) for name, (low, high) in result["intervals"].items()
        }
        return TrainingResult(**{**result, "folder": folder, "trained": False})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            "training result is damaged", found=repr(error), where=path,
            fix="remove it to train again",
        ) from None  # fmt: skip


def write_result(result: TrainingResult, settings: Mapping[str, Any]) -> None:
    """Keep a result in its folder, with what decided it."""
    write_json(result.folder / RESULT, {"result": result.to_dict(), **settings})
