"""Saving and going on, with kills and full disks drawn at random: the old or the new, whole.

A folder as a training has it: the state that training goes on from, and the model's checkpoint.
hypothesis draws what is saved, in which format, at which line of distil's code the saving process
is killed, and at how many bytes its disk is full.  Each save is made in a forked child; so all of
it runs in a process that has loaded no framework.  `DISTIL_KILLS=200` draws more.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import distil
from distil.errors import CheckpointError
from distil.training.checkpoints import load_state, remove_leftovers, save_state
from support.checkpoints import load, random_weights, save, tiny_config

resource = pytest.importorskip("resource")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are POSIX")

ROUNDS = int(os.environ.get("DISTIL_KILLS", "15"))
CODE = str(Path(distil.__file__).parent)
CONFIG, TASK = tiny_config(), "sequence-classification"
SAVED, REFUSED, BROKEN = 0, 3, 4
FORMATS = ("safetensors", "tf-safetensors", "h5")
SIZES = (None, 2000, 6000)

seeds = st.integers(0, 9)
# Saving a model takes 3,000 to 7,000 lines and some thousand bytes; a state, a hundred and 1,000.
lines, lines_of_state = st.integers(1, 7000), st.integers(1, 110)
bytes_left, bytes_of_state = st.integers(0, 12_000), st.integers(0, 1500)


def in_child(work, *, kill_at=None, space=None):
    """Call `work` in a child: how it ended, and whether it was killed."""
    child = os.fork()
    if child == 0:
        status = BROKEN
        try:
            if space is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (space, resource.RLIM_INFINITY))
            if kill_at is not None:
                sys.settrace(killer(kill_at))
            work()
            status = SAVED
        except CheckpointError as error:
            status = REFUSED if "cannot be saved" in str(error) else BROKEN
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {SAVED, REFUSED, -signal.SIGKILL}, status
    return status


def killer(line):
    """A trace function that kills the process at the so-many-th line of distil's code."""
    left = line

    def trace(frame, event, _):
        nonlocal left
        if not frame.f_code.co_filename.startswith(CODE):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def state_of(seed):
    random = np.random.default_rng(seed)
    return {f"weight/{n}": random.standard_normal((seed + 1, n + 2)) for n in range(4)}


class Folder(RuleBasedStateMachine):
    """What a training writes, and what is to be found of it.

    `state` and `model` are the seeds of what may be there: one that was saved, two after a kill.
    """

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="states-"))
        self.state, self.model = {None}, set()
        self.save_model(0, "safetensors", None)

    def save_model(self, seed, kind, size, **how):
        options = {"format": kind, "max_shard_size": size, "seed": seed}
        self.model = self.after(self.model, seed, in_child(
            lambda: save(self.folder, CONFIG, TASK, **options), **how
        ))  # fmt: skip

    def save_training(self, seed, **how):
        info = {"position": {"step": seed}, "identity": {}}
        self.state = self.after(self.state, seed, in_child(
            lambda: save_state(self.folder, state_of(seed), info), **how
        ))  # fmt: skip

    @staticmethod
    def after(before, seed, status):
        return {SAVED: {seed}, REFUSED: before}.get(status, before | {seed})

    @rule(seed=seeds, kind=st.sampled_from(FORMATS), size=st.sampled_from(SIZES))
    def model_is_saved(self, seed, kind, size):
        self.save_model(seed, kind, size)

    @rule(seed=seeds, kind=st.sampled_from(FORMATS), size=st.sampled_from(SIZES), line=lines)
    def saving_the_model_is_killed(self, seed, kind, size, line):
        self.save_model(seed, kind, size, kill_at=line)

    @rule(seed=seeds, kind=st.sampled_from(FORMATS), size=st.sampled_from(SIZES), space=bytes_left)
    def no_room_for_the_model(self, seed, kind, size, space):
        self.save_model(seed, kind, size, space=space)

    @rule(seed=seeds)
    def state_is_saved(self, seed):
        self.save_training(seed)

    @rule(seed=seeds, line=lines_of_state)
    def saving_the_state_is_killed(self, seed, line):
        self.save_training(seed, kill_at=line)

    @rule(seed=seeds, space=bytes_of_state)
    def no_room_for_the_state(self, seed, space):
        self.save_training(seed, space=space)

    @rule()
    def training_is_started_again(self):
        remove_leftovers(self.folder)
        assert not list(self.folder.glob(".checkpoint*"))

    @invariant()
    def the_state_is_whole(self):
        if not hasattr(self, "folder"):
            return
        found = load_state(self.folder)
        seed = None if found is None else found[1]["position"]["step"]
        assert seed in self.state
        self.state = {seed}
        if found is not None:
            expected = state_of(seed)
            assert found[0].keys() == expected.keys()
            assert all((found[0][name] == expected[name]).all() for name in expected)

    @invariant()
    def the_model_is_whole(self):
        if not hasattr(self, "folder"):
            return
        found, match = load(self.folder, CONFIG, TASK)
        match.report.check(name=str(self.folder))
        same = [seed for seed in self.model if all(
            found[name].tobytes() == array.tobytes()
            for name, array in random_weights(CONFIG, TASK, seed=seed).items()
        )]  # fmt: skip
        assert len(same) == 1, (same, self.model, sorted(self.folder.iterdir()))
        self.model = set(same)

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


def main():
    run_state_machine_as_test(
        Folder,
        settings=settings(
            max_examples=ROUNDS, stateful_step_count=12, deadline=None, database=None,
            derandomize=ROUNDS == 15, suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # to make a failure small takes minutes
        ),
    )  # fmt: skip


def test_what_is_found_is_whole():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from unit import test_saving_states as t; t.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=3600
    )
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-3000:]
