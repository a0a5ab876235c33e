"""One training: preparing it, running the loop, and writing its results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distil.api import save
from distil.common.sentences import SentenceEncoding
from distil.common.steps.batching import Features
from distil.common.steps.recipe import EMBEDDINGS, Recipe
from distil.common.steps.recipe_model import AUTO
from distil.common.steps.stepping import Step
from distil.common.steps.workers import Workers, find_place
from distil.errors import CheckpointError
from distil.frameworks import find_framework, import_framework, part
from distil.training import checkpoints
from distil.training.card import write_card
from distil.training.classes import described
from distil.training.evaluation import Judge
from distil.training.folder import RECIPE, check_output, claimed
from distil.training.given import Given
from distil.training.identity import check_all_alike, check_same, contents_of, settings_of
from distil.training.interrupts import LOGGER, Stop, watched
from distil.training.intervals import intervals_of, remove_rows
from distil.training.layer_search import LayerSearch, numbers
from distil.training.log import FILE_NAME, Log, read_log
from distil.training.loop import Listener, Loop
from distil.training.metrics import check_metric, check_packages
from distil.training.position import Position
from distil.training.preparing import Prepared, class_weights, load_model, prepare
from distil.training.report import CURVES, draw_curves, write_recipe
from distil.training.result import TrainingResult, finished, write_result
from distil.training.teacher import check_lesson, load_teacher
from distil.training.vectors import with_vectors


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


def run(
    given: Given, listener: Listener | None, workers: Workers | None, *, force: bool
) -> TrainingResult:
    """Train, continue, or return the finished result; arguments and errors as of `train`."""
    recipe = given.recipe
    framework = find_framework(recipe.model.framework)
    import_framework(framework)
    with nullcontext(workers) if workers is not None else open_workers(framework) as opened:
        folder = opened.together(lambda: check_output(recipe, force=force))
        opened.by_first(lambda: given.keep_rows(folder))
        files = opened.together(lambda: contents_of(recipe))
        settings = {"recipe": settings_of(recipe, framework), "files": files}
        result = opened.together(lambda: finished(folder, settings))
        if result is not None:
            return result
        opened.together(lambda: check_metric(recipe))
        opened.together(lambda: check_packages(recipe))
        with ExitStack() as stack:
            opened.by_first(lambda: stack.enter_context(claimed(folder)))
            opened.by_first(lambda: write_recipe(recipe, folder / RECIPE))
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
    given = recipe
    folder = Path(recipe.output)
    prepared = workers.in_turn(lambda: prepare(recipe))
    identity = {**settings, "data": prepared.fingerprint}
    saved = workers.together(lambda: _saved(folder, identity))
    teacher = workers.together(lambda: _teacher(recipe, framework, prepared))

    def make(recipe: Recipe, prepared: Prepared) -> tuple[Any, Step]:
        return workers.together(
            lambda: _model_and_step(recipe, framework, prepared, teacher, workers)
        )

    if recipe.teacher is not None and recipe.teacher.layers == AUTO:
        check_all_alike(workers, identity)
        with watched(tells=workers.is_first) as stop:
            recipe = LayerSearch(
                recipe=recipe, teacher=teacher.config, prepared=prepared, make=make,
                identity=identity, workers=workers, stop=stop,
            ).run()  # fmt: skip
    model, step = make(recipe, prepared)
    position = Position()
    if saved is not None:
        arrays, info = saved
        workers.together(lambda: checkpoints.check_arrays(folder, arrays, step.state()))
        position = workers.together(lambda: Position.read(info["position"]))
        step.restore(arrays)
    check_all_alike(workers, {**identity, "step": position.step})
    log = workers.together(lambda: _log(recipe, position, workers))
    judge = _judge(recipe, prepared)

    features = workers.in_turn(lambda: _features(recipe, prepared, step, identity))

    def save_model() -> None:
        save(model, folder, tokenizer=prepared.tokenizer, encoding=_encoding(recipe))

    if workers.is_first:
        _announce(prepared)
    loop = Loop(
        recipe=recipe,
        step=step,
        features=features,
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
        with watched(tells=workers.is_first) as loop.stop:
            position = loop.run()
        _announce_end(loop)
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
        intervals={} if judge is None else intervals_of(folder, recipe.task, seed=recipe.seed),
    )

    def finish() -> None:
        if keeps_last:
            save_model()
        try:
            _report(result, given, recipe, prepared)
            write_result(result, settings)
        except OSError as error:
            raise CheckpointError(
                "training report cannot be written", found=error, where=folder,
                fix="free some space and run it again: the training itself is done",
            ) from None  # fmt: skip
        checkpoints.remove_state(folder)
        remove_rows(folder)

    workers.by_first(finish)
    return result


def _teacher(recipe: Recipe, framework: str, prepared: Prepared) -> Any:
    """The teacher; None where there is none."""
    if recipe.teacher is None:
        return None
    return load_teacher(recipe, recipe.teacher, framework, prepared)


def _model_and_step(
    recipe: Recipe, framework: str, prepared: Prepared, teacher: Any, workers: Workers
) -> tuple[Any, Step]:
    """The model to train, and what trains it."""
    if teacher is None:
        model = load_model(recipe, framework, prepared)
        module = part(framework, "training.step")
        weights = class_weights(recipe, prepared)
        return model, module.Step(model, recipe, workers, class_weights=weights)
    model = load_model(recipe, framework, prepared, teacher)
    check_lesson(recipe, model, teacher, prepared)
    module = part(framework, "training.teaching")
    weights = class_weights(recipe, prepared)
    return model, module.TeachingStep(model, recipe, teacher, workers, class_weights=weights)


def _features(
    recipe: Recipe, prepared: Prepared, step: Any, identity: Mapping[str, Any]
) -> Features:
    """The features to learn from, with the teacher's vectors where the recipe keeps them."""
    features, teacher = prepared.train.features, recipe.teacher
    if teacher is None or teacher.cache is None:
        return features
    LOGGER.info(
        "teacher.cache: the teacher embeds %s texts, unless it has already", f"{len(features):,}"
    )
    settings = identity["recipe"]
    files = identity["files"].get("teacher") or [teacher.name, teacher.revision]
    return with_vectors(
        features, step, folder=Path(teacher.cache),
        known_by=[files, settings["precision"], settings["model"]["framework"]],
        width=step.teacher.config.dim, tokens=recipe.evaluation.tokens,
    )  # fmt: skip


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
    judge = Judge(
        recipe=recipe,
        examples=prepared.dev,
        labels=prepared.labels,
        pad=prepared.tokenizer.pad_token_id,
        masking=prepared.masking,
    )
    judge.check()
    return judge


def _encoding(recipe: Recipe) -> SentenceEncoding | None:
    """How the model embeds texts, where that is what it learns."""
    if recipe.task != EMBEDDINGS:
        return None
    return SentenceEncoding(max_length=recipe.data.max_length)


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


def _announce(prepared: Prepared) -> None:
    """Log what was found in the data."""
    if prepared.labels:
        LOGGER.info("classes: %s", described(prepared.counts))
    if prepared.held:
        LOGGER.info(
            "no dev rows: %s of the training rows are held out",
            f"{prepared.held:,}",
        )


def _announce_end(loop: Loop) -> None:
    """Log that training stopped early, if it did."""
    position = loop.position
    if loop.workers.is_first and position.step < loop.total_steps():
        LOGGER.info(
            "stopped early after step %s: no better %s in %s evaluations",
            f"{position.step:,}", loop.judge and loop.judge.metric, position.misses,
        )  # fmt: skip


def _report(result: TrainingResult, given: Recipe, taught: Recipe, prepared: Prepared) -> None:
    """Draw the curves and write the card.

    Args:
        result: Of the training.
        given: Its recipe.
        taught: The same with the layers that were found.
        prepared: The data.
    """
    curves = result.folder / CURVES
    draw_curves({result.framework: read_log(result.folder)}, curves, metric=result.metric)
    features = prepared.train.features
    facts = {
        "examples": f"{result.examples:,} of {len(features.ids):,} tokens",
        "steps": f"{result.steps:,}, {result.tokens:,} tokens seen",
        "model kept": f"after step {result.best_step:,}",
        "time": f"{result.seconds:,.0f} s",
    }
    if taught.teacher is not None and given.teacher != taught.teacher:
        found = numbers(taught.teacher.numbers or ())
        facts["layers of the teacher"] = f"{found}, found by trial (see {FILE_NAME})"
    write_card(result, given, facts=facts, version=version("distil"))
