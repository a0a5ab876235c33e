"""Workers: processes that share the work of every training step, and how they agree.

A batch of the recipe is one of all workers: each makes the whole of it, from the same data and
the same seed, and computes a slice of its rows (`distil.common.steps.slicing`).  So the
result does not depend on how many there are.

`distil.pt.training.workers` and `distil.tf.training.workers` each have `Workers` of their own, and
`open_workers`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from distil.errors import ConfigError, DistilError, TrainingError

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Place:
    """This process's rank among all of them.

    Attributes:
        rank: Its number.
        size: How many there are.
        local_rank: Its number among those on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0


@dataclass(frozen=True, kw_only=True)
class Workers(Place):
    """The workers as one of them sees them; by itself, one process alone.

    Attributes:
        local_replicas: Copies of the model in each process.
    """

    local_replicas: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the worker that writes files and reports."""
        return self.rank == 0

    @property
    def replicas(self) -> int:
        """Copies of the model in all processes: as many slices a batch is cut into."""
        return self.size * self.local_replicas

    @property
    def own_replicas(self) -> range:
        """Numbers of those in this process."""
        return range(self.rank * self.local_replicas, (self.rank + 1) * self.local_replicas)

    def gather(self, value: Any) -> list[Any]:
        """The values of all workers, in order of rank; it waits for all of them.

        Args:
            value: Anything that can be pickled.
        """
        return [value]

    def together(self, function: Callable[[], Result]) -> Result:
        """Call `function` in every worker; an error in one of them is raised in all.

        Otherwise the others would wait for ever for one that has given up.

        Raises:
            DistilError: Its own, or else that of the first worker, by rank, that has one.
        """
        problem: DistilError | None = None
        try:
            result = function()
        except DistilError as caught:
            problem = caught
        problems = [found for found in self.gather(problem) if found is not None]
        if problems:
            error = problem or problems[0]
            error.shared = True
            raise error
        return result

    def in_turn(self, function: Callable[[], Result]) -> Result:
        """Call `function` in the first worker, then in the first of each machine, then in others.

        What one of them leaves on disk the next ones find.  Errors are those of `together`.
        """
        turns = 3 if self.size > 1 else 1
        own = 0 if self.is_first else 1 if self.local_rank == 0 else 2
        for _ in range(own):
            self.together(_nothing)
        result = self.together(function)
        for _ in range(own + 1, turns):
            self.together(_nothing)
        return result

    def by_first(self, function: Callable[[], None]) -> None:
        """Call `function` in the first worker alone, while the others wait."""
        self.together(function if self.is_first else _nothing)


def find_place(framework: str) -> Place:
    """This process's place, as told by torchrun for PyTorch and by TF_CONFIG for TensorFlow.

    Args:
        framework: "pt" or "tf".

    Raises:
        ConfigError: It was started for the other framework, or TF_CONFIG is not valid.
    """
    places = {"pt": _of_torchrun(os.environ), "tf": _of_tf_config(os.environ)}
    place = places.pop(framework)
    ((other, elsewhere),) = places.items()
    if place.size == 1 < elsewhere.size:
        starter = {"pt": "torchrun", "tf": "TF_CONFIG"}[other]
        raise ConfigError(
            f"{starter} starts workers for the other framework",
            expected=f"model.framework: {other}", found=framework, where="model.framework",
            fix=f"add --framework {other}, or unset the variables of {starter}",
        )  # fmt: skip
    return place


def lost_another(place: Place) -> TrainingError:
    """The error of a worker that has lost one of the others.

    Args:
        place: Of this process.
    """
    error = TrainingError(
        "another worker has ended, or can no longer be reached",
        expected=f"{place.size} workers until the end",
        where=f"worker {place.rank}",
        fix="look at the output of the others; then start all of them with the same command, which "
        "continues from the last checkpoint",
    )
    error.shared = False  # a worker that has ended cannot report it
    return error


def _nothing() -> None:
    """What the waiting workers call."""


def _of_torchrun(environment: Mapping[str, str]) -> Place:
    names = {"rank": "RANK", "size": "WORLD_SIZE", "local_rank": "LOCAL_RANK"}
    if not set(names.values()) <= environment.keys():
        return Place()
    return Place(**{field: int(environment[name]) for field, name in names.items()})


def _of_tf_config(environment: Mapping[str, str]) -> Place:
    if "TF_CONFIG" not in environment:
        return Place()
    try:
        config = json.loads(environment["TF_CONFIG"])
        cluster, task = config.get("cluster", {}), config.get("task", {})
        # The chief, where there is one, is the first of the workers.
        addresses = {kind: list(cluster.get(kind, ())) for kind in ("chief", "worker")}
        every = addresses["chief"] + addresses["worker"]
        if not every:
            return Place()
        own = addresses[task["type"]][int(task["index"])]
    except (ValueError, TypeError, LookupError, AttributeError):
        raise ConfigError(
            "TF_CONFIG is not valid",
            expected='{"cluster": {"worker": ["host:port", ...]}, '
            '"task": {"type": "worker", "index": 0}}',
            found=environment["TF_CONFIG"], where="the variable TF_CONFIG",
        ) from None  # fmt: skip
    rank = every.index(own)
    hosts = [address.rpartition(":")[0] for address in every]
    return Place(rank=rank, size=len(every), local_rank=hosts[:rank].count(hosts[rank]))
