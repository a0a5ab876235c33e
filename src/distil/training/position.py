"""Where a training stands, as a few numbers: all that it takes to continue it, beside weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from distil.common.rules import is_integer
from distil.errors import CheckpointError, shown


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where training stands.

    Attributes:
        step: Steps done.
        epoch: Which epoch comes next, or is under way.
        batch: Which batch of it comes next.
        sums: Of measurements since the last point of the curve, by name.
        summed: Steps in those sums.
        tokens: Tokens seen, padding not counted.
        best: The best value of the metric so far.
        best_step: When that was.
        metrics: Of the last evaluation.
        best_metrics: Of the best one.
        misses: Evaluations since the best one.
        to_judge: Whether the model is still to be judged as it is after this step.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    sums: Mapping[str, float] = field(default_factory=dict)
    summed: int = 0
    tokens: int = 0
    best: float | None = None
    best_step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    best_metrics: Mapping[str, float] = field(default_factory=dict)
    misses: int = 0
    to_judge: bool = False

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Position:
        """The position that a table of all its fields says.

        Raises:
            CheckpointError: It is no such table.
        """
        known = {item.name: item.default for item in fields(cls)}
        wrong = [name for name in known if name not in table or not _fits(table[name], known[name])]
        if wrong or len(table) != len(known):
            raise CheckpointError(
                "training checkpoint is damaged", expected=f"a position: {', '.join(known)}",
                found=shown(table.get(wrong[0]) if wrong else sorted(table)),
                where=", ".join(wrong) or None, fix="remove it to start over",
            )  # fmt: skip
        return cls(**table)


def _fits(value: Any, default: Any) -> bool:
    """Whether a field of a position may be so."""
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, int):
        return is_integer(value) and value >= 0
    if default is None:
        return value is None or isinstance(value, float)
    return isinstance(value, dict) and all(isinstance(x, int | float) for x in value.values())
