"""What README.md shows is run, in the order in which it is shown."""

import gzip
import re
import shlex
import shutil
from itertools import islice
from pathlib import Path

import pytest

from distil import benchmarking
from distil.benchmarking.entrants import ways
from support.models import build, config_for

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ distil (.*?)(?:  +#.*)?$", README, re.MULTILINE)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["one", "text", "another", "a", "fine", "film", "."]


def marks(block):
    found = {'framework="pt"': [pytest.mark.pt], 'framework="tf"': [pytest.mark.tf]}
    both = [pytest.mark.pt, pytest.mark.tf]
    return next((marks for words, marks in found.items() if words in block), both)


def write_checkpoint(folder, framework, task):
    config = config_for(task, num_labels=2, max_position_embeddings=128)
    build(framework, config, task, dtype="float32").save_pretrained(folder)
    words = [*SPECIAL, *WORDS]
    words += [f"[unused{number}]" for number in range(config.vocab_size - len(words))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")


def write_data(folder):
    """The recipes, and a few rows for the one that is shown."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    table = "sentence\tlabel\n" + "a fine film .\t1\nanother text\t0\n" * 3
    (folder / "my-data" / "sst2").mkdir(parents=True)
    (folder / "my-data/sst2/dev.tsv").write_text(table)
    (folder / "my-data/sst2/train.tsv.gz").write_bytes(gzip.compress(table.encode()))


@pytest.mark.parametrize(
    "block", [pytest.param(b, marks=marks(b), id=f"block {i}") for i, b in enumerate(BLOCKS, 1)]
)
def test_python(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    framework = "tf" if 'framework="tf"' in block else "pt"
    task = "masked-lm" if "MaskedLM" in block else "sequence-classification"
    write_checkpoint(tmp_path / "my-checkpoint", framework, task)
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.pt
@pytest.mark.tf
@pytest.mark.parametrize("command", COMMANDS)
def test_command(command, tmp_path, monkeypatch, capsys):
    from distil.cli import main

    monkeypatch.chdir(tmp_path)
    # `bench` starts a process for each way; two are enough here.
    monkeypatch.setattr(benchmarking, "ways", lambda *given: islice(ways(*given), 2))
    write_checkpoint(tmp_path / "my-checkpoint", "pt", "sequence-classification")
    write_data(tmp_path)
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out


def test_there_is_something_to_run():
    assert len(BLOCKS) == 5
    assert len(COMMANDS) == 7
