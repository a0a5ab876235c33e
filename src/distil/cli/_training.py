"""What `distil train` and `distil distill` have in common: arguments, progress, what is shown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from distil.cli import _output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML file")
    parser.add_argument(
        "assignments",
        nargs="*",
        metavar="KEY=VALUE",
        help="settings to change, by their names in the recipe: batch.examples=16",
    )
    parser.add_argument("--framework", choices=("pt", "tf"), help="to train in")
    _output.add_json(parser)


def run(arguments: argparse.Namespace, train: Callable[..., Any]) -> int:
    """Train by `train`, and show what it came to; gives the exit status."""
    from distil.common.recipe_rules import read_assignments  # noqa: PLC0415 - after --help

    assignments = read_assignments(arguments.assignments)
    if arguments.framework is not None:
        assignments["model.framework"] = arguments.framework
    if assignments.get("model.framework") != "pt":
        _output.start_tensorflow()
    with _progress_bar() as listener:
        result = train(arguments.recipe, listener=listener, **assignments)
    if arguments.json:
        _output.print_json(result.to_dict())
        return 0
    fields = {
        "model": result.folder,
        "framework": result.framework,
        "steps": f"{result.steps:,}",
        "tokens": f"{result.tokens:,}",
        "seconds": f"{result.seconds:,.1f}",
    }
    _output.print_fields(fields)
    if result.metrics:
        rows = [(name, f"{value:.4f}") for name, value in result.metrics.items()]
        title = f"dev rows, after step {result.best_step:,}"
        _output.print_table(("metric", "value"), rows, right=("value",), title=title)
    return 0


@contextmanager
def _progress_bar() -> Iterator[Any]:
    """What to call with the progress, None where nobody would see a bar."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import (  # noqa: PLC0415 - see `_output`
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TextColumn("{task.fields[speed]:,.0f} tokens/s"),
        TextColumn("{task.fields[left]} left"),
    )
    with Progress(*columns, console=_output.console(stderr=True), transient=True) as bar:
        task = bar.add_task("training", total=None, loss=0.0, speed=0.0, left="")
        yield lambda progress: bar.update(
            task,
            completed=progress.step,
            total=progress.total,
            loss=progress.loss,
            speed=progress.tokens_per_second,
            left=_clock(progress.seconds_left),
        )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
