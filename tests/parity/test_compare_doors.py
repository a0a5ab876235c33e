"""`compare` and `distil parity` in bad states, as in tests/attacks/test_doors.py."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from attacks.house import FEW, ODD, House, damaged, fresh, holds
from distil.cli import main

pytestmark = [
    pytest.mark.pt, pytest.mark.tf, pytest.mark.filterwarnings("ignore::distil.CheckpointWarning"),
]  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("house"))
    house.doors()["compare"]()
    return house


@FEW
@given(draw=st.data())
def test_damaged_files(house: House, draw: st.DataObject) -> None:
    path = draw.draw(st.sampled_from(house.files))
    with fresh(house), damaged(path, draw):
        holds(house.doors()["compare"])


@pytest.mark.parametrize(
    "argument", ["name", "task", "dtype", "texts", "tolerance", "rows", "revision", "num_labels"]
)
@FEW
@given(value=ODD)
def test_odd_arguments(house: House, argument: str, value: Any) -> None:
    assume(value is not None or argument == "name")  # which means the usual
    with fresh(house):
        holds(lambda: house.doors()["compare"](**{argument: value}))


@FEW
@given(draw=st.data())
def test_the_command(house: House, capsys: pytest.CaptureFixture[str], draw: st.DataObject) -> None:
    path = draw.draw(st.sampled_from(house.files))
    with fresh(house), damaged(path, draw):
        status = main(house.commands()["parity"])
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert status == 0 or (status == 2 and "error: " in said.err)
