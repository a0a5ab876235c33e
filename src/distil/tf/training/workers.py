"""Processes and devices that train together, in TensorFlow: tf.distribute connects them.

The twin of this file is `distil.pt.training.workers`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
import tensorflow as tf

from distil.common.steps import workers


@dataclass(frozen=True, kw_only=True)
class Workers(workers.Workers):
    """The workers as one of them sees them; each may have several devices.

    Attributes:
        strategy: What holds a copy of the variables on each device.
    """

    strategy: tf.distribute.Strategy = field(default_factory=tf.distribute.get_strategy)

    def gather(self, value: Any) -> list[Any]:
        """The values of all workers, in order of rank; it waits for all of them."""
        if self.size == 1:
            return [value]
        data = pickle.dumps(value)
        # As integers of a type that can be added up on GPUs, too.
        words = np.frombuffer(data + b"\0" * (-len(data) % 8), np.int64)
        lengths = np.zeros(self.size, np.int64)
        lengths[self.rank] = len(words)
        lengths = self._added_up(lengths)
        table = np.zeros((self.size, lengths.max()), np.int64)  # zero but for one's own row
        table[self.rank, : len(words)] = words
        table = self._added_up(table.ravel()).reshape(table.shape)
        return [pickle.loads(row.tobytes()) for row in table]

    def run(self, function: Callable[..., Any], arguments: Sequence[Sequence[Any]]) -> list[Any]:
        """In a graph: call `function` on each device of this process.

        Args:
            function: It may call `total`.
            arguments: Those for each device.

        Returns:
            What it gives on each of them.
        """

        def on_device() -> Any:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return function(*arguments[tf.get_static_value(replica) - self.own_replicas.start])

        return list(self.strategy.experimental_local_results(self.strategy.run(on_device)))

    def graph(self, function: Callable[..., Any]) -> Callable[..., list[Any]]:
        """A graph of `run`: it takes the arguments for each device."""
        return tf.function(partial(self.run, function), autograph=False)

    def total(self, values: Any) -> Any:
        """In a function that `run` calls: nested values, added up over all devices of all."""
        if self.replicas == 1:
            return values
        # A graph's inputs are on no device; what is added up has to be.
        values = tf.nest.map_structure(tf.identity, values)
        return tf.distribute.get_replica_context().all_reduce("SUM", values)

    def _added_up(self, numbers: np.ndarray) -> np.ndarray:
        """Integers (n), as many in each process, added up over the processes."""
        return self._graph_of_total(tf.constant(numbers)).numpy()

    @cached_property
    def _graph_of_total(self) -> Callable[[tf.Tensor], tf.Tensor]:
        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)], autograph=False)
        def total(numbers: tf.Tensor) -> tf.Tensor:
            # The first device speaks for its process.
            others = [(tf.zeros_like(numbers),)] * (self.local_replicas - 1)
            return self.run(self.total, [(numbers,), *others])[0]

        return total


@contextmanager
def open_workers(place: workers.Place) -> Iterator[Workers]:
    """Connect the processes, or join in where a strategy's scope has been entered.

    Each takes all GPUs that it can see.

    Args:
        place: Of this process.

    Raises:
        TrainingError: Another worker was lost.
    """
    if tf.distribute.has_strategy() or (place.size == 1 and len(_gpus()) < 2):
        strategy = tf.distribute.get_strategy()
    else:
        strategy = _strategy(alone=place.size == 1)
    try:
        with strategy.scope():
            yield Workers(
                rank=place.rank,
                size=place.size,
                local_rank=place.local_rank,
                local_replicas=strategy.num_replicas_in_sync // place.size,
                strategy=strategy,
            )
    except tf.errors.OpError as error:
        if not _tells_of_loss(error):
            raise
        raise workers.lost_another(place) from error


@cache
def _strategy(*, alone: bool) -> tf.distribute.Strategy:
    """The same one for all trainings of this process.

    Every strategy numbers its sums from the same number on, and those of one number have to have
    one shape.
    """
    if alone:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.MultiWorkerMirroredStrategy()


def _gpus() -> list[Any]:
    return tf.config.list_logical_devices("GPU")


def _tells_of_loss(error: tf.errors.OpError) -> bool:
    # Which error it is depends on where the other one was; all sums end once one has failed.
    return "Collective ops is aborted" in str(error)
