"""What workers agree on, with threads in place of processes; who a process is; and the docs."""

import json
import shlex
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from distil.common.steps.recipe import read_recipe
from distil.common.steps.recipe_rules import read_assignments
from distil.common.steps.workers import Place, Workers, find_place
from distil.errors import ConfigError, InputError


@dataclass
class Meeting:
    """Where threads leave values for one another."""

    size: int
    values: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self):
        self.barrier = threading.Barrier(self.size)

    def exchange(self, rank, value):
        self.values[rank] = value
        self.barrier.wait(10)
        found = [self.values[number] for number in range(self.size)]
        self.barrier.wait(10)
        return found


@dataclass(frozen=True, kw_only=True)
class Threads(Workers):
    meeting: Meeting

    def gather(self, value):
        return self.meeting.exchange(self.rank, value)


def in_threads(function, local_ranks=(0, 1, 0, 1)):
    """What `function(workers)` gives or raises in each of several workers."""
    meeting, found = Meeting(len(local_ranks)), {}

    def run(rank, local_rank):
        workers = Threads(rank=rank, size=len(local_ranks), local_rank=local_rank, meeting=meeting)
        try:
            found[rank] = function(workers)
        except InputError as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(local_ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [found[rank] for rank in range(len(local_ranks))]


def test_alone():
    alone = Workers()
    assert alone.is_first
    assert alone.gather(3) == [3]
    assert alone.in_turn(lambda: 4) == 4
    assert list(alone.own_replicas) == [0]
    with pytest.raises(InputError) as caught:
        alone.together(lambda: bad(0))
    assert caught.value.shared


def bad(rank):
    raise InputError(f"worker {rank} cannot")


def test_replicas_are_numbered_through():
    workers = Workers(rank=1, size=3, local_replicas=4)
    assert workers.replicas == 12
    assert list(workers.own_replicas) == [4, 5, 6, 7]


def test_an_error_of_one_is_raised_in_all():
    def work(workers):
        return workers.together(lambda: bad(2) if workers.rank == 2 else 1)

    found = in_threads(work)
    assert [str(error) for error in found] == ["worker 2 cannot"] * 4
    assert all(error.shared for error in found)


def test_the_first_goes_first_then_the_first_of_each_machine():
    done = []

    def work(workers):
        return workers.in_turn(lambda: done.append(workers.rank) or len(done))

    found = in_threads(work)
    assert done[0] == 0
    assert done[1] == 2
    assert set(done[2:]) == {1, 3}
    assert found[0] == 1
    assert found[2] == 2


def test_only_the_first_writes_and_an_error_of_it_is_everybodys():
    done = []
    assert in_threads(lambda workers: workers.by_first(lambda: done.append(workers.rank))) == (
        [None] * 4
    )
    assert done == [0]
    found = in_threads(lambda workers: workers.by_first(lambda: bad(workers.rank)))
    assert [str(error) for error in found] == ["worker 0 cannot"] * 4


TORCHRUN = {"RANK": "9", "WORLD_SIZE": "16", "LOCAL_RANK": "1"}


def tf_config(cluster, kind, index):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


MACHINES = {"chief": ["a:1"], "worker": ["b:1", "a:2", "b:2"]}


@pytest.mark.parametrize(
    ("framework", "environment", "place"),
    [
        ("pt", {}, Place()),
        ("tf", {}, Place()),
        ("pt", TORCHRUN, Place(rank=9, size=16, local_rank=1)),
        ("tf", tf_config(MACHINES, "chief", 0), Place(rank=0, size=4, local_rank=0)),
        ("tf", tf_config(MACHINES, "worker", 0), Place(rank=1, size=4, local_rank=0)),
        ("tf", tf_config(MACHINES, "worker", 2), Place(rank=3, size=4, local_rank=1)),
        ("tf", {"TF_CONFIG": "{}"}, Place()),
        ("tf", tf_config({"worker": ["a:1"]}, "worker", 0) | TORCHRUN, None),
        ("pt", tf_config(MACHINES, "worker", 0), None),
        ("tf", TORCHRUN, None),
        ("tf", tf_config(MACHINES, "evaluator", 0), None),
        ("tf", tf_config(MACHINES, "worker", 3), None),
        ("tf", {"TF_CONFIG": "["}, None),
    ],
)
def test_the_environment_says_who_this_is(framework, environment, place, monkeypatch):
    for name in (*TORCHRUN, "TF_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if place is not None:
        assert find_place(framework) == place
        return
    with pytest.raises(ConfigError):
        find_place(framework)


def commands():
    """Those of docs/scaling.md that train, as lists of words."""
    text = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text().replace("\\\n", "")
    lines = [shlex.split(line[2:]) for line in text.splitlines() if line.startswith("$ ")
             and line.count("'") % 2 == 0]  # fmt: skip
    return [line for line in lines if "train" in line or "distill" in line]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_of_the_documentation_are_valid(words, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    name, *rest = words[words.index("distil") + 1 :]
    recipe, *texts = rest[: rest.index("--framework")] if "--framework" in rest else rest
    found = read_recipe(recipe, read_assignments(texts))
    assert (found.teacher is not None) == (name == "distill")


def test_every_kind_of_command_is_documented():
    assert {words[0] for words in commands()} == {"torchrun", "distil"}
    assert {words[words.index("distil") + 1] for words in commands()} == {"train", "distill"}
