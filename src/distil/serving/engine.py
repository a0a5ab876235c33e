"""A model behind a queue: whenever it is free, it computes what is queued as one batch.

Several threads tokenize; one thread computes.  There is no batching timer: a lone request is
computed at once, and those that arrive in the meantime form the next batch.  The queue is bounded
by tokens.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from distil.common.inference.packing import TOKENS_AT_ONCE
from distil.pipelines.base import Pipeline
from distil.pipelines.encoding import Encoded
from distil.pipelines.scoring import Scorer
from distil.serving.errors import (
    DeadlineError,
    OverloadError,
    ShutdownError,
    TooLargeError,
    TooLongError,
    TooManyError,
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a served model.

    Attributes:
        queue: Most tokens in the queue; beyond that requests are refused.
        batch: Most tokens in a batch.
        rows: Most inputs in a request.
        characters: Most characters in a request.
        seconds: How long a request may stay in the queue, unless it asks for less itself.
    """

    queue: int = 65_536
    batch: int = TOKENS_AT_ONCE
    rows: int = 1024
    characters: int = 1_000_000
    seconds: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The results of a request.

    Attributes:
        results: As the pipeline gives them.
        tokens: How many were computed for them.
        cut: Indices of the rows that were truncated.
    """

    results: list[Any]
    tokens: int
    cut: Sequence[int] = ()


@dataclass(eq=False, kw_only=True)
class Job:
    """A tokenized request in the queue.

    Attributes:
        items: Its rows, as the pipeline has read them.
        encoded: Their token sequences.
        options: For the pipeline.
        tokens: In all sequences together.
        deadline: When the request expires, by `time.monotonic`.
        done: Receives the results or the error; cancelled when the client disconnects.
    """

    items: Sequence[Any]
    encoded: Encoded
    options: Any
    tokens: int
    deadline: float
    done: Future[Answers]


class Engine:
    """Computes the requests for one model, in batches.

    Args:
        pipeline: Of the model.
        limits: Of the queue, batches and requests.
        observe: Called with the tokens of each batch and the seconds it took.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        limits: Limits,
        observe: Callable[[int, float], None] = lambda tokens, seconds: None,
    ) -> None:
        self.pipeline, self.limits, self._observe = pipeline, limits, observe
        self._waiting: deque[Job] = deque()
        self._tokens = 0  # in the queue
        self._rate = 1000.0  # tokens a second, as measured
        self._changed = threading.Condition()
        self._closed = False
        self._tokenizers = ThreadPoolExecutor(2, thread_name_prefix="distil-tokenize")
        self._thread = threading.Thread(target=self._run, name="distil-model", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Tokens in the queue."""
        return self._tokens

    def submit(
        self,
        rows: Sequence[Any],
        options: Mapping[str, Any],
        seconds: float | None = None,
        *,
        whole: bool = False,
    ) -> Future[Answers]:
        """Queue a request.

        Args:
            rows: Inputs, as the pipeline takes them.
            options: Of the pipeline.
            seconds: The client's deadline; None takes the server's limit.
            whole: Refuse rows that are too long instead of truncating them.

        Returns:
            A future of the results; its error is one of `distil.serving.errors`, or an
            InputError that names the row or the option that is wrong.

        Raises:
            TooManyError: The request has too many rows.
        """
        if len(rows) > self.limits.rows:
            raise TooManyError(len(rows), self.limits.rows)
        allowed = self.limits.seconds if seconds is None else min(seconds, self.limits.seconds)
        outer: Future[Answers] = Future()
        deadline = time.monotonic() + allowed
        self._tokenizers.submit(self._admit, list(rows), dict(options), whole, deadline, outer)
        return outer

    def close(self) -> None:
        """Answer the queued requests, then stop."""
        self._tokenizers.shutdown(wait=True)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _admit(
        self, rows: list[Any], options: dict[str, Any], whole: bool, deadline: float,
        done: Future[Answers],
    ) -> None:  # fmt: skip
        try:
            job = self._tokenized(rows, options, whole, deadline, done)
            with self._changed:
                if self._closed:
                    raise ShutdownError
                # A request that is larger than the queue is accepted when the queue is empty.
                if self._waiting and self._tokens + job.tokens > self.limits.queue:
                    raise OverloadError(self._tokens / self._rate)
                self._waiting.append(job)
                self._tokens += job.tokens
                self._changed.notify_all()
        except Exception as error:
            if not done.cancelled():
                done.set_exception(error)

    def _tokenized(
        self, rows: list[Any], options: dict[str, Any], whole: bool, deadline: float,
        done: Future[Answers],
    ) -> Job:  # fmt: skip
        pipeline = self.pipeline
        chosen = pipeline.chosen(options)
        places = [f"inputs[{number}]" for number in range(len(rows))]
        items = [pipeline.read(row, place, chosen) for row, place in zip(rows, places, strict=True)]
        size = sum(len(str(row)) for row in rows)
        if size > self.limits.characters:
            raise TooLargeError(size, self.limits.characters)
        encoded = pipeline.encoder(chosen)(items, places)
        for problem in encoded.problems.values():
            raise problem
        if whole and encoded.cut:
            raise TooLongError(places[encoded.cut[0]], pipeline.limit_of(chosen))
        tokens = sum(map(len, encoded.sequences))
        return Job(
            items=items, encoded=encoded, options=chosen, tokens=tokens, deadline=deadline,
            done=done,
        )  # fmt: skip

    def _run(self) -> None:
        while jobs := self._next():
            begin = time.monotonic()
            try:
                answers = self._compute(jobs)
            except Exception as error:
                for job in jobs:
                    job.done.set_exception(error)
                continue
            seconds = time.monotonic() - begin
            tokens = sum(job.tokens for job in jobs)
            self._rate += 0.1 * (tokens / max(seconds, 1e-6) - self._rate)
            self._observe(tokens, seconds)  # before a client sees the answer and asks for metrics
            for job, answer in zip(jobs, answers, strict=True):
                job.done.set_result(answer)

    def _next(self) -> list[Job]:
        """The next batch; empty once the server is closed and the queue is drained."""
        with self._changed:
            while True:
                while not self._waiting:
                    if self._closed:
                        return []
                    self._changed.wait()
                jobs: list[Job] = []
                tokens = 0
                kept: deque[Job] = deque()
                now = time.monotonic()
                for job in self._waiting:
                    if not jobs or (
                        job.options == jobs[0].options and tokens + job.tokens <= self.limits.batch
                    ):
                        if self._is_wanted(job, now):
                            jobs.append(job)
                            tokens += job.tokens
                    else:
                        kept.append(job)
                self._waiting = kept
                self._tokens = sum(job.tokens for job in kept)
                if jobs:
                    return jobs

    def _is_wanted(self, job: Job, now: float) -> bool:
        """Whether a job is neither cancelled nor expired; from here on it cannot be cancelled."""
        if not job.done.set_running_or_notify_cancel():
            return False
        if now > job.deadline:
            job.done.set_exception(DeadlineError())
            return False
        return True

    def _compute(self, jobs: Sequence[Job]) -> list[Answers]:
        """The answers to jobs that have the same options."""
        pipeline, options = self.pipeline, jobs[0].options
        score = Scorer(
            pipeline.model, pipeline.digest(options), tokens_at_once=pipeline.tokens_at_once,
            memory=0,
        )  # fmt: skip
        sequences = [one for job in jobs for one in job.encoded.sequences]
        wanted = None
        if jobs[0].encoded.wanted is not None:
            wanted = [one for job in jobs for one in job.encoded.wanted or ()]
        scores = iter(score(sequences, wanted))
        answers = []
        for job in jobs:
            own = list(islice(scores, len(job.encoded.sequences)))
            results = pipeline.results(job.items, job.encoded, own, options)
            found = Answers(results=list(results), tokens=job.tokens, cut=job.encoded.cut)
            answers.append(found)
        return answers
