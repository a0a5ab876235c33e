"""Two processes that train together end where one ends that trains alone, whatever happens.

They are started as torchrun and TF_CONFIG start workers.  Each pair of processes takes seconds to
start, so there are two for each framework: one whose first worker is killed in its second
training, and one that goes on with that.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

import distil
from distil.training import distill, train
from distil.training.log import read_log
from support import train_together
from support.models import NO_DROPOUT
from support.training import make_recipe

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]

pytestmark = [
    pytest.mark.filterwarnings("ignore::distil.CheckpointWarning"),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills are POSIX"),
]

KILL_AT = 5
STOP_AT = 3

# What was asked for; seen is 1e-12.
TOLERANCE = 1e-5


def free_port():
    """A port that nothing listens on, and below those that systems give out by themselves.

    Nothing holds it until the worker binds it, so that it must not be one which any connection
    of any process may get in the meantime.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as found:
            try:
                found.bind(("localhost", port))
            except OSError:
                continue
            return port
    raise AssertionError("100 ports are in use")


def environments(framework):
    """What is set for two workers on this machine."""
    if framework == "pt":
        common = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port())}
        return [{**common, "RANK": rank, "LOCAL_RANK": rank} for rank in "01"]
    cluster = {"worker": [f"localhost:{free_port()}" for _ in range(2)]}
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    return [{"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})} for task in tasks]


class Together:
    """Two workers at work.

    Args:
        folder: For what they are told.
        framework: That they train in.
        recipes: Pairs of recipe and the step after which the first worker is killed, or 0.
        command: A command line that they have after that.
        interrupted: One that they have before, and that is stopped after step 3.
    """

    def __init__(self, folder, framework, recipes, command=None, interrupted=None):
        path = folder / "work.json"
        tables = [(recipe.to_table(), kill_at) for recipe, kill_at in recipes]
        work = {"recipes": tables, "command": command, "interrupted": interrupted}
        path.write_text(json.dumps({**work, "stop_at": STOP_AT}))
        source = str(Path(distil.__file__).parents[1])
        self.processes = [
            subprocess.Popen(
                [sys.executable, train_together.__file__, framework, path],
                env={**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1", **environment},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for environment in environments(framework)
        ]  # fmt: skip

    def end(self):
        """Exit statuses, what each printed of its trainings, and what it wrote to stderr."""
        said = [process.communicate(timeout=600) for process in self.processes]
        statuses = [process.returncode for process in self.processes]
        lines = [[json.loads(line) for line in out.splitlines()] for out, _ in said]
        return statuses, lines, [errors for _, errors in said]


def weights(folder):
    return load_file(folder / "model.safetensors")


def curve(folder):
    """Points without what depends on the time."""
    points = read_log(folder)
    return [{n: x for n, x in point.items() if n != "tokens_per_second"} for point in points]


def assert_same(one, other):
    """The same curve, metrics and weights in two folders."""
    points = curve(one), curve(other)
    assert len(points[0]) == len(points[1]) > 8
    for first, second in zip(*points, strict=True):
        assert first == pytest.approx(second, rel=TOLERANCE, abs=TOLERANCE)
    arrays = weights(one), weights(other)
    assert arrays[0].keys() == arrays[1].keys()
    for name, array in arrays[0].items():
        assert array.dtype == arrays[1][name].dtype == np.float64
        np.testing.assert_allclose(array, arrays[1][name], rtol=0, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_two_are_as_good_as_one(framework, tmp_path):
    changes = {
        # 20 rows: a last batch of two rows, and a last step of one batch.
        "batch.examples": 3, "batch.accumulation": 2, "precision": "float64",
        "model.config": NO_DROPOUT, "checkpoints.every": 2, "checkpoints.model": "last",
        "log.every": 1, "data.cache": str(tmp_path / "cache"),
    }  # fmt: skip
    plain = make_recipe(tmp_path, "sequence-classification", framework, rows=20, **changes)
    words = tmp_path / "words"
    words.mkdir()
    taught = make_recipe(
        words, "masked-lm", framework, rows=20,
        **changes, **{
            "model.name": None, "teacher.name": str(words / "model"),
            "distillation.alpha_hidden": 1.0, "distillation.alpha_attention": 1.0,
            "distillation.linear_map": True,
        },
    )  # fmt: skip
    steps = list(range(1, 9))

    pair = Together(tmp_path, framework, [(plain, 0), (taught, KILL_AT)])
    alone = {}
    for name, recipe, run in (("plain", plain, train), ("taught", taught, distill)):
        output = str(tmp_path / f"{name}-alone")
        alone[name] = run(recipe, output=output, **{"data.cache": None})
    statuses, lines, errors = pair.end()
    assert statuses[0] == -signal.SIGKILL, errors
    assert statuses[1] not in {0, -signal.SIGKILL}  # it does not wait for ever
    assert "another worker has ended" in errors[1]
    assert "start all of them with the same command" in errors[1]
    (first,), (second,) = lines
    assert first["metrics"] == second["metrics"]
    assert first["metrics"] == pytest.approx(alone["plain"].metrics, rel=1e-9)
    assert first["tokens"] == second["tokens"] == alone["plain"].tokens
    assert first["steps"] == steps
    assert second["steps"] == []  # one progress bar
    assert first["tokenized"] == 2  # train and dev
    assert second["tokenized"] == 0
    assert first["checkpoints"] == 4
    assert second["checkpoints"] == 0
    assert_same(Path(plain.output), alone["plain"].folder)

    recipe_file = tmp_path / "recipe.yaml"
    recipe_file.write_text(yaml.safe_dump(plain.to_table()))
    command = [
        "train", str(recipe_file), f"output={tmp_path / 'bad'}", "optimizer.learning_rate=1e30",
        "schedule.warmup=0.0",
    ]  # fmt: skip
    stopped = plain.replace(output=str(tmp_path / "stopped"))
    recipe_file.with_name("stopped.yaml").write_text(yaml.safe_dump(stopped.to_table()))
    pair = Together(
        tmp_path, framework, [(taught, 0), (stopped, 0)], command,
        interrupted=["train", str(recipe_file.with_name("stopped.yaml"))],
    )  # fmt: skip
    statuses, ((was_stopped, first, went_on), (also_stopped, second, _)), errors = pair.end()
    assert was_stopped == also_stopped == 128 + signal.SIGTERM
    assert errors[0].count("training was interrupted after step 3 of 8, and saved in") == 1
    assert "interrupted" not in errors[1]
    assert "stopping after" not in errors[1]  # the first worker says so, if it is told
    assert went_on["steps"] == steps[STOP_AT:]
    assert_same(Path(stopped.output), alone["plain"].folder)
    assert first["steps"] == steps[KILL_AT - 1 :]  # the last checkpoint is that of step 4
    assert second["steps"] == []
    assert_same(Path(taught.output), alone["taught"].folder)
    assert not list(Path(taught.output).glob(".*"))
    assert statuses == [2, 2], errors
    assert errors[0].count("error: ") == 2  # the interruption was the other
    assert "not finite" in errors[0]
    assert "error: " not in errors[1]
