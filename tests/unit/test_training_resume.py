"""Training that is killed ends, once it is started again, with the weights it would have had.

A child trains with dropout and random masks, and kills itself in the middle.  Another goes on
from what it left, and is compared with one that nobody disturbed, bit for bit.  Each is a process
of its own: what else a process has loaded may change how PyTorch rounds.
"""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import distil
from distil import training
from distil.training import train
from distil.training.log import read_log
from support.training import make_recipe

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]

pytestmark = [
    pytest.mark.filterwarnings("ignore::distil.CheckpointWarning"),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills are POSIX"),
]

CHILD = """
import json, os, signal, sys, warnings
import distil.training.checkpoints as checkpoints
from distil.training import distill, train

warnings.simplefilter("ignore")
table, kill_at, while_saving = json.loads(sys.argv[1])

def listen(progress):
    print(progress.step, flush=True)
    if progress.step == kill_at and not while_saving:
        os.kill(os.getpid(), signal.SIGKILL)

add, added = checkpoints.SafetensorsWriter.add, []

def write(self, name, array):
    added.append(name)
    if while_saving and added.count(name) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, name, array)

checkpoints.SafetensorsWriter.add = write
(distill if table["teacher"] else train)(table, listener=listen)
"""


def run(recipe, kill_at=0, *, while_saving=False):
    """Train in a child: its exit status, and the steps that it took.

    Args:
        recipe: What to do.
        kill_at: After so many steps the child is killed; 0 lets it end.
        while_saving: It is killed within its second checkpoint.
    """
    job = json.dumps([recipe.to_table(), kill_at, while_saving])
    source = str(Path(distil.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, job],
        env={**os.environ, "PYTHONPATH": source}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, [int(line) for line in done.stdout.split()]


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("task", ["sequence-classification", "masked-lm", "distillation"])
def test_the_same_weights_after_a_kill(task, framework, tmp_path):
    changes = {
        "checkpoints.every": 3, "checkpoints.model": "last", "batch.examples": 3,
        "batch.accumulation": 2, "log.every": 2,
    }  # fmt: skip
    train = training.train
    if task == "distillation":
        task, train = "masked-lm", training.distill
        changes |= {
            "model.name": None, "teacher.name": str(tmp_path / "model"),
            "distillation.alpha_hidden": 1.0, "distillation.linear_map": True,
        }  # fmt: skip
    recipe = make_recipe(tmp_path, task, framework, **changes)
    other = recipe.replace(output=str(tmp_path / "killed"))
    _, steps = run(recipe)
    assert len(steps) > 10
    kill_at = random.randint(4, len(steps) - 1)  # whichever it is, the result is the same
    assert run(other, kill_at) == (-signal.SIGKILL, steps[:kill_at])
    # The step that the listener is told of is not in a checkpoint yet.
    assert run(other) == (0, steps[(kill_at - 1) // 3 * 3 :])
    # What is done already is not done again.
    whole, resumed = train(recipe), train(other)
    assert weights(resumed.folder) == weights(whole.folder)
    assert resumed.metrics == whole.metrics
    assert resumed.tokens == whole.tokens

    def curve(folder):
        points = read_log(folder)
        return [{n: x for n, x in p.items() if n != "tokens_per_second"} for p in points]

    assert curve(resumed.folder) == curve(whole.folder)


@pytest.mark.pt
def test_a_kill_while_a_checkpoint_is_written(tmp_path):
    recipe = make_recipe(
        tmp_path, "sequence-classification", "pt",
        **{"checkpoints.every": 2, "checkpoints.model": "last"},
    )  # fmt: skip
    other = recipe.replace(output=str(tmp_path / "killed"))
    run(recipe)
    assert run(other, while_saving=True)[0] == -signal.SIGKILL
    assert run(other)[1][0] == 3
    whole, resumed = train(recipe), train(other)
    assert weights(resumed.folder) == weights(whole.folder)
    assert not list(resumed.folder.glob(".*"))
