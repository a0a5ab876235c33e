"""Models on their way to the hub, against a server on loopback that speaks its protocol."""

import json

import pytest
from huggingface_hub import constants

import distil
from distil.cli import main
from distil.errors import CheckpointNotFoundError, HubError, UnsafeCheckpointError
from distil.publishing import push
from hub_server import running_hub
from hub_writes import TOKEN
from support.folders import make_folder

CARD = """---
library_name: distil
{metadata}
---
```python
import distil
pipe = distil.pipeline("masked-lm", model="C:\\\\my \\"folder\\"")
```
"""
ENDPOINT = constants.ENDPOINT
STAYS = (
    "log.jsonl", "training.json", "checkpoint.safetensors", "data/train-1.jsonl", ".lock", ".env",
    "optimizer.pt", "training_args.bin", ".cache/huggingface/x", "checkpoint-10/model.safetensors",
    "models/old.safetensors", "pytorch_model_state/optimizer.bin", "LICENSES/key", "a/config.json",
)  # fmt: skip


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    with running_hub(monkeypatch) as server:
        # What tells the address of a repository; read when huggingface_hub is imported.
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        yield server


@pytest.fixture
def folder(tmp_path):
    made = make_folder(tmp_path / "model", "masked-lm")
    (made / "README.md").write_text(CARD.format(metadata="pipeline_tag: fill-mask"))
    for name in STAYS:
        (made / name).parent.mkdir(exist_ok=True, parents=True)
        (made / name).write_bytes(b"private")
    return made


def files_of(hub, name, branch="main"):
    repository = hub.repositories[name]
    return repository.commits[repository.branches[branch]]


def test_what_belongs_to_a_model_goes_up_and_nothing_else(hub, folder):
    found = push(folder, "me/model", token=TOKEN)
    there = files_of(hub, "me/model")
    assert {*there} == {".gitattributes", *found.files}
    assert {"README.md", "config.json", "model.safetensors", "vocab.txt"} <= {*found.files}
    assert b"private" not in there.values()
    assert found.left_out == tuple(sorted({name.partition("/")[0] for name in STAYS}))
    assert there["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert (found.url, found.commit) == (
        f"{hub.url}/me/model", hub.repositories["me/model"].branches["main"],
    )  # fmt: skip
    assert hub.private == {"me/model": True}


@pytest.mark.parametrize("name", ["LICENSE", "onnx/model.onnx"])
def test_a_link_to_another_folder_publishes_nothing(hub, folder, tmp_path, name):
    secret = tmp_path / "id_rsa"
    secret.write_text("secret")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(secret)
    with pytest.raises(UnsafeCheckpointError, match="leaves the checkpoint's folder"):
        push(folder, "me/model", token=TOKEN)
    assert hub.repositories == {}


def test_the_card_names_the_model_as_the_hub_does(hub, folder):
    before = (folder / "README.md").read_bytes()
    found = push(folder, "me/model", token=TOKEN)
    card = files_of(hub, "me/model")["README.md"]
    assert b'distil.pipeline("masked-lm", model="me/model")' in card
    assert found.files["README.md"] == len(card)
    assert (folder / "README.md").read_bytes() == before


def test_what_went_up_is_loaded_from_there(hub, folder, tmp_path, monkeypatch):
    push(folder, "me/model", token=TOKEN, public=True)
    monkeypatch.setattr(constants, "ENDPOINT", ENDPOINT)  # downloads ask where HF_ENDPOINT says
    tokenizer = distil.load_tokenizer("me/model", cache_dir=tmp_path / "cache")
    assert tokenizer.get_vocab() == distil.load_tokenizer(folder).get_vocab()
    assert hub.private == {"me/model": False}


def test_again_and_on_a_branch(hub, folder):
    push(folder, "me/model", token=TOKEN)
    before = dict(files_of(hub, "me/model"))
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    found = push(folder, "me/model", token=TOKEN, revision="next", message="better")
    assert files_of(hub, "me/model") == before
    assert files_of(hub, "me/model", "next")["config.json"] != before["config.json"]
    assert hub.repositories["me/model"].branches["next"] == found.commit
    assert hub.messages[-1] == "better"


@pytest.mark.parametrize("name", ["a/b/c", "me/my model", ""])
def test_a_dry_run_sees_what_is_no_name(hub, folder, name):
    with pytest.raises(HubError, match="not a name on the hub"):
        push(folder, name, dry_run=True)


def test_a_dry_run_asks_nobody(hub, folder):
    found = push(folder, "me/model", dry_run=True)
    assert (found.url, found.commit) == (None, None)
    assert found.files
    assert hub.requests == []
    assert hub.repositories == {}


@pytest.mark.parametrize(
    ("token", "name", "words"),
    [("hf_wrong", "me/model", "HF_TOKEN"), (TOKEN, "a/b/c", "not a name on the hub")],
)
def test_refusals_are_told(hub, folder, token, name, words):
    with pytest.raises(HubError, match=words):
        push(folder, name, token=token)
    assert hub.repositories == {}


def test_a_card_that_the_hub_refuses(hub, folder):
    (folder / "README.md").write_text(CARD.format(metadata="base_model: ./mine"))
    with pytest.raises(HubError, match="rejected the upload"):
        push(folder, "me/model", token=TOKEN)
    assert {*files_of(hub, "me/model")} == {".gitattributes"}


def test_no_hub(hub, folder):
    hub.stop()
    with pytest.raises(HubError, match="cannot be reached"):
        push(folder, "me/model", token=TOKEN)


def test_a_folder_without_a_model(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(CheckpointNotFoundError):
            push(path, "me/model", dry_run=True)


def test_the_command_lists_what_goes_up_first(hub, folder, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert main(["push", str(folder), "me/model", "--dry-run"]) == 0
    listed = capsys.readouterr().out
    assert "model.safetensors" in listed
    assert "Not uploaded: .cache, .env, .lock" in listed
    assert hub.repositories == {}
    assert main(["push", str(folder), "me/model"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(listed)
    assert out[len(listed) :].startswith(f"{hub.url}/me/model, commit ")
    assert main(["push", str(folder), "me/model", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["commit"]
