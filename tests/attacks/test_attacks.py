"""Every attack of the table, through every door: one clear error, or no harm at all."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attacks.doors import WHERE, enter
from attacks.guard import watched
from attacks.table import ATTACKS, Attack
from distil.errors import CheckpointError, ConfigError, DistilError, TokenizerError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watches Linux's /proc and pipes")

_LONGEST_MESSAGE = 4000


def _cases(framework: str) -> list[object]:
    """Pairs of attack and door, those that need the framework or (for "") none."""
    cases = []
    for attack in ATTACKS:
        for door in WHERE[attack.about]:
            needs = {door[-2:]} & {"pt", "tf"} | ({"pt"} if attack.about == "bin" else set())
            marks = [getattr(pytest.mark, name) for name in sorted(needs)]
            name = f"{door}: {attack.about}: {attack.name}"
            if framework in needs or (not framework and not needs):
                cases.append(pytest.param(attack, door, marks=marks, id=name))
    return cases


def test_names_are_told_apart() -> None:
    names = [(attack.about, attack.names, attack.name) for attack in ATTACKS]
    assert len(set(names)) == len(names)
    print(f"{len(ATTACKS)} attacks, {sum(len(WHERE[one.about]) for one in ATTACKS)} with doors")


@pytest.mark.parametrize(("attack", "door"), _cases(""))
def test_attack(tmp_path: Path, attack: Attack, door: str) -> None:
    check(tmp_path, attack, door)


@pytest.mark.parametrize(("attack", "door"), _cases("pt"))
def test_attack_with_torch(tmp_path: Path, attack: Attack, door: str) -> None:
    __import__("distil.pt")  # imported before the clock starts
    check(tmp_path, attack, door)


@pytest.mark.parametrize(
    ("attack", "door"), [c for c in _cases("tf") if c.values[0].about != "bin"]
)
def test_attack_with_tensorflow(tmp_path: Path, attack: Attack, door: str) -> None:
    __import__("distil.tf")
    check(tmp_path, attack, door)


def check(place: Path, attack: Attack, door: str) -> None:
    folder = place / "model"
    folder.mkdir()
    attack.make(folder)
    before = sorted(place.rglob("*"))
    _warm_up(door, attack, place)
    with watched(folder):
        try:
            enter(door, folder)
            error = None
        except DistilError as raised:
            error = raised
    assert sorted(place.rglob("*")) == before, "loading left something behind"
    if attack.says is None:
        assert error is None, str(error)
        return
    assert error is not None, "was taken for good"
    text = str(error)
    assert len(text) < _LONGEST_MESSAGE
    assert error.fix or error.expected or error.found, text
    if door == "info" and type(error) is DistilError:
        return
    assert isinstance(error, CheckpointError | ConfigError | TokenizerError)
    assert re.search(attack.says, text), text
    assert str(folder) in text or attack.about == "tokenizer", text
    assert attack.names in text, text


_warm: set[str] = set()


def _warm_up(door: str, attack: Attack, place: Path) -> None:
    """Go through a door with a whole checkpoint once: what is opened only then is no attack's."""
    from attacks import made

    kind = f"{door} {attack.about}"
    if kind not in _warm:
        _warm.add(kind)
        enter(door, made._whole("bin" if attack.about == "bin" else "safetensors", False))


STRACED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from attacks.doors import WHERE, enter
from attacks.table import ATTACKS
from attacks import made
from distil.errors import DistilError, FrameworkError
place = Path(sys.argv[2])
made_of = {}
for number, attack in enumerate(ATTACKS):
    (place / str(number) / "model").mkdir(parents=True)
    try:
        attack.make(place / str(number) / "model")
        made_of[number] = attack
    except FrameworkError:
        pass  # it begins as a .bin, which takes PyTorch to write
doors = {about: [door for door in doors if door[-2:] not in ("pt", "tf")]
         for about, doors in WHERE.items() if about != "bin"}
for about in doors:
    for door in doors[about]:
        enter(door, made._whole("safetensors", False))
Path("/attacks-begin").exists()
for number, attack in made_of.items():
    for door in doors.get(attack.about, ()):
        try:
            enter(door, place / str(number) / "model")
        except DistilError:
            pass
Path("/attacks-end").exists()
"""


@pytest.mark.pt  # which makes some of the attacks
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_system_calls(tmp_path: Path) -> None:
    """The same seen from outside: no file of others is opened and no socket is."""
    trace = tmp_path / "trace"
    place = tmp_path / "place"
    tests = str(Path(__file__).parents[1])
    command = ["strace", "-f", "-s", "4096", "-e", "trace=file,network", "-o", str(trace),
               sys.executable, "-P", "-c", STRACED, tests, str(place)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if "Operation not permitted" in done.stderr:
        pytest.skip("the system does not let strace look")
    assert done.returncode == 0, done.stderr[-2000:]
    between = trace.read_text().partition('"/attacks-begin"')[2].partition('"/attacks-end"')[0]
    assert between.count("openat(") > 100
    allowed = (
        str(place), sys.prefix, sys.base_prefix, str(Path(tests).parent), "/proc/", "/sys/",
    )  # fmt: skip
    for line in between.splitlines():
        call = re.match(r"\d+ +(\w+)\(", line)
        assert call is None or call[1] not in ("socket", "connect", "execve", "sendto"), line
        opened = re.match(r'\d+ +open(?:at)?\((?:AT_FDCWD, )?"([^"]*)"', line)
        if opened:
            inside = opened[1].startswith(allowed) and not re.search("secret|outside/", opened[1])
            assert inside, line
