"""Whether two trainings are the same one: before and after an interruption, and in all workers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distil.common.steps.recipe import Recipe
from distil.common.steps.recipe_rules import differences
from distil.common.steps.workers import Workers
from distil.errors import InputError, TrainingError
from distil.storage import hub
from distil.storage.digests import digest_of, digests_of_model

# Bytes of a file that are read of it.
_WHOLE = 64 * 1024 * 1024

# What can be changed without changing what training comes to.
_FREE = (
    ("output",), ("log",), ("card",), ("checkpoints", "every"), ("data", "folder"),
    ("data", "cache"),
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
    if recipe.teacher is not None:
        # Whether vectors are kept rounds them; where they are changes nothing.
        table["teacher"]["cache"] = recipe.teacher.cache is not None
    else:
        del table["teacher"], table["distillation"]
    return table


def contents_of(recipe: Recipe) -> dict[str, dict[str, str]]:
    """What tells other data files, another base model or another teacher apart.

    Of each file its size and a digest: of all of it up to `_WHOLE` bytes, of a larger one of
    blocks spread over it, so that 100 GB are a second's work.  A change of such a file that keeps
    its size and falls between the blocks is not seen, unless training was interrupted: then all
    token ids are compared.  Checkpoints on the hub are known by name and revision alone.

    Raises:
        InputError: A file of the data cannot be read.
    """
    data = recipe.data
    files = {name: Path(data.folder) / name for name in (*(data.train or ()), *(data.dev or ()))}
    try:
        found = {"data": {name: digest_of(path, whole=_WHOLE) for name, path in files.items()}}
        for section in (recipe.model, recipe.teacher):
            if section is not None and section.name is not None:
                what = "model" if section is recipe.model else "teacher"
                folder = Path(section.name)
                folder = folder if folder.is_dir() else hub.bundled().get(section.name, folder)
                found[what] = digests_of_model(folder, whole=_WHOLE)
    except (OSError, ValueError) as error:  # ValueError: no file can have such a name
        raise InputError(
            "file cannot be read", found=getattr(error, "strerror", None) or error,
            where=getattr(error, "filename", None),
            fix="set data.folder to the folder of the data, or model.name to that of the model",
        ) from None  # fmt: skip
    return found


def check_same(before: Any, now: Any, folder: Path) -> None:
    """See that what a folder holds is this training.

    Raises:
        TrainingError: It is another one.
    """
    changed = differences(before, now)
    if changed:
        raise TrainingError(
            "the folder holds a training with another recipe, model or data",
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
                "workers are running different trainings",
                expected=f"{name}: {expected!r}, as the first worker",
                found=repr(found), where=f"worker {rank}",
                fix="give all of them the same recipe and files, and an output that they share",
            )  # fmt: skip
