"""Every public function and command in bad states drawn at random: one clear error, nothing lost.

States are a damaged file, an odd argument, a disk without room, and a place where nothing can be
written.  What must come of each is a result, or a DistilError that says more than its problem; of
a command, no traceback either.  And what was there before must be there afterwards.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import distil
from attacks.house import FEW, ODD, STATES, House, damaged, fresh, holds
from distil.cli import main

pytestmark = [pytest.mark.pt, pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("house"))
    for door in ("predict", "evaluate", "convert", "save", "train"):
        with fresh(house):  # what is imported only now is no part of what is tested
            house.doors()[door]()
    return house


def runs(command: list[str], capsys: pytest.CaptureFixture[str]) -> int:
    """The status of a command, which has to say what is wrong where something is."""
    status = main(command)
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert status in (0, 1, 2), said.err
    assert status != 2 or "error: " in said.err
    return status


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


DOORS = (
    "load", "load_tokenizer", "info", "predict", "pipeline", "evaluate", "convert", "save",
    "train", "distill",
)  # fmt: skip
WRITERS = ("evaluate", "convert", "save", "train")


@pytest.mark.parametrize("door", DOORS)
@FEW
@given(draw=st.data())
def test_damaged_files(house: House, door: str, draw: st.DataObject) -> None:
    path = draw.draw(st.sampled_from(house.files))
    with fresh(house), damaged(path, draw):
        holds(house.doors()[door])


@pytest.mark.parametrize("door", WRITERS)
@FEW
@given(size=st.integers(0, 120_000))
def test_no_room(house: House, door: str, size: int) -> None:
    with fresh(house):
        with room_for(size):
            error = holds(house.doors()[door])
        if error is None and door == "convert":
            distil.load(house.output / "converted", framework="pt")
        if error is not None and door == "train":
            assert house.doors()[door]() is not None  # it goes on, once there is room


@pytest.mark.parametrize("door", WRITERS)
@pytest.mark.parametrize("where", ["file/within", "/proc/nobody", "/dev/null", "file"])
def test_no_right(house: House, door: str, where: str) -> None:
    """Places where not even root can write, and files where folders should be."""
    with fresh(house):
        (house.output / "file").write_text("")
        place = house.output / where  # an absolute path stays what it is
        house.table["output"] = house.taught["output"] = str(place)
        new = {
            "evaluate": {"report": place / "report.html"}, "convert": {"target": place},
            "save": {"folder": place},
        }.get(door, {})  # fmt: skip
        assert holds(lambda: house.doors()[door](**new)) is not None


ARGUMENTS = {
    "load": (
        "name", "framework", "task", "dtype", "device", "engine", "calibration", "threads",
        "revision", "variant", "seed", "ignore_mismatched_sizes", "num_labels", "dropout",
        "id2label", "nothing",
    ),
    "load_tokenizer": (
        "name", "revision", "model_max_length", "cls_token", "padding_side", "do_lower_case",
    ),
    "info": ("name", "revision"),
    "predict": ("name", "texts", "task", "framework", "pair", "choices", "context", "top_k"),
    "pipeline": ("task", "model", "tokenizer", "framework", "engine", "dtype", "batch_size"),
    "evaluate": (
        "model", "data", "task", "against", "engine", "dtype", "columns", "slices", "seed",
        "max_rows", "report", "predictions",
    ),
    "convert": ("source", "target", "to", "task", "dtype", "max_shard_size"),
    "save": ("folder", "tokenizer", "format", "max_shard_size"),
    "train": (
        "output", "seed", "optimizer.learning_rate", "batch.examples", "data.train",
        "data.columns", "data.max_length", "model.name", "task", "model", "data", "columns",
    ),
    "bench": ("name", "rows", "task", "labels", "dtypes", "rounds"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("door", "argument"), [(door, one) for door, several in ARGUMENTS.items() for one in several]
)
@settings(FEW, max_examples=2 * STATES)
@given(value=ODD)
def test_odd_arguments(house: House, door: str, argument: str, value: Any) -> None:
    # Nothing, which is allowed, trains on the whole; the working directory is a folder to write to.
    assume(value is not None or door != "train")
    assume(value != Path())
    with fresh(house):
        holds(lambda: house.doors()[door](**{argument: value}))


@pytest.mark.parametrize("command", ["info", "predict", "predict a file", "evaluate", "convert",
                                     "train", "distill", "bench"])  # fmt: skip
@FEW
@given(draw=st.data())
def test_commands(
    house: House, command: str, capsys: pytest.CaptureFixture[str], draw: st.DataObject
) -> None:
    path = draw.draw(st.sampled_from(house.files))
    with fresh(house), damaged(path, draw):
        runs(house.commands()[command], capsys)


@pytest.mark.parametrize("command", ["predict a file", "evaluate", "convert", "train"])
@FEW
@given(size=st.integers(0, 60_000))
def test_commands_without_room(
    house: House, command: str, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    with fresh(house), room_for(size):
        runs(house.commands()[command], capsys)
