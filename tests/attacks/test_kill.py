"""Saving that is killed, runs out of room, or is done twice at once: the old or the new, whole.

`DISTIL_KILLS=200 pytest tests/attacks/test_kill.py` is the long form; without it, each case is
killed a few times.

A child saves over a checkpoint and is killed right before one of its steps, or saves in a loop and
is killed at a random moment.  Children are forked from a process that has numpy only: forking
TensorFlow is not safe, and importing it for every kill would take all the time.  So most kills are
of `save_pretrained` as every model of either framework has it (`distil.checkpoints.pretrained`),
with weights from numpy; real PyTorch and TensorFlow models save in processes of their own, of which
there are fewer.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distil.checkpoints import save_checkpoint
from distil.checkpoints.pretrained import Pretrained
from distil.common.config import DistilBertConfig
from distil.errors import CheckpointError
from support.checkpoints import assert_same_bits, load, random_weights, save, tiny_config

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills and pipes are POSIX")

TASK = "sequence-classification"
KILLS = int(os.environ.get("DISTIL_KILLS", "0"))
# Without DISTIL_KILLS.
FEW, FEWEST = 6, 1

FORMATS: dict[str, dict[str, Any]] = {
    "safetensors": {"format": "safetensors"},
    "safetensors, shards": {"format": "safetensors", "max_shard_size": 2000},
    "tf-safetensors": {"format": "tf-safetensors"},
    "tf-safetensors, shards": {"format": "tf-safetensors", "max_shard_size": 2000},
    "h5": {"format": "h5"},
    "h5, shards": {"format": "h5", "max_shard_size": 2000},
    "bin": {"format": "bin"},
    "bin, shards": {"format": "bin", "max_shard_size": 2000},
}
WITHOUT_TORCH = [name for name in FORMATS if "bin" not in name]


class NumpyModel(Pretrained):
    """A model of neither framework: what `save_pretrained` needs of one."""

    task = TASK
    framework = "pt"
    weights_dtype = "float32"

    def __init__(self, config: DistilBertConfig, seed: int) -> None:
        self.config = config
        self.weights = random_weights(config, TASK, seed=seed)

    def named_arrays(self) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
        yield from self.weights.items()

    def own_weights(self) -> dict[str, Any]:
        return {}


CONFIG = tiny_config()
MODELS = [NumpyModel(CONFIG, seed) for seed in range(3)]


def which(folder: Path, config: DistilBertConfig | None = None) -> int:
    """Which of the models lies in the folder; fails unless it is one of them, whole."""
    found, match = load(folder, config or DistilBertConfig.from_pretrained(folder))
    match.report.check(name=str(folder))
    same = [
        number
        for number, model in enumerate(MODELS)
        if all(found[name].tobytes() == array.tobytes() for name, array in model.weights.items())
    ]
    assert len(same) == 1, sorted(folder.iterdir())
    return same[0]


def killed(save_on: Any, seconds: float) -> None:
    """Fork a child that calls `save_on` with 0, 1, 2 ..., and kill it after some time."""
    child = os.fork()
    if child == 0:
        try:
            for number in range(1_000_000):
                save_on(number)
        finally:
            os._exit(1)  # not reached but by an error
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "saving failed in the child"


def kill_all(folder: Path, options: dict[str, Any], writer: str, rounds: int) -> dict[str, int]:
    """Kill one save after another, each at a later step; how often each model was found after.

    A step is a change of the folder: a file made, renamed or removed.  So kills are spread over the
    whole save, and the model found is the old one up to some step and the new one from there on.
    """
    MODELS[0].save_pretrained(folder, **options)

    def save_new() -> None:
        if writer == "save_pretrained":
            MODELS[1].save_pretrained(folder, **options)
        else:
            save_checkpoint(folder, MODELS[1].weights.items(), config=CONFIG, task=TASK, **options)

    total = steps_of(save_new)
    seen: list[int] = []
    for turn in range(rounds):
        MODELS[0].save_pretrained(folder, **options)
        killed_at_step(save_new, turn * total // rounds)
        seen.append(which(folder))
    assert seen == sorted(seen), seen
    MODELS[0].save_pretrained(folder, **options)
    killed_at_step(save_new, total - 1)  # when all but the last leftover is removed
    assert which(folder) == 1
    # What kills left over does not disturb the next save.
    MODELS[0].save_pretrained(folder, **options)
    assert which(folder) == 0
    return {"steps": total, "old": seen.count(0), "new": seen.count(1)}


_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.truncate")


def _before_steps(reached: Any) -> None:
    """Call `reached` with the number of each change of a folder before it is made, from 0 on.

    An audit hook cannot be removed, so this is for a child that ends soon.
    """
    count = iter(range(1_000_000))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        written = event == "open" and isinstance(arguments[1], str) and arguments[1] != "r"
        if event in _CHANGES or (written and set(arguments[1]) & set("wax+")):
            reached(next(count))

    sys.addaudithook(hook)


def steps_of(save_once: Any) -> int:
    """How many steps a save has; it is made in a child."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _before_steps(lambda _: os.write(send, b"x"))
            save_once()
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as file:
        count = len(file.read())
    os.waitpid(child, 0)
    assert count > 3
    return count


def killed_at_step(save_once: Any, step: int) -> None:
    """Fork a child that saves, and kill it right before that step."""
    child = os.fork()
    if child == 0:
        try:
            _before_steps(lambda number: number == step and os.kill(os.getpid(), signal.SIGKILL))
            save_once()
        finally:
            os._exit(1)  # not reached but by an error
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"step {step} was not reached"


def test_kill(tmp_path: Path) -> None:
    check_kills(run_alone("kill", tmp_path, "numpy", KILLS or FEW), len(WITHOUT_TORCH))


@pytest.mark.pt
def test_kill_of_pickles(tmp_path: Path) -> None:
    """PyTorch itself is in the process that is forked: it pickles without threads."""
    seen = run_alone("kill", tmp_path, "torch", KILLS or FEW)
    check_kills(seen, len(FORMATS) - len(WITHOUT_TORCH))


def check_kills(seen: dict[str, Any], formats: int) -> None:
    """Both sides of the switch were hit, by two writers of each format."""
    assert len(seen) == 2 * formats
    for case, found in seen.items():
        assert found["old"], case
        assert found["new"], case


def run_alone(what: str, folder: Path, *arguments: Any) -> dict[str, Any]:
    """Run a function of this file in a process without the frameworks and threads of this one."""
    tests = str(Path(__file__).parents[1])
    code = (
        f"import sys; sys.path.insert(0, {tests!r}); from attacks import test_kill as t; t.main()"
    )
    command = [sys.executable, "-c", code, what, str(folder), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    print(what, *arguments, done.stdout.strip())
    return json.loads(done.stdout)


def main() -> None:
    """What `run_alone` runs."""
    what, place, *rest = sys.argv[1:]
    folder = Path(place) / "model"
    if what == "kill":
        names = [name for name in FORMATS if (name in WITHOUT_TORCH) == (rest[0] == "numpy")]
        seen: Any = {
            f"{name}, {writer}": kill_all(folder / name, FORMATS[name], writer, int(rest[1]))
            for name in names
            for writer in ("save_checkpoint", "save_pretrained")
        }
    elif what == "pair":
        seen = kill_pairs(folder, int(rest[0]))
    elif what == "two":
        seen = {
            f"{one} and {other}": two_writers(
                folder / one / other, FORMATS[one], FORMATS[other], int(rest[0])
            )
            for one, other in TWO
        }
    else:
        framework, name, rounds = rest
        seen = kill_models(folder, framework, FORMATS[name], int(rounds))
    print(json.dumps(seen))


# Models of the frameworks, in processes of their own ---------------------------------------------

SAVING = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from attacks.test_kill import CONFIG, FORMATS, MODELS, TASK
from support.models import build
framework, folder, options = sys.argv[2], Path(sys.argv[3]), eval(sys.argv[4])
models = [build(framework, CONFIG, TASK, model.weights, dtype="float32") for model in MODELS]
print("ready", flush=True)
for model in itertools.cycle(models):
    model.save_pretrained(folder, **options)
"""


def kill_models(
    folder: Path, framework: str, options: dict[str, Any], rounds: int
) -> dict[int, int]:
    """Kill processes in which models of a framework save themselves."""
    MODELS[0].save_pretrained(folder, **options)
    seen: dict[int, int] = {}
    choice = random.Random(0)
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", SAVING, tests, framework, str(folder), repr(options)]
    for _ in range(rounds):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            time.sleep(choice.uniform(0, 0.3))
            assert child.poll() is None
            child.kill()
        found = which(folder)
        seen[found] = seen.get(found, 0) + 1
    return seen


@pytest.mark.pt
def test_kill_of_a_torch_model(tmp_path: Path) -> None:
    run_alone("model", tmp_path, "pt", "safetensors", FEWEST)


@pytest.mark.tf
def test_kill_of_a_keras_model(tmp_path: Path) -> None:
    run_alone("model", tmp_path, "tf", "h5", FEWEST)


@pytest.mark.skipif(not KILLS, reason="the long form: DISTIL_KILLS=200")
@pytest.mark.parametrize(
    ("framework", "name"),
    [pytest.param("pt", name, marks=pytest.mark.pt) for name in FORMATS]
    + [
        pytest.param(
            "tf", name, marks=[pytest.mark.tf, *([pytest.mark.pt] if "bin" in name else [])]
        )
        for name in FORMATS
    ],
)
def test_kill_of_models(tmp_path: Path, framework: str, name: str) -> None:
    run_alone("model", tmp_path, framework, name, max(1, KILLS // 40))


# config.json and the weights --------------------------------------------------------------------


def kill_pairs(folder: Path, rounds: int) -> dict[str, int]:
    """Save models of different configurations over each other; how often each was found.

    Two files are not replaced in one step, but what a reader takes for the configuration is.
    """
    models = [
        NumpyModel(CONFIG, 0),
        NumpyModel(tiny_config(dim=12, num_labels=5), 1),
        NumpyModel(CONFIG.replace(dropout=0.3), 2),
    ]
    choice = random.Random(0)
    seen: Counter[str] = Counter()
    for turn in range(rounds):
        models[turn % 3].save_pretrained(folder)
        killed(
            lambda number: models[number % 3].save_pretrained(folder),
            choice.uniform(0, 0.03),
        )
        config = DistilBertConfig.from_pretrained(folder)
        number = next(
            number
            for number, model in enumerate(models)
            if (model.config.dim, model.config.dropout) == (config.dim, config.dropout)
        )
        found, match = load(folder, config)
        match.report.check(name="pair")
        assert_same_bits(found, models[number].weights)
        seen[str(number)] += 1
    return dict(seen)


def test_config_and_weights_belong_together(tmp_path: Path) -> None:
    seen = run_alone("pair", tmp_path, KILLS or FEW)
    assert sum(seen.values()) == (KILLS or FEW)


def test_shards_have_their_names_before_config_changes(tmp_path: Path) -> None:
    """So that a single rename, that of the index, separates the old pair from the new one."""
    MODELS[0].save_pretrained(tmp_path, max_shard_size=2000)
    old = {path.name for path in tmp_path.iterdir()}
    found: list[set[str]] = []

    def before() -> None:
        assert which(tmp_path) == 0
        found.append({path.name for path in tmp_path.iterdir() if path.suffix == ".safetensors"})

    save_checkpoint(
        tmp_path, MODELS[1].weights.items(), config=CONFIG, task=TASK, max_shard_size=2000,
        before_switch=before,
    )  # fmt: skip
    assert which(tmp_path) == 1
    after = {path.name for path in tmp_path.iterdir() if path.suffix == ".safetensors"}
    assert after < found[0]
    assert not after & old


# Two at once ------------------------------------------------------------------------------------


TWO = (
    ("safetensors", "safetensors"),
    ("safetensors, shards", "safetensors, shards"),
    ("safetensors", "h5"),
    ("safetensors, shards", "h5, shards"),
)


def two_writers(
    folder: Path, one: dict[str, Any], other: dict[str, Any], rounds: int
) -> dict[int, int]:
    """Let two processes save into one folder, begun at one moment; which of them was the last."""
    MODELS[0].save_pretrained(folder, **one)
    seen: dict[int, int] = {}
    for _ in range(rounds):
        children = []
        begin, ready = os.pipe()
        for number, options in enumerate((one, other), start=1):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    os.close(ready)
                    os.read(begin, 1)  # it ends once the other end is closed everywhere
                    for _ in range(3):
                        MODELS[number].save_pretrained(folder, **options)
                    status = 0
                finally:
                    os._exit(status)
            children.append(child)
        os.close(begin)
        os.close(ready)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0, "a writer failed"
        found = which(folder)
        seen[found] = seen.get(found, 0) + 1
    return seen


def test_two_writers(tmp_path: Path) -> None:
    for case, seen in run_alone("two", tmp_path, KILLS or FEW).items():
        assert set(seen) <= {"1", "2"}, case


# No room, no right ------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk; test_saving.py limits the size of files")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_full_disk(small_disk: Path, name: str) -> None:
    folder = small_disk / "model"
    MODELS[0].save_pretrained(folder, format="safetensors")
    space = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(bytes(space.f_bavail * space.f_bsize - 8192))
    before = sorted(folder.iterdir())
    with pytest.raises(CheckpointError, match="cannot be saved"):
        MODELS[1].save_pretrained(folder, **FORMATS[name])
    assert sorted(folder.iterdir()) == before
    assert which(folder) == 0
    (small_disk / "filler").unlink()


@pytest.mark.pt
@pytest.mark.parametrize("name", [name for name in FORMATS if "bin" in name])
def test_full_disk_of_pickles(small_disk: Path, name: str) -> None:
    test_full_disk(small_disk, name)


def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, CONFIG)
    before = load(tmp_path, CONFIG)[0]
    tmp_path.chmod(0o555)
    try:
        if os.geteuid() == 0:  # whom no folder stops
            monkeypatch.setattr(Path, "open", _refuse_to_write(Path.open))
        with pytest.raises(CheckpointError, match="cannot be saved"):
            save(tmp_path, CONFIG, seed=1)
    finally:
        tmp_path.chmod(0o755)
    monkeypatch.undo()
    assert_same_bits(load(tmp_path, CONFIG)[0], before)


def _refuse_to_write(opened: Any) -> Any:
    def refuse(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "w" in mode or "+" in mode:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, mode, *arguments, **options)

    return refuse
