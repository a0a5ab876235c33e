"""`distil.train` and `distil.distill`: from a recipe to a trained model in a folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distil.api import save
from distil.common.steps.recipe import Recipe, read_recipe
from distil.common.steps.stepping import Step
from distil.common.steps.workers import Workers, find_place
from distil.errors import CheckpointError, ConfigError
from distil.frameworks import find_framework, import_framework, part
from distil.storage.files import read_json, write_json
from distil.training import checkpoints
from distil.training.evaluation import Judge
from distil.training.folder import RESULT, check_output, claimed
from distil.training.identity import check_all_alike, check_same, contents_of, settings_of
from distil.training.interrupts import LOGGER, Stop, watched
from distil.training.log import Log, read_log
from distil.training.loop import Listener, Loop
from distil.training.metrics import check_metric, check_packages
from distil.training.position import Position
from distil.training.preparing import Prepared, described, load_model, prepare
from distil.training.report import CURVES, draw_curves, write_card
from distil.training.teacher import check_lesson, load_teacher


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
    trained: bool = field(default=True, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**asdict(self), "folder": str(self.folder)}


def train(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    *,
    listener: Listener | None = None,
    workers: Workers | None = None,
    force: bool = False,
    **assignments: Any,
) -> TrainingResult:
    """Train a model by a recipe, without a teacher; `distil.distill` is for those with one.

    The same call continues training that was interrupted, to the weights that it would have ended
    with; once it is done, the same call gives its result again.  Ctrl-C and SIGTERM let one
    process finish its step, and keep what it has.

    Args:
        recipe: A YAML file (see `distil.common.steps.recipe`), or its contents.
        listener: Called after every step with a `distil.training.loop.Progress`, in the first
            worker.
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
    recipe = read_recipe(recipe, assignments)
    if recipe.teacher is not None:
        raise ConfigError(
            "the recipe has a teacher", found=f"teacher {recipe.teacher.name!r}",
            where="teacher", fix="use `distil distill`, in Python distil.distill",
        )  # fmt: skip
    return _run(recipe, listener, workers, force=force)


def distill(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    *,
    listener: Listener | None = None,
    workers: Workers | None = None,
    force: bool = False,
    **assignments: Any,
) -> TrainingResult:
    """Train a student by a recipe that names its teacher.

    Everything else works as in `train`.

    Args:
        recipe: As of `train`, with a section `teacher`.
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
    recipe = read_recipe(recipe, assignments)
    if recipe.teacher is None:
        raise ConfigError(
            "the recipe has no teacher", expected="a section `teacher`", where="teacher",
            fix="use `distil train`, in Python distil.train, or set teacher.name",
        )  # fmt: skip
    return _run(recipe, listener, workers, force=force)


def open_workers(framework: str) -> AbstractContextManager[Workers]:
    """Those who train together, connected until the context ends.

    Args:
        framework: "pt" or "tf".

    Raises:
        ConfigError: The variables that say who they are do not fit, or not the framework.
        FrameworkError: The framework is not installed.
    """
    import_framework(framework)
    module = part(framework, "training.workers")
    opened: AbstractContextManager[Workers] = module.open_workers(find_place(framework))
    return opened


def _run(
    recipe: Recipe, listener: Listener | None, workers: Workers | None, *, force: bool
) -> TrainingResult:
    framework = find_framework(recipe.model.framework)
    import_framework(framework)
    with nullcontext(workers) if workers is not None else open_workers(framework) as opened:
        folder = opened.together(lambda: check_output(recipe, force=force))
        files = opened.together(lambda: contents_of(recipe))
        settings = {"recipe": settings_of(recipe, framework), "files": files}
        finished = opened.together(lambda: _finished(folder, settings))
        if finished is not None:
            return finished
        opened.together(lambda: check_metric(recipe))
        opened.together(lambda: check_packages(recipe))
        with ExitStack() as stack:
            opened.by_first(lambda: stack.enter_context(claimed(folder)))
            return _run_together(recipe, framework, listener, opened, settings)


def _run_together(
    recipe: Recipe,
    framework: str,
    listener: Listener | None,
    workers: Workers,
    settings: Mapping[str, Any],
) -> TrainingResult:
    """Every worker does this; what is written, the first one writes."""
    start = time.monotonic()
    folder = Path(recipe.output)
    prepared = workers.in_turn(lambda: prepare(recipe))
    identity = {**settings, "data": prepared.fingerprint}
    saved = workers.together(lambda: _saved(folder, identity))
    model, step = workers.together(lambda: _model_and_step(recipe, framework, prepared, workers))
    position = Position()
    if saved is not None:
        arrays, info = saved
        workers.together(lambda: checkpoints.check_arrays(folder, arrays, step.state()))
        position = workers.together(lambda: Position.read(info["position"]))
        step.restore(arrays)
    check_all_alike(workers, {**identity, "step": position.step})
    log = workers.together(lambda: _log(recipe, position, workers))
    judge = _judge(recipe, prepared)

    def save_model() -> None:
        save(model, folder, tokenizer=prepared.tokenizer)

    if prepared.labels and workers.is_first:
        LOGGER.info("classes: %s", described(prepared))
    loop = Loop(
        recipe=recipe,
        step=step,
        features=prepared.train.features,
        pad=prepared.tokenizer.pad_token_id,
        folder=folder,
        log=log,
        judge=judge,
        masking=prepared.masking,
        save_model=save_model,
        identity=identity,
        workers=workers,
        stop=Stop(),
        listener=listener if workers.is_first else None,
        position=position,
    )
    try:
        with watched(wanted=workers.size == 1) as loop.stop:
            position = loop.run()
    finally:
        if log is not None:
            log.close()
    keeps_last = judge is None or recipe.checkpoints.model == "last"
    result = TrainingResult(
        folder=folder,
        framework=framework,
        steps=position.step,
        metrics=position.metrics if keeps_last else position.best_metrics,
        metric=None if judge is None else judge.metric,
        best_step=position.step if keeps_last else position.best_step,
        examples=len(prepared.train.features),
        tokens=position.tokens,
        seconds=round(time.monotonic() - start, 1),
        labels=prepared.labels,
    )

    def finish() -> None:
        if keeps_last:
            save_model()
        try:
            _report(result, recipe, prepared)
            write_json(folder / RESULT, {"result": result.to_dict(), **settings})
        except OSError as error:
            raise CheckpointError(
                "training report cannot be written", found=error, where=folder,
                fix="free some space and run it again: the training itself is done",
            ) from None  # fmt: skip
        checkpoints.remove_state(folder)

    workers.by_first(finish)
    return result


def _model_and_step(
    recipe: Recipe, framework: str, prepared: Prepared, workers: Workers
) -> tuple[Any, Step]:
    """The model to train, and what trains it."""
    if recipe.teacher is None:
        model = load_model(recipe, framework, prepared)
        module = part(framework, "training.step")
        return model, module.Step(model, recipe, workers)
    teacher = load_teacher(recipe, recipe.teacher, framework, prepared)
    model = load_model(recipe, framework, prepared, teacher)
    check_lesson(recipe, model, teacher, prepared.labels)
    module = part(framework, "training.teaching")
    return model, module.TeachingStep(model, recipe, teacher, workers)


def _log(recipe: Recipe, position: Position, workers: Workers) -> Log | None:
    """The log of the training's folder; None where another worker writes it."""
    if not workers.is_first:
        return None
    folder = Path(recipe.output)
    checkpoints.remove_leftovers(folder)
    return Log(
        folder,
        step=position.step,
        judged=not position.to_judge,
        tensorboard=recipe.log.tensorboard,
    )


def _judge(recipe: Recipe, prepared: Prepared) -> Judge | None:
    if prepared.dev is None:
        return None
    return Judge(
        recipe=recipe,
        examples=prepared.dev,
        labels=prepared.labels,
        pad=prepared.tokenizer.pad_token_id,
        masking=prepared.masking,
    )


def _finished(folder: Path, settings: Mapping[str, Any]) -> TrainingResult | None:
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
        result = {**found["result"], "labels": tuple(found["result"]["labels"])}
        return TrainingResult(**{**result, "folder": folder, "trained": False})
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            "training result is damaged", found=repr(error), where=path,
            fix="remove it to train again",
        ) from None  # fmt: skip


def _saved(folder: Path, identity: Mapping[str, Any]) -> Any:
    """What a training that was interrupted has left, if there is something.

    Raises:
        TrainingError: It was another training.
        CheckpointError: It is damaged.
    """
    saved = checkpoints.load_state(folder)
    if saved is not None:
        check_same(saved[1]["identity"], identity, folder)
    return saved


def _report(result: TrainingResult, recipe: Recipe, prepared: Prepared) -> None:
    curves = result.folder / CURVES
    draw_curves({result.framework: read_log(result.folder)}, curves, metric=result.metric)
    features = prepared.train.features
    facts = {
        "examples": f"{result.examples:,} of {len(features.ids):,} tokens",
        "steps": f"{result.steps:,}, {result.tokens:,} tokens seen",
        "model kept": f"after step {result.best_step:,}",
        "time": f"{result.seconds:,.0f} s",
    }
    write_card(
        result.folder, recipe, framework=result.framework, metrics=result.metrics, facts=facts,
        version=version("distil"),
    )  # fmt: skip
