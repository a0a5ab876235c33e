"""What `distil train` and `distil distill` share: arguments, progress, and what is printed."""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distil.cli import _arguments, _output
from distil.cli._progress import Tell, progress
from distil.errors import DistilError, Interrupted

if TYPE_CHECKING:
    from distil.common.steps.recipe import Recipe
    from distil.common.steps.workers import Workers
    from distil.training import SeedResults, TrainingResult
    from distil.training.loop import Progress

_FAILED = 2  # see `distil.cli`


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "recipe",
        nargs="?",
        metavar="RECIPE",
        help="a YAML file; not needed if options say everything",
    )
    parser.add_argument(
        "assignments",
        nargs="*",
        metavar="KEY=VALUE",
        help="settings of the recipe, such as batch.examples=16",
    )
    parser.add_argument("--task", help="task to train for")
    parser.add_argument("--model", metavar="NAME", help="model to start from")
    parser.add_argument("--data", metavar="FILE", help="training rows")
    parser.add_argument(
        "--dev", metavar="FILE", help="rows to evaluate on (default: a tenth of the training rows)"
    )
    parser.add_argument("--output", metavar="FOLDER", help="folder for the model")
    _arguments.add_columns(parser, "text", "text_pair", "context", "choices", "label")
    _arguments.add_other_columns(parser)
    parser.add_argument("--framework", choices=("pt", "tf"), help="framework to train in")
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="train with N seeds; print mean and deviation"
    )
    parser.add_argument(
        "--force", action="store_true", help="write into an output folder that holds something else"
    )
    _output.add_json(parser)


def run(arguments: argparse.Namespace, train: Callable[..., Any]) -> int:
    """Train by `train`, print the result, and return the exit status."""
    from distil.frameworks import find_framework  # noqa: PLC0415 - after --help
    from distil.training import train_seeds  # noqa: PLC0415
    from distil.training.session import open_workers  # noqa: PLC0415

    recipe = recipe_of_command(arguments)
    framework = find_framework(recipe.model.framework)
    if framework == "tf":
        _output.start_tensorflow()
    else:
        _keep_freed_memory()
    with open_workers(framework) as workers:
        try:
            call = partial(train, force=arguments.force)
            if arguments.seeds is not None:
                call = partial(train_seeds, call, count=arguments.seeds)
            result = _train(call, recipe, workers)
        except DistilError as error:
            if workers.is_first or not error.shared:
                _output.print_error(str(error))
            if error.shared:
                # Launchers end all workers as soon as one has ended.
                workers.gather(None)
            return _FAILED
        except Interrupted as interrupt:
            workers.gather(None)  # likewise
            raise interrupt if workers.is_first else Interrupted(interrupt.number) from None
        if workers.is_first:
            show = _show if arguments.seeds is None else _show_seeds
            show(result, as_json=arguments.json)
    return 0


def recipe_of_command(arguments: argparse.Namespace) -> Recipe:
    """The recipe that a command line amounts to."""
    from distil.common.steps.recipe_rules import read_assignments  # noqa: PLC0415 - after --help
    from distil.training.given import recipe_of  # noqa: PLC0415

    texts, source = list(arguments.assignments), arguments.recipe
    if source is not None and "=" in source and not Path(source).exists():
        texts.insert(0, source)
        source = None
    assignments = read_assignments(texts)
    given = {
        name: getattr(arguments, name, None)
        for name in ("task", "model", "teacher", "data", "dev", "output", "framework")
    }
    columns = _arguments.every_column_of(arguments) or None
    return recipe_of(source, assignments, columns=columns, **given).recipe


def _keep_freed_memory() -> None:
    from distil.pt.training.freed_memory import keep_freed_memory  # noqa: PLC0415 - loads PyTorch

    keep_freed_memory()


def _train(train: Callable[..., Any], recipe: Recipe, workers: Workers) -> Any:
    """Train; the first worker shows progress and warnings."""
    if workers.is_first:
        with progress("training") as tell, _notes():
            return train(recipe, listener=partial(_say, tell), workers=workers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(recipe, workers=workers)


@contextmanager
def _notes() -> Iterator[None]:
    """Show on stderr what training logs, such as the classes it found."""
    logger, shown = logging.getLogger("distil.training"), logging.StreamHandler()
    before = logger.level
    logger.addHandler(shown)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(shown)


def _show(result: TrainingResult, *, as_json: bool) -> None:
    """Print the result of a training."""
    if as_json:
        _output.print_json(result.to_dict())
        return
    if not result.trained:
        _output.print_line("Already finished: nothing was trained.")
    fields = {
        "model": result.folder,
        "framework": result.framework,
        "classes": ", ".join(result.labels) or None,
        "steps": f"{result.steps:,}",
        "tokens": f"{result.tokens:,}",
        "seconds": f"{result.seconds:,.1f}",
    }
    _output.print_fields(fields)
    if result.metrics:
        rows = [
            (name, f"{value:.4f}", " to ".join(f"{x:.4f}" for x in result.intervals.get(name, ())))
            for name, value in result.metrics.items()
        ]
        title = f"dev rows, after step {result.best_step:,}"
        columns = ("metric", "value", "95% interval")
        _output.print_table(columns, rows, right=columns[1:], title=title)


def _show_seeds(found: SeedResults, *, as_json: bool) -> None:
    """Print the results of several seeds."""
    if as_json:
        _output.print_json(found.to_dict())
        return
    seeds = [str(seed) for seed in found.results]
    rows = [
        (name, f"{mean:.4f}", f"{found.deviation[name]:.4f}",
         *(f"{one.metrics[name]:.4f}" for one in found.results.values()))
        for name, mean in found.mean.items()
    ]  # fmt: skip
    columns = ("metric", "mean", "deviation", *(f"seed {seed}" for seed in seeds))
    _output.print_table(columns, rows, right=columns[1:], title=str(found.folder))


def _say(tell: Tell, now: Progress) -> None:
    """Show a step."""
    tell(
        now.step,
        now.total,
        f"step {now.step:,} of {now.total:,}, loss {now.loss:.4f}, "
        f"{now.tokens_per_second:,.0f} tokens/s, {timedelta(seconds=round(now.seconds_left))} left",
    )
