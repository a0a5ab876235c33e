"""What becomes of an attack when a guard is taken away: each in a bounded process of its own.

    PYTHONPATH=tests:src python -m attacks.without      # writes docs/attacks.md

The processes are forked from one that has imported what reads the files, but neither TensorFlow
nor, where it is not needed, PyTorch.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from attacks.doors import WHERE
from attacks.guards import GUARDS
from attacks.table import ATTACKS, Attack

_SECONDS_OF_WORK = 10
_LOOKS = 15  # of a fifth of a second
_MORE_MEMORY = 800 * 1024 * 1024


def cases(*, with_torch: bool) -> list[tuple[int, Attack, str]]:
    """The number of each attack, the attack, and a guard (or two, with + between) to take away."""
    return [
        (number, attack, guard)
        for number, attack in enumerate(ATTACKS)
        for guard in attack.guards
        if (attack.about == "bin") == with_torch
    ]


def outcomes(*, with_torch: bool) -> dict[tuple[int, str], str]:
    """What happens, by the number of the attack and the guard that is gone."""
    command = [sys.executable, "-c", "from attacks.without import serve; serve()"]
    tests = str(Path(__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, *filter(None, sys.path)])}
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(
            [*command, place, str(int(with_torch))], capture_output=True, text=True, check=False,
            env=environment, cwd=place,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return {(number, guard): text for number, guard, text in json.loads(done.stdout)}


def serve() -> None:
    """What `outcomes` runs."""
    place, with_torch = Path(sys.argv[1]), sys.argv[2] == "1"
    if with_torch:
        __import__("torch").set_num_threads(1)
    from attacks import made
    from attacks.doors import enter

    found: list[tuple[int, str, str]] = []
    for door in ("DistilBertConfig", "open_checkpoint"):
        enter(door, made._whole("bin" if with_torch else "safetensors", False))
    for number, attack, guard in cases(with_torch=with_torch):
        folder = place / f"{number} {guard}" / "model"
        folder.mkdir(parents=True)
        attack.make(folder)
        found.append((number, guard, _outcome(attack, guard, folder)))
    print(json.dumps(found))


def _outcome(attack: Attack, guard: str, folder: Path) -> str:
    """What a forked child says, or what became of it."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(receive)
            os.write(send, _attempt(attack, guard, folder).encode("utf-8", "replace")[:2000])
        finally:
            os._exit(0)
    os.close(send)
    waiting = _waits(child, receive)
    if waiting:
        os.kill(child, signal.SIGKILL)
    text = os.read(receive, 4000).decode()
    os.close(receive)
    _, status = os.waitpid(child, 0)
    if waiting:
        return "waits forever"
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return "runs forever" if name in ("SIGXCPU", "SIGKILL") else f"crashes ({name})"
    return text or "ends the process"


def _waits(child: int, receive: int) -> bool:
    """Whether the child sleeps without end, before it has said anything."""
    asleep = 0
    while not select.select([receive], [], [], 0.2)[0]:
        state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        asleep = asleep + 1 if state == "S" else 0
        if asleep > _LOOKS:
            return True
    return False


def _attempt(attack: Attack, guard: str, folder: Path) -> str:
    from attacks import guard as watch
    from attacks.doors import enter
    from distil.errors import DistilError

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MORE_MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS_OF_WORK + int(sum(os.times()[:2])),) * 2)
    os.chdir(folder.parent)
    seen: list[str] = []
    for one in guard.split(" + "):
        GUARDS[one][1]()
    watch._inside.append(folder.resolve())
    watch._watching.append(seen)
    try:
        enter(WHERE[attack.about][0], folder)
        text = "loads"
    except DistilError as error:
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        cause = f"{error.found} {error}"
        if "MemoryError" in cause or "allocate" in cause:
            text = "takes all memory"
        elif "_unpickled" in frames:
            text = "PyTorch refuses it"
        else:
            text = f"“{error.problem.replace(str(folder), '')[:60]}”"
    except MemoryError:
        text = "takes all memory"
    except BaseException as error:
        text = f"a raw {type(error).__name__}"
    if (folder.parent / "proof").exists() or any(map(_is_code, [*seen, *sys.modules])):
        return "runs the file's code"
    return text + ", with another file's bytes" * any(one.startswith("open of") for one in seen)


def _is_code(event: str) -> bool:
    return event.startswith(("subprocess.", "os.system", "os.exec", "import of", "attack_"))


Outcomes = dict[tuple[int, str], str]


def table(found: Outcomes) -> list[str]:
    """The rows of the documentation's table for these outcomes."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for number, attack in enumerate(ATTACKS):
        name, _, form = attack.name.partition(", ")
        for guard in attack.guards:
            if (number, guard) in found:
                what = "no harm done" if attack.says is None else f"“{attack.says}”"
                row = (attack.about, name, what, guard, found[number, guard])
                lines.setdefault(row, []).append(form)
    return [
        "| " + " | ".join(map(_cell, (about, _named(name, forms), *rest))) + " |"
        for (about, name, *rest), forms in lines.items()
    ]


def _named(name: str, forms: list[str]) -> str:
    """An attack's name, said once for several forms that come to the same."""
    return f"{name}, {' and '.join(forms)}" if any(forms) else name


def _cell(text: str) -> str:
    return text.replace("|", " or ").replace("\\", "").replace("`", "").replace("\0", "NUL")


def guards() -> list[str]:
    """The rows of the documentation's table of guards."""
    return [f"| {name} | {does} |" for name, (does, _) in GUARDS.items()]


PAGE = Path(__file__).parents[2] / "docs" / "attacks.md"
_START, _END = "<!-- made by tests/attacks/without.py -->", "<!-- end -->"


def versions() -> str:
    """What the outcomes of the second table depend on."""
    packages = ("torch", "h5py", "numpy")
    return ", ".join(f"{name} {version(name) if find_spec(name) else None}" for name in packages)


def page(found: Outcomes) -> str:
    """The documentation's page with its tables made anew."""
    before, _, rest = PAGE.read_text().partition(_START)
    after = rest.partition(_END)[2]
    tables = [
        "", "## Guards", "", "| guard | what it sees to |", "|---|---|", *guards(), "",
        "## Attacks", "", f"Outcomes without the guard: {versions()}.", "",
        "| in | attack | the error says | guard | without it |", "|---|---|---|---|---|",
        *table(found), "",
    ]  # fmt: skip
    return before + _START + "\n".join(tables) + _END + after


if __name__ == "__main__":
    PAGE.write_text(page(outcomes(with_torch=False) | outcomes(with_torch=True)))
