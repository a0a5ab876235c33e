"""A model computed by an engine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, Protocol

import numpy as np

from distil.arrays import Array
from distil.common.config import DistilBertConfig
from distil.common.inference.model import InferenceModel
from distil.common.inputs import out_of_range
from distil.common.spec import width
from distil.common.tasks import TASKS
from distil.engines.feeding import Feed, feeds
from distil.engines.graph import OUTPUT
from distil.errors import InputError
from distil.frameworks import title_of


class Session(Protocol):
    """A graph that an engine has made ready.

    Attributes:
        survives_fork: Whether a process that was forked from the one that made it may run it.
    """

    survives_fork: bool

    def run(self, feeds: Iterable[Mapping[str, Array]]) -> Iterator[dict[str, Array]]:
        """The outputs by name for each set of inputs, in order; valid until the next is taken."""


class EngineModel(InferenceModel):
    """A model that an engine computes; may be used by several threads, one at a time.

    Args:
        session: With the model's graph.
        config: Of the model.
        task: Of the model.
        engine: "openvino" or "onnxruntime".
        dtype: "float32", "bfloat16" or "int8".
    """

    def __init__(
        self, session: Session, config: DistilBertConfig, task: str, *, engine: str, dtype: str
    ) -> None:
        self.framework = self.engine = engine
        self.dtype = dtype
        self.config, self.task = config, task
        self._width = width(config, task)
        self._session = session
        self._lock = Lock()
        self._process = os.getpid()

    def score(  # noqa: D102 - see InferenceModel
        self,
        sequences: Sequence[Any],
        *,
        positions: Sequence[Any] | None = None,
        wanted: Sequence[Any] | None = None,
    ) -> list[Array]:
        if os.getpid() != self._process and not self._session.survives_fork:
            raise InputError(
                f"{title_of(self.engine)} cannot compute in a fork of the process that loaded the "
                "model: its threads stayed behind",
                expected=f"process {self._process}", found=f"process {os.getpid()}",
                fix="load the model in the new process, or start that by spawn",
            )  # fmt: skip
        first = TASKS[self.task].reads_first
        if first:
            wanted = [[0]] * len(sequences)
        found: list[Any] = [None] * len(sequences)
        waiting: list[Feed] = []

        def inputs() -> Iterator[dict[str, Array]]:
            for feed in feeds(sequences, positions=positions, wanted=wanted):
                self._check(feed)
                if feed.counts.any():
                    waiting.append(feed)
                    yield feed.inputs
                else:
                    for row in feed.pack.rows:
                        found[row] = np.empty((0, self._width), np.float32)

        with self._lock:
            for outputs in self._session.run(inputs()):
                feed = waiting.pop(0)
                # The engine writes the next scores where these are.
                scores = np.array(outputs[OUTPUT], np.float32).reshape(-1, self._width)
                parts = scores if first else np.split(scores, np.cumsum(feed.counts)[:-1])
                for row, part in zip(feed.pack.rows, parts, strict=True):
                    found[row] = part
        return found

    def _check(self, feed: Feed) -> None:
        """Refuse indices beyond a table: engines silently read past its end."""
        for name, values, limit, what in (
            ("ids", feed.pack.ids, self.config.vocab_size, "the vocabulary"),
            (
                "positions", feed.pack.positions, self.config.max_position_embeddings,
                "the model's positions",
            ),
        ):  # fmt: skip
            wrong = values[(values < 0) | (values >= limit)]
            if len(wrong):
                raise out_of_range(name, limit, int(wrong[0]), what=what)
