"""Files are opened once and judged by what was opened; errors of the disk are told as such."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from distil.checkpoints import open_checkpoint, opening, save_checkpoint
from distil.common.config import DistilBertConfig
from distil.errors import CheckpointError, CheckpointNotFoundError, UnsafeCheckpointError
from distil.storage import opened, pending
from distil.storage.files import atomic_write, parse_json
from distil.storage.opened import open_own, read_bytes
from support.checkpoints import assert_same_bits, load, random_weights, save, tiny_config

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are POSIX")


def text_of(path: Path) -> bytes:
    with open_own(path) as file:
        return file.read()


@POSIX
def test_links_that_stay_are_followed(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("inner/file")
    assert text_of(tmp_path / "link") == b"content"


@POSIX
def test_the_hubs_cache(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "abc").write_bytes(b"content")
    snapshot = tmp_path / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / "file").symlink_to("../../blobs/abc")
    assert text_of(snapshot / "file") == b"content"
    (tmp_path / "elsewhere").write_bytes(b"secret")
    (snapshot / "other").symlink_to("../../elsewhere")
    with pytest.raises(UnsafeCheckpointError, match="leaves"):
        open_own(snapshot / "other")


@POSIX
@pytest.mark.parametrize("what", ["link", "pipe", "link in a folder"])
def test_swapped_between_the_look_and_the_opening(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write into the folder cannot have another's file opened, or the load hang."""
    folder = tmp_path / "model"
    path = folder / "inner" / "file" if what == "link in a folder" else folder / "file"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"content")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_bytes(b"secret")
    looked = path
    if what == "link in a folder":
        looked = folder / "link"
        looked.symlink_to("inner/file")
    root_of = opened._root_of

    def swap(target: Path, path_: Path) -> Path:
        found = root_of(target, path_)
        path.unlink()
        match what:
            case "link":
                path.symlink_to(tmp_path / "secret" / "file")
            case "pipe":
                os.mkfifo(path)
            case _:
                path.parent.rmdir()
                path.parent.symlink_to(tmp_path / "secret")
        return found

    monkeypatch.setattr(opened, "_root_of", swap)
    with pytest.raises(CheckpointError, match=r"cannot be read|not a file|missing"):
        open_own(looked)


def test_what_a_user_names_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "file")
    assert read_bytes(tmp_path / "folder" / "link", limit=7) == b"content"
    with pytest.raises(UnsafeCheckpointError):
        read_bytes(tmp_path / "folder" / "link", limit=7, own=True)
    with pytest.raises(CheckpointError, match="too large"):
        read_bytes(tmp_path / "file", limit=6)
    with pytest.raises(CheckpointNotFoundError):
        read_bytes(tmp_path / "none", limit=7)


@pytest.mark.parametrize("text", ['{"a": "\\ud83d\\ude00"}', '{"a": "\\\\ud800"}', '{"a": "é"}'])
def test_text_that_can_be_encoded(text: str) -> None:
    assert parse_json(text.encode(), where="") == json.loads(text)


# What is announced ------------------------------------------------------------------------------


def announced(folder: Path) -> Path:
    """An announcement as a kill leaves it, newer than config.json."""
    save(folder, tiny_config())
    tiny_config().save_pretrained(folder)
    os.utime(folder / "config.json", (1, 1))
    text = tiny_config(dropout=0.3).to_json_string()
    return pending.announce(folder, text, folder / "model.safetensors")


def test_an_announcement_counts_when_it_is_of_these_weights(tmp_path: Path) -> None:
    announced(tmp_path)
    assert DistilBertConfig.from_pretrained(tmp_path).dropout == 0.3


def test_weights_are_read_only_for_what_could_be_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = announced(tmp_path)
    read: list[Path] = []
    digest = pending._digest_of
    monkeypatch.setattr(pending, "_digest_of", lambda one: read.append(one) or digest(one))
    os.utime(path, (0, 0))  # config.json was edited since
    assert DistilBertConfig.from_pretrained(tmp_path).dropout == 0.1
    path.rename(tmp_path / ".config.mine.json")
    os.utime(tmp_path / ".config.mine.json")
    assert DistilBertConfig.from_pretrained(tmp_path).dropout == 0.1
    assert not read
    monkeypatch.setattr(pending, "_MAX_WEIGHTS", 10)
    announced(tmp_path)
    with pytest.raises(CheckpointError, match="too large to look for"):
        DistilBertConfig.from_pretrained(tmp_path)
    assert len(read) == 1


@POSIX
def test_a_planted_announcement_is_judged_like_any_file(tmp_path: Path) -> None:
    path = announced(tmp_path)
    path.rename(tmp_path.with_suffix(".json"))
    path.symlink_to(tmp_path.with_suffix(".json"))
    with pytest.raises(UnsafeCheckpointError, match="leaves"):
        DistilBertConfig.from_pretrained(tmp_path)


# Disks that are full, or may not be written to --------------------------------------------------


def refuse(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize("step", ["replace", "fsync", "open"])
def test_one_error_when_nothing_can_be_written(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of cleaning up, which cannot work either."""
    config = tiny_config()
    saved = save(tmp_path, config)
    config.save_pretrained(tmp_path)
    new = config.replace(dropout=0.3)
    weights = random_weights(new, "sequence-classification", seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        if step == "fsync":
            patch.setattr(os, "fsync", refuse)
        elif step == "open":
            opened = Path.open
            patch.setattr(
                Path, "open", lambda path, mode="r", *a, **k: (
                    opened(path, mode, *a, **k) if mode in ("r", "rb") else refuse()
                ),
            )  # fmt: skip
        else:
            patch.setattr(Path, step, refuse)
        with pytest.raises(CheckpointError, match="Read-only file system") as raised:
            save_checkpoint(
                tmp_path, weights.items(), config=new, task="sequence-classification",
                write_config=True,
            )  # fmt: skip
        assert "make room" in str(raised.value)
        with pytest.raises(CheckpointError, match="Read-only file system"):
            new.save_pretrained(tmp_path)
    assert_same_bits(load(tmp_path, config)[0], saved)


def denied(*_: Any) -> Any:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_the_system_does_not_let_be_read(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, tiny_config())
    if what == "folder":
        monkeypatch.setattr(os, "listdir", denied)
    else:
        monkeypatch.setattr(opening, "_READERS", {".safetensors": denied})
    with pytest.raises(CheckpointError, match=f"{what} cannot be read") as raised:
        open_checkpoint(tmp_path)
    assert not isinstance(raised.value, CheckpointNotFoundError)
    assert raised.value.where == (tmp_path if what == "folder" else tmp_path / "model.safetensors")


def test_an_error_of_the_block_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(CheckpointNotFoundError, match="mine"), atomic_write(tmp_path / "file"):
        raise CheckpointNotFoundError("mine")


# Rewritten while they are open ------------------------------------------------------------------


@pytest.mark.pt
@pytest.mark.parametrize("zipped", [True, False])
def test_a_bin_file_may_be_saved_over_itself(tmp_path: Path, zipped: bool) -> None:
    """As by torch.save(model.state_dict(), the file it came from), which truncates it first."""
    import torch

    saved = save(tmp_path, tiny_config(), format="bin")
    path = tmp_path / "pytorch_model.bin"
    state = torch.load(path, weights_only=True)
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    with open_checkpoint(tmp_path) as checkpoint:
        arrays = {name: tensor.read() for name, tensor in checkpoint.tensors.items()}
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    torch.save(state, path)
    assert_same_bits(load(tmp_path, tiny_config())[0], saved)
    path.write_bytes(b"")
    assert all(array.tobytes() == saved[name].tobytes() for name, array in arrays.items())
