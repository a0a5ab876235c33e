"""What is written for transformers' TensorFlow models, run with them and here.

See `pt/test_collection.py`, which does the same for PyTorch, tokenizers and configurations.  Here
no difference is meant.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import distil
from support.folders import make_folder

HERE = Path(__file__).parent
SNIPPETS = HERE / "collection" / "tensorflow.txt"
FOLDERS = {
    "enc": "base", "clf": "sequence-classification", "mlm": "masked-lm", "qa": "question-answering",
    "ner": "token-classification", "mc": "multiple-choice",
}  # fmt: skip
TITLES = re.findall(r"^# (.*)", SNIPPETS.read_text(encoding="utf-8"), re.M)

pytestmark = pytest.mark.tf


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    pytest.importorskip("transformers")
    pytest.importorskip("tf_keras")
    root = tmp_path_factory.mktemp("collection")
    for name, task in FOLDERS.items():
        folder = make_folder(root / name, task)
        tokenizer = distil.DistilBertTokenizerFast(folder / "vocab.txt", model_max_length=40)
        tokenizer.save_pretrained(folder)
    runs = {}
    for library, legacy in (("transformers", {"TF_USE_LEGACY_KERAS": "1"}), ("distil", {})):
        environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"} | legacy
        runs[library] = subprocess.Popen(
            [sys.executable, HERE / "tf" / "collection_runner.py", library, SNIPPETS, root,
             root / f"{library}.json"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    for run in runs.values():
        said, _ = run.communicate()
        assert run.returncode == 0, said
    return {library: json.loads((root / f"{library}.json").read_text()) for library in runs}


def same(one, other):
    if isinstance(one, float) or isinstance(other, float):
        return one == pytest.approx(other, rel=1e-5, abs=1e-5)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("title", TITLES)
def test_snippet(title, found):
    theirs, ours = found["transformers"][title], found["distil"][title]
    assert "result" in theirs, theirs["error"]
    assert "result" in ours, ours["error"]
    assert same(ours["result"], theirs["result"]), (ours, theirs)
