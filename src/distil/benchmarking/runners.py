"""What a worker of `distil bench` runs: the pipeline, as users call it, around some model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from distil import api
from distil.checkpoints.located import locate
from distil.common.tasks import find_task
from distil.frameworks import choose_form
from distil.pipelines import pipeline


class Pipeline:
    """A pipeline with whatever options it takes.

    Args:
        name: Of the checkpoint.
        task: What for.
        **options: Of `distil.pipeline`.
    """

    def __init__(self, name: str, task: str, **options: Any) -> None:
        self.pipeline = pipeline(find_task(task).name, model=name, **options)
        self.results: list[Any] = []

    def predict(self, rows: Sequence[Any]) -> None:
        """Predict; `answers` gives the results."""
        self.results = self.pipeline(list(rows))

    def answers(self) -> list[tuple[list[str], list[float]]]:
        """Of each row of the last call of `predict`: its words and its numbers."""
        return [_words_and_numbers(result) for result in self.results]

    def figures(self, rows: Sequence[Any]) -> dict[str, Any]:
        """The metrics of rows with a "label", as `distil.evaluate` has them."""
        from distil.evaluation import figures  # noqa: PLC0415 - the start of a process is measured

        pairs = {"text_pair": "text_pair"} if "text_pair" in rows[0] else {}
        main, metrics = figures(self.pipeline, rows, columns=pairs)
        return {"main": main, "metrics": {name: asdict(one) for name, one in metrics.items()}}

    def latency(self, row: Any, repeat: int) -> float:
        """Median of the seconds that one row by itself takes."""
        seconds = []
        for _ in range(repeat):
            begin = time.perf_counter()
            self.pipeline(row)
            seconds.append(time.perf_counter() - begin)
        return median(seconds)


class Padded(Pipeline):
    """The same around the plain model, called as models usually are: padded, as texts come."""

    def __init__(self, name: str, task: str, framework: str, **options: Any) -> None:
        from distil.benchmarking.padded import PaddedModel  # noqa: PLC0415

        form, chosen = choose_form(framework=framework), find_task(task)
        with locate(name) as found:
            model = api.load_located(found, chosen, form, **options)
        tokenizer = api.load_tokenizer(found.folder)
        self.pipeline = pipeline(chosen.name, model=PaddedModel(model), tokenizer=tokenizer)
        self.results = []


def _words_and_numbers(result: Any) -> tuple[list[str], list[float]]:
    """All words and all numbers of a result of whatever shape, in their order."""
    words: list[str] = []
    numbers: list[float] = []
    rest = [result]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            rest.extend(reversed(value.values()))
        elif isinstance(value, list | tuple):
            rest.extend(reversed(value))
        elif isinstance(value, str):
            words.append(value)
        else:
            numbers.append(float(value))
    return words, numbers
