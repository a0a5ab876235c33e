"""What takes part in `distil bench`, and what has been measured of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

from distil.benchmarking.workers import Candidate, Reply, Worker, WorkerError
from distil.frameworks import ENGINE_TITLES, FRAMEWORKS, find_framework, import_framework, title_of

DTYPES = ("float32", "bfloat16", "int8")

_PIPELINE = "distil.benchmarking.runners:Pipeline"
_PADDED = "distil.benchmarking.runners:Padded"
# Names of frameworks and engines, the package that has to be there, and what chooses each in
# `distil.pipeline`.
_COMPUTERS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *((one.name, one.packages[0], {"framework": one.name}) for one in FRAMEWORKS.values()),
    *((engine, engine, {"engine": engine}) for engine in ENGINE_TITLES),
)
# Combinations that do not exist.
_NEVER = {("tf", "int8"), ("onnxruntime", "bfloat16")}

_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
# How often one text is predicted by itself.
_REPEAT = 9


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One way to compute, measured.

    Attributes:
        name: Of the way.
        options: Of `distil.pipeline` that choose it; None for the plain model.
        problem: Why it could not be measured, or None; then the rest is None, too.
        speed: How many times as fast as the plain model, median over the rounds.
        slowest: The same, in the worst round.
        texts_per_second: Median over the rounds.
        latency: Seconds for one text by itself.
        start: Seconds from the start of a process to its first answer.
        memory: The most memory of its process, in MB.
        same: The share of texts with the same words (labels, answers) as the plain model gives.
        difference: The largest difference of any number from what the plain model gives.
        accuracy: The share of texts with the right label, where labels are known.
        main: The main metric, where labels are known.
        metrics: Likewise, every metric: its value, and the ends of its 95% interval.
    """

    name: str
    options: dict[str, Any] | None
    problem: str | None = None
    speed: float | None = None
    slowest: float | None = None
    texts_per_second: float | None = None
    latency: float | None = None
    start: float | None = None
    memory: float | None = None
    same: float | None = None
    difference: float | None = None
    accuracy: float | None = None
    main: str | None = None
    metrics: Mapping[str, Mapping[str, float]] | None = None

    @property
    def figure(self) -> float | None:
        """The value of the main metric; None where labels are not known."""
        if self.main is None or self.metrics is None:
            return None
        return self.metrics[self.main]["value"]


@dataclass(frozen=True, kw_only=True)
class Way:
    """A candidate, and what chooses it in `distil.pipeline`; None for the plain model."""

    candidate: Candidate
    options: dict[str, Any] | None


def ways(name: str, task: str, dtypes: Sequence[str]) -> Iterator[Way]:
    """The plain model of the framework that is there, then everything else that is there.

    Raises:
        FrameworkError: No framework is there.
    """
    framework = find_framework()
    import_framework(framework)
    common = {"name": name, "task": task}
    plain = Candidate(
        name=f"{title_of(framework)}, plain and padded",
        runner=_PADDED,
        options={**common, "framework": framework},
        environment=_ENVIRONMENT,
    )
    yield Way(candidate=plain, options=None)
    for computer, package, choice in _COMPUTERS:
        for dtype in dtypes:
            if find_spec(package) is None or (computer, dtype) in _NEVER:
                continue
            options = {**choice, "dtype": dtype}
            candidate = Candidate(
                name=f"{title_of(computer)} {dtype}",
                runner=_PIPELINE,
                options={**common, **options},
                environment=_ENVIRONMENT,
            )
            yield Way(candidate=candidate, options=options)


class Entrant:
    """A way to compute and what has been measured of it.

    Attributes:
        way: The way.
        problem: What went wrong, or None.  After that it stays out of the race.
    """

    def __init__(self, way: Way, row: Any) -> None:
        self.way = way
        self.problem: str | None = None
        self._worker: Worker | None = None
        self._seconds: list[float] = []
        self._answers: list[Any] = []
        self._figures: dict[str, Any] = {}
        self._start = self._latency = 0.0
        self._memory: float | None = None
        self._unless_out(self._begin, row)

    def compute(self, rows: Sequence[Any]) -> None:
        """One round."""
        self._unless_out(self._compute, rows)

    def finish(self, row: Any, labelled: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Ask for what takes no rounds, and end the process.

        Args:
            row: Predicted by itself.
            labelled: Rows as tables, with their labels, where these are known.
        """
        self._unless_out(self._finish, row)
        if labelled is not None:
            self._unless_out(self._judge, labelled)
        if self._worker is not None:
            self._worker.close()

    def measured(self, plain: Entrant) -> Measurement:
        """Everything, beside the plain model."""
        name, options = self.way.candidate.name, self.way.options
        if self.problem is not None:
            return Measurement(name=name, options=options, problem=self.problem)
        ratios = [theirs / own for theirs, own in zip(plain._seconds, self._seconds, strict=True)]
        same = [
            own[0] == theirs[0] for own, theirs in zip(self._answers, plain._answers, strict=True)
        ]
        apart = [
            abs(number - expected)
            for (_, numbers), (_, others), agree in zip(
                self._answers, plain._answers, same, strict=True
            )
            if agree
            for number, expected in zip(numbers, others, strict=True)
        ]
        metrics = self._figures.get("metrics", {})
        return Measurement(
            name=name,
            options=options,
            speed=median(ratios),
            slowest=min(ratios),
            texts_per_second=len(self._answers) / median(self._seconds),
            latency=self._latency,
            start=self._start,
            memory=self._memory,
            same=sum(same) / len(same),
            difference=max(apart, default=0.0),
            accuracy=metrics.get("accuracy", {}).get("value"),
            **self._figures,
        )

    def _begin(self, row: Any) -> None:
        self._worker = Worker(self.way.candidate)
        self._start = self._worker.seconds_to_start + self._ask("predict", rows=[row]).seconds

    def _compute(self, rows: Sequence[Any]) -> None:
        if not self._seconds:
            self._ask("predict", rows=rows)  # what is made once is made now
        self._seconds.append(self._ask("predict", rows=rows).seconds)

    def _finish(self, row: Any) -> None:
        reply = self._ask("answers")
        self._answers, self._memory = reply.answer, reply.memory
        self._latency = self._ask("latency", row=row, repeat=_REPEAT).answer

    def _judge(self, labelled: Sequence[Mapping[str, Any]]) -> None:
        self._figures = self._ask("figures", rows=labelled).answer

    def _ask(self, do: str, **arguments: Any) -> Reply:
        assert self._worker is not None
        return self._worker.ask(do, **arguments)

    def _unless_out(self, work: Callable[[Any], None], argument: Any) -> None:
        if self.problem is None:
            try:
                work(argument)
            except WorkerError as error:
                self.problem = error.problem
