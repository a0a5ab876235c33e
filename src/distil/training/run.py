"""`distil.train` and `distil.distill`: from a recipe to a trained model in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distil.common.steps.recipe import Recipe
from distil.common.steps.workers import Workers
from distil.errors import ConfigError
from distil.training.given import recipe_of
from distil.training.loop import Listener
from distil.training.result import TrainingResult
from distil.training.session import run


def train(
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    *,
    task: str | None = None,
    model: str | Path | Mapping[str, Any] | None = None,
    data: Any = None,
    dev: Any = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    output: str | Path | None = None,
    framework: str | None = None,
    listener: Listener | None = None,
    workers: Workers | None = None,
    force: bool = False,
    **assignments: Any,
) -> TrainingResult:
    """Train a model, without a teacher; `distil.distill` is for those with one.

    By a recipe, or without one::

        distil.train("sst2.yaml", **{"optimizer.learning_rate": 1e-4})
        distil.train(task="sequence-classification", model="distilbert-base-uncased",
                     data=frame, columns={"text": "review"}, output="reviews")

    The same call continues training that was interrupted, to the weights that it would have ended
    with; once it is done, the same call gives its result again.  After Ctrl-C or SIGTERM, sent
    to any of the workers, it finishes the step and saves a checkpoint.

    Args:
        recipe: A YAML file (see `distil.common.steps.recipe`), or its contents; None where the
            other arguments say what is needed.  The recipe that they come to is written into the
            folder, as recipe.yaml.
        task: As in `distil.load`.
        model: The name of the model to begin with, as in `distil.load`.
        data: Rows to learn from: a pandas or polars frame, a data set of the package `datasets`,
            an Arrow table, a list of dicts; or a file, or several.  A DatasetDict, or another
            mapping, has them under "train", and dev rows under "dev" or "validation".  Rows in
            memory are written into the output folder.
        dev: Rows to judge the model by, likewise.  Without any, a tenth of the training rows is
            held out for it (`data.dev_share`).
        columns: Names of columns, where they differ from those of docs/training.md: {"text":
            "review"}.
        output: The folder to write into.
        framework: "pt" or "tf"; None chooses as `distil.load` does.
        listener: Called after every step with a `distil.training.loop.Progress`, in the first
            worker; its method `judged`, if it has one, where the model was judged after the step.
        workers: Who train together; None finds out what has started this process: torchrun,
            TF_CONFIG, the scope of a tf.distribute strategy, or nothing of that.
        force: Whether to write into a folder that holds something else.
        **assignments: Values to set in the recipe, by dotted name:
            `train("sst2.yaml", **{"optimizer.learning_rate": 1e-4})`.

    Returns:
        The result.

    Raises:
        ConfigError: The recipe is not valid.
        InputError: A row of the data is not as it should be; says which.
        TrainingError: The loss is not finite; says at which step, on which examples.  Or the
            folder holds something else: another recipe's training, or one of another model or
            other data; or another process trains into it.
        CheckpointError: The model cannot be read, or something cannot be written.
        FrameworkError: A package that this needs is not installed.
        Interrupted: By Ctrl-C or SIGTERM, with what is needed to continue on disk.
    """
    given = recipe_of(
        recipe, assignments, task=task, model=model, data=data, dev=dev, columns=columns,
        output=output, framework=framework,
    )  # fmt: skip
    teacher = given.recipe.teacher
    if teacher is not None:
        raise ConfigError(
            "the recipe has a teacher", found=f"teacher {teacher.name!r}",
            where="teacher", fix="use `distil distill`, in Python distil.distill",
        )  # fmt: skip
    return run(given, listener, workers, force=force)


def distill(
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    *,
    teacher: str | Path | Mapping[str, Any] | None = None,
    task: str | None = None,
    model: str | Path | Mapping[str, Any] | None = None,
    data: Any = None,
    dev: Any = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    output: str | Path | None = None,
    framework: str | None = None,
    listener: Listener | None = None,
    workers: Workers | None = None,
    force: bool = False,
    **assignments: Any,
) -> TrainingResult:
    """Train a student with a teacher.

    By a recipe, or without one::

        distil.distill(teacher="reviews", data=frame, columns={"text": "review"}, output="small")

    Everything else works as in `train`.

    Args:
        recipe: As of `train`, with a section `teacher`.
        teacher: The name of the teacher, a model trained for the task, as in `distil.load`.
        task: As of `train`; None takes the teacher's, where there is no recipe.
        model: The student to begin with; None makes one of some of the teacher's layers.
        data: As of `train`.
        dev: As of `train`.
        columns: As of `train`.
        output: As of `train`.
        framework: As of `train`.
        listener: As of `train`.
        workers: As of `train`.
        force: As of `train`.
        **assignments: As of `train`.

    Returns:
        The result.

    Raises:
        ConfigError: The recipe is not valid, or student and teacher do not fit together.
        InputError: As of `train`; or the teacher has no such layers.
        TrainingError: As of `train`.
        CheckpointError: As of `train`.
        FrameworkError: As of `train`.
    """
    given = recipe_of(
        recipe, assignments, task=task, model=model, teacher=teacher, data=data, dev=dev,
        columns=columns, output=output, framework=framework,
    )  # fmt: skip
    if given.recipe.teacher is None:
        raise ConfigError(
            "the recipe has no teacher", expected="a section `teacher`", where="teacher",
            fix="use `distil train`, in Python distil.train, or set teacher.name",
        )  # fmt: skip
    return run(given, listener, workers, force=force)
