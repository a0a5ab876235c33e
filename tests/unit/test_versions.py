"""The lowest versions that are tested are those that pyproject.toml admits."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TOOLS = ("dev", "docs")  # nothing that runs with distil
EXTRAS = [name for name in PROJECT["optional-dependencies"] if name not in TOOLS]


def floors(requirements):
    """The lowest version of each requirement, all of which have to have one."""
    found = [re.fullmatch(r"([\w-]+)>=([\d.]+)", each) for each in requirements]
    assert all(found), requirements
    return {each[1].lower(): numbers(each[2]) for each in found}


def numbers(version):
    """1.26.0 and 1.26 are one version."""
    return re.sub(r"(\.0)+$", "", version)


def pins(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {
        package.lower().replace("_", "-"): numbers(version)
        for package, _, version in (line.partition("==") for line in lines)
        if version
    }


@pytest.mark.parametrize("extra", [None, *EXTRAS])
def test_the_lowest_versions_are_those_that_are_admitted(extra):
    asked = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    expected = floors(each for each in asked if not each.startswith("distil["))
    found = pins("constraints-lowest.txt")
    assert {name: found.get(name) for name in expected} == expected


def test_every_environment_pins_what_distil_asks_for():
    asked = [*PROJECT["dependencies"]]
    for extra in EXTRAS:
        asked += [one for one in PROJECT["optional-dependencies"][extra] if "distil[" not in one]
    for name in ("constraints.txt", "constraints-lowest.txt"):
        assert floors(asked).keys() <= pins(name).keys()
