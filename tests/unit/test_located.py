"""A checkpoint is found, configured and opened once, whatever is done with it."""

import json
import subprocess
import sys

import pytest

from distil.checkpoints import located
from distil.checkpoints.located import locate
from distil.checkpoints.trained_head import missing_head
from distil.common.tasks import TASKS
from distil.errors import CheckpointError
from support.folders import make_folder

TASK = "sequence-classification"

# Counts what the operating system is asked for, not calls of functions that may be renamed.
COUNT = """
import collections, json, os, sys
import distil
from distil.storage import hub

folder, target, framework = sys.argv[1:]
counts = collections.Counter()
snapshot = hub.snapshot

def counted(*arguments, **options):
    counts["snapshots"] += 1
    return snapshot(*arguments, **options)

hub.snapshot = counted

def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        place, name = os.path.split(arguments[0])
        if place == folder and name in ("config.json", "model.safetensors"):
            counts[name] += 1

sys.addaudithook(hook)
verbs = {
    "info": lambda: distil.info(folder),
    "convert": lambda: distil.convert(folder, target, "tf"),
}
if framework != "none":
    verbs["load"] = lambda: distil.load(folder, framework=framework)
    verbs["packed"] = lambda: distil.load(folder, framework=framework, engine="packed")
    verbs["pipeline"] = lambda: distil.pipeline(model=folder, framework=framework)
found = {}
for name, verb in verbs.items():
    counts.clear()
    verb()
    found[name] = dict(counts)
print(json.dumps(found))
"""
ONCE = {"snapshots": 1, "config.json": 1, "model.safetensors": 1}


FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]


@pytest.mark.parametrize("framework", ["none", *FRAMEWORKS])
def test_once_each(framework, tmp_path):
    folder = make_folder(tmp_path / "source", TASK)
    command = [sys.executable, "-W", "ignore", "-c", COUNT]
    ran = subprocess.run(
        [*command, str(folder), str(tmp_path / "target"), framework],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(ran.stdout)
    assert len(found) == (2 if framework == "none" else 5)
    assert found == dict.fromkeys(found, ONCE)


def test_a_match_is_made_once_for_each_model(tmp_path, monkeypatch):
    made = []
    match = located.match_weights

    def counted(checkpoint, config, task):
        made.append((task, config.num_labels))
        return match(checkpoint, config, task)

    monkeypatch.setattr(located, "match_weights", counted)
    with locate(make_folder(tmp_path, TASK, num_labels=2)) as found:
        first = found.match(TASK)
        assert found.match(TASK) is first
        assert missing_head(found, TASKS[TASK]) is None
        assert found.match(TASK, found.config.replace()) is first
        assert made == [(TASK, 2)]
        wider = found.match(TASK, found.config.replace(num_labels=3))
        assert [one.name for one in wider.report.mismatched] == [
            "classifier.weight", "classifier.bias",
        ]  # fmt: skip
        assert missing_head(found, TASKS[TASK]) is None  # of the checkpoint, not of that model


def test_files_are_opened_when_they_are_needed_and_closed(tmp_path):
    folder = make_folder(tmp_path, TASK)
    with locate(folder) as found:
        assert "checkpoint" not in vars(found)
    (folder / "model.safetensors").unlink()
    assert locate(folder).task.name == TASK  # config.json alone says it
    folder = make_folder(tmp_path / "h5", TASK, format="h5")
    with locate(folder) as found:
        tensor = next(iter(found.checkpoint.tensors.values()))
        tensor.read()
    with pytest.raises(CheckpointError, match="is closed"):
        tensor.read()
