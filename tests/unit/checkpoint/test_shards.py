"""Indexes and shards: every weight in exactly one file, and every file in the folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distil.checkpoints import open_checkpoint
from distil.errors import CheckpointError, CheckpointNotFoundError, UnsafeCheckpointError
from support.checkpoints import assert_same_bits, load, save, tiny_config

INDEX = "model.safetensors.index.json"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    save(folder, tiny_config(), max_shard_size=2000)
    return folder


def shards_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("model-*.safetensors"))


def change_index(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / INDEX).read_text())
    change(content)
    (folder / INDEX).write_text(json.dumps(content))


@pytest.mark.parametrize(
    "name",
    ["../outside.safetensors", "/etc/outside.safetensors", "sub/x.safetensors", "..", ".", "",
     "..\\outside.safetensors", "C:outside.safetensors", "x\0.safetensors", ".hidden.safetensors",
     "config.json", "model.bin", "x" * 300 + ".safetensors", "x" * 1_000_000, 3, None, ["a"], {}],
)  # fmt: skip
def test_names_that_are_no_plain_files(model: Path, name: Any) -> None:
    shutil.copy(shards_of(model)[0], model.parent / "outside.safetensors")

    def change(content: dict[str, Any]) -> None:
        first = next(iter(content["weight_map"]))
        content["weight_map"][first] = name

    change_index(model, change)
    with pytest.raises(UnsafeCheckpointError) as raised:
        open_checkpoint(model)
    assert INDEX in str(raised.value)
    assert len(str(raised.value)) < 1500


def test_links_out_of_the_folder(model: Path) -> None:
    shard = shards_of(model)[0]
    outside = model.parent / "outside.safetensors"
    shard.rename(outside)
    for target in (outside, Path("../outside.safetensors")):
        shard.unlink(missing_ok=True)
        shard.symlink_to(target)
        with pytest.raises(UnsafeCheckpointError, match="leaves the checkpoint's folder"):
            open_checkpoint(model)


def test_loops_directories_and_broken_links(model: Path) -> None:
    shard = shards_of(model)[0]
    shard.unlink()
    with pytest.raises(CheckpointNotFoundError, match="shard is missing"):
        open_checkpoint(model)
    shard.symlink_to(shard)
    with pytest.raises(CheckpointError):
        open_checkpoint(model)
    shard.unlink()
    shard.symlink_to("nowhere")
    with pytest.raises(CheckpointError):
        open_checkpoint(model)
    shard.unlink()
    shard.mkdir()
    with pytest.raises(CheckpointError):
        open_checkpoint(model)


def test_links_of_the_hubs_cache(model: Path) -> None:
    repository = model.parent / "models--someone--tiny"
    snapshot, blobs = repository / "snapshots" / "0123abc", repository / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, path in enumerate(sorted(model.iterdir())):
        path.rename(blobs / f"blob{number}")
        (snapshot / path.name).symlink_to(f"../../blobs/blob{number}")
    load(snapshot, tiny_config())[1].report.check(name="cached")
    # The same link in a folder that is no snapshot leaves the folder.
    snapshot.parent.rename(repository / "others")
    with pytest.raises(UnsafeCheckpointError):
        open_checkpoint(repository / "others" / "0123abc")


def test_a_link_within_the_folder(model: Path) -> None:
    shard = shards_of(model)[0]
    shard.rename(model / "data.safetensors")
    shard.symlink_to("data.safetensors")
    load(model, tiny_config())[1].report.check(name="linked")


def test_weight_in_the_wrong_shard(model: Path) -> None:
    first, second = shards_of(model)[:2]

    def change(content: dict[str, Any]) -> None:
        table = content["weight_map"]
        table[next(name for name in table if table[name] == first.name)] = second.name

    change_index(model, change)
    with pytest.raises(CheckpointError, match=r"index says it has|index does not say"):
        open_checkpoint(model)


def test_weight_that_no_shard_has(model: Path) -> None:
    shard = shards_of(model)[0]
    change_index(model, lambda content: content["weight_map"].update({"a.b": shard.name}))
    with pytest.raises(CheckpointError, match="lacks a weight") as raised:
        open_checkpoint(model)
    assert shard.name in str(raised.value)
    assert "a.b" in str(raised.value)


def test_shard_that_the_index_does_not_know_all_of(model: Path) -> None:
    change_index(model, lambda content: content["weight_map"].popitem())
    with pytest.raises(CheckpointError, match="does not say it has"):
        open_checkpoint(model)


def test_two_names_that_are_one(tmp_path: Path) -> None:
    """TensorFlow names that differ in the name of the model only, in two shards."""
    save(tmp_path, tiny_config(), format="h5", max_shard_size=2000)
    index = tmp_path / "tf_model.h5.index.json"
    content = json.loads(index.read_text())
    first, second = sorted(set(content["weight_map"].values()))[:2]
    shutil.copy(tmp_path / first, tmp_path / second)
    twice = [name for name, file in content["weight_map"].items() if file == first]
    table = {name: file for name, file in content["weight_map"].items() if file != second}
    table |= {f"other/{name.partition('/')[2]}": second for name in twice}
    index.write_text(json.dumps(content | {"weight_map": table}))
    with pytest.raises(CheckpointError, match="in two shards"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": null}',
     '{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', "\xff",
     '{"weight_map": ' + "[" * 100_000],
)  # fmt: skip
def test_indexes_that_are_none(model: Path, text: str) -> None:
    (model / INDEX).write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError) as raised:
        open_checkpoint(model)
    assert INDEX in str(raised.value)


def test_index_with_endless_shards(model: Path) -> None:
    table = {f"w{number}": f"{number}.safetensors" for number in range(20_000)}
    (model / INDEX).write_text(json.dumps({"weight_map": table}))
    with pytest.raises(CheckpointError, match="too many shards"):
        open_checkpoint(model)


def test_missing_folder_and_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match="no such folder"):
        open_checkpoint(tmp_path / "nothing")
    with pytest.raises(CheckpointNotFoundError, match="no weights"):
        open_checkpoint(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointNotFoundError):
        open_checkpoint(tmp_path / "file")
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(CheckpointError):
        open_checkpoint(tmp_path)


def test_other_names_for_shards(model: Path) -> None:
    """Any names will do, as long as index and folder agree."""
    saved, _ = load(model, tiny_config())
    names = {
        path.name: f"part {number}.safetensors" for number, path in enumerate(shards_of(model))
    }
    for old, new in names.items():
        (model / old).rename(model / new)

    def change(content: dict[str, Any]) -> None:
        table = content["weight_map"]
        content["weight_map"] = {weight: names[file] for weight, file in table.items()}

    change_index(model, change)
    assert_same_bits(load(model, tiny_config())[0], saved)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are POSIX")
@pytest.mark.parametrize(
    "name",
    ["model.safetensors", "tf_model.h5", pytest.param("pytorch_model.bin", marks=pytest.mark.pt)],
)
def test_pipes_are_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(CheckpointError, match="not a file"):
        open_checkpoint(tmp_path)
