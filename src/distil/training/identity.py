"""Whether two trainings are the same one: before and after an interruption, and in all workers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distil.common.steps.recipe import Recipe
from distil.common.steps.recipe_rules import differences
from distil.common.steps.workers import Workers
from distil.errors import TrainingError

# What can be changed without changing what training comes to.
_FREE = (
    ("output",), ("log",), ("checkpoints", "every"), ("data", "folder"), ("data", "cache"),
)  # fmt: skip


def settings_of(recipe: Recipe, framework: str) -> dict[str, Any]:
    """The recipe as far as it decides what training comes to."""
    table = recipe.to_table()
    for *sections, name in _FREE:
        place = table
        for section in sections:
            place = place[section]
        del place[name]
    table["model"]["framework"] = framework
    if recipe.teacher is None:
        del table["teacher"], table["distillation"]
    return table


def check_same(before: Any, now: Any, folder: Path) -> None:
    """See that what a folder holds is this training.

    Raises:
        TrainingError: It is another one.
    """
    changed = differences(before, now)
    if changed:
        raise TrainingError(
            "the folder holds a training by another recipe, or on other data",
            found="; ".join(
                f"{name.removeprefix('recipe.')} was {old!r}, is {new!r}"
                for name, (old, new) in changed.items()
            ),
            where=folder,
            fix="choose another output, or remove the folder",
        )


def check_all_alike(workers: Workers, own: Mapping[str, Any]) -> None:
    """See that all workers have the same recipe and data, and begin at the same step.

    Args:
        workers: Who train together.
        own: What this one has.

    Raises:
        TrainingError: They do not.
    """
    first, *others = workers.gather(dict(own))
    for rank, other in enumerate(others, start=1):
        changed = differences(first, other)
        if changed:
            name, (expected, found) = next(iter(changed.items()))
            raise TrainingError(
                "workers do not train the same",
                expected=f"{name}: {expected!r}, as the first worker",
                found=repr(found), where=f"worker {rank}",
                fix="give all of them the same recipe and files, and an output that they share",
            )  # fmt: skip
