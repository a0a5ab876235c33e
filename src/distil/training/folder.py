"""The folder of a training: that nothing else is lost in it, and that one process writes there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from distil.common.steps.recipe import Recipe
from distil.errors import CheckpointError, ConfigError, TrainingError, listed
from distil.storage.files import claim
from distil.training import checkpoints, log

RESULT = "training.json"
RECIPE = "recipe.yaml"
DATA = "data"

# The folder of a training has at least one of these.
_MARKS = (log.FILE_NAME, checkpoints.FILE_NAME, RESULT, RECIPE)
_LOCK = ".training.lock"


def check_output(recipe: Recipe, *, force: bool) -> Path:
    """The folder that a recipe's training writes into.

    Args:
        recipe: Of the training.
        force: Whether it may hold something else, which may be replaced.

    Raises:
        ConfigError: It is the folder of the base model or of the teacher, or is called as they are.
        TrainingError: It holds something else, or is no folder.
    """
    folder = Path(recipe.output)
    teacher = None if recipe.teacher is None else recipe.teacher.name
    bases = {"model.name": recipe.model.name, "teacher.name": teacher}
    try:
        found = sorted(path.name for path in folder.iterdir())
        same = [
            where
            for where, name in bases.items()
            if name is not None and Path(name).exists() and folder.samefile(name)
        ]
    except FileNotFoundError:
        found = []
        # A folder goes before a bundled model and the hub, so that it would hide them.
        same = [where for where, name in bases.items() if name is not None and folder == Path(name)]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TrainingError("output cannot be a folder", found=reason, where=folder) from None
    if same:
        raise ConfigError(
            "output would overwrite the model that training starts from",
            expected="a folder of its own", found=f"the folder of {same[0]}", where="output",
            fix="choose another output",
        )  # fmt: skip
    if found and not force and not any(mark in found for mark in _MARKS):
        raise TrainingError(
            "the output folder holds something else",
            expected="an empty folder, or that of a training",
            found=listed(found), where=folder,
            fix="choose another output; or add --force, in Python force=True, to write into it",
        )  # fmt: skip
    return folder


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other trainings out of it.

    Raises:
        CheckpointError: It cannot be made.
        TrainingError: Another process trains into it.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            is_ours = stack.enter_context(claim(folder / _LOCK))
        except OSError as error:
            raise CheckpointError(
                "the output folder cannot be written", found=error, where=folder
            ) from None
        if not is_ours:
            raise TrainingError(
                "another training is writing to this folder", where=folder,
                fix="wait for it, or choose another output",
            )  # fmt: skip
        yield
