"""From a table of 200 rows to a model that is trained, judged and on the hub, as documented."""

import random
import shlex
from pathlib import Path

import pytest
from huggingface_hub import constants

from distil.cli import main
from hub_server import running_hub
from hub_writes import TOKEN
from support.folders import make_folder
from support.training import sentence

PAGE = Path(__file__).parents[2] / "docs/training.md"
MARK = "<!-- example: the whole way -->"

pytestmark = [
    pytest.mark.pt, pytest.mark.filterwarnings("ignore::distil.CheckpointWarning"),
]  # fmt: skip


def block(kind):
    text = PAGE.read_text(encoding="utf-8")
    return next(
        part.split("\n", 2)[2].split("```")[0]
        for part in text.split(MARK)[1:]
        if part.startswith(f"\n```{kind}\n")
    )


def write_table(path, rows, seed):
    draw = random.Random(seed)
    lines = ["review,label"]
    for _ in range(rows):
        words = sentence(draw)
        lines.append(f"{' '.join(words)},{'good' if 'good' in words else 'bad'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_folder(
        tmp_path / "my-checkpoint", "sequence-classification", num_labels=2,
        max_position_embeddings=128,
    )  # fmt: skip
    write_table(tmp_path / "reviews.csv", 200, 1)
    write_table(tmp_path / "new-reviews.csv", 50, 2)
    with running_hub(monkeypatch) as server:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        yield server


def check(hub):
    repository = hub.repositories["me/reviews"]
    files = repository.commits[repository.branches["main"]]
    assert files["model.safetensors"] == Path("reviews/model.safetensors").read_bytes()
    card = files["README.md"].decode()
    assert 'model="me/reviews"' in card
    assert "confidence_interval_95" in card
    assert not any(name.startswith("data") for name in files)


def test_in_fewer_than_ten_lines_of_python(hub, capsys):
    pytest.importorskip("pandas")
    code = block("python")
    assert len([line for line in code.splitlines() if line]) < 10
    exec(compile(code, "docs/training.md", "exec"), {})
    out = capsys.readouterr().out
    assert out.startswith("Estimate(value=")
    assert f"{hub.url}/me/reviews" in out
    check(hub)


def test_in_three_commands(hub, capsys):
    lines = [line[2:] for line in block("console").splitlines()]
    assert len(lines) == 3
    for line in lines:
        words = shlex.split(line)
        assert words[0] == "distil"
        assert main(words[1:]) == 0
    assert "accuracy" in capsys.readouterr().out
    check(hub)
