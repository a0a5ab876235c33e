"""What is saved is read again, bit by bit, in every format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors import safe_open

from distil.checkpoints import open_checkpoint, save_checkpoint
from distil.checkpoints.matching import match_weights
from distil.common import spec
from distil.errors import CheckpointError, CheckpointNotFoundError
from support.checkpoints import (
    DTYPES,
    assert_same_bits,
    load,
    random_weights,
    save,
    tiny_config,
)

FORMATS = ("safetensors", "tf-safetensors", "h5", pytest.param("bin", marks=pytest.mark.pt))
FILE_NAMES = {
    "safetensors": "model.safetensors", "tf-safetensors": "model.safetensors",
    "h5": "tf_model.h5", "bin": "pytorch_model.bin",
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("max_shard_size", [None, 2000])
@pytest.mark.parametrize("format", FORMATS)
def test_bits(tmp_path: Path, format: str, max_shard_size: int | None, dtype: str) -> None:  # noqa: A002
    config = tiny_config()
    saved = save(tmp_path, config, format=format, max_shard_size=max_shard_size, stored=dtype)
    found, match = load(tmp_path, config)
    assert_same_bits(found, saved)
    match.report.check(name="tiny")  # any warning is an error here
    names = {path.name for path in tmp_path.iterdir()}
    if max_shard_size is None:
        assert names == {FILE_NAMES[format]}
    else:
        stem, suffix = FILE_NAMES[format].split(".")
        count = len(names) - 1
        shards = {f"{stem}-{i:05d}-of-{count:05d}.{suffix}" for i in range(1, count + 1)}
        assert names == shards | {f"{stem}.{suffix}.index.json"}


@pytest.mark.parametrize("task", spec.HEADS)
@pytest.mark.parametrize("format", FORMATS)
def test_tasks(tmp_path: Path, format: str, task: str) -> None:  # noqa: A002
    config = tiny_config(pruned_heads={1: [0]})
    saved = save(tmp_path, config, task, format=format)
    found, match = load(tmp_path, config, task)
    assert_same_bits(found, saved)
    match.report.check(name="tiny")
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.format == format
        assert checkpoint.layout == ("tf" if format in ("h5", "tf-safetensors") else "pt")


@pytest.mark.parametrize("format", FORMATS)
def test_untied_projector(tmp_path: Path, format: str) -> None:  # noqa: A002
    config = tiny_config(tie_word_embeddings=False)
    saved = save(tmp_path, config, "masked-lm", format=format)
    assert "vocab_projector.weight" in saved
    assert_same_bits(load(tmp_path, config, "masked-lm")[0], saved)


@pytest.mark.parametrize("stored", DTYPES)
@pytest.mark.parametrize("format", FORMATS)
def test_dtype_is_converted(tmp_path: Path, format: str, stored: str) -> None:  # noqa: A002
    config = tiny_config()
    saved = save(tmp_path, config, format=format, dtype=stored)
    expected = {name: array.astype(DTYPES[stored]) for name, array in saved.items()}
    assert_same_bits(load(tmp_path, config)[0], expected)


def test_types_may_differ_within_a_file(tmp_path: Path) -> None:
    config = tiny_config()
    arrays = {
        name: array.astype(np.float16) if number % 2 else array
        for number, (name, array) in enumerate(random_weights(config, "base").items())
    }
    save_checkpoint(tmp_path, arrays.items(), config=config, task="base")
    assert_same_bits(load(tmp_path, config, "base")[0], arrays)


def test_any_order(tmp_path: Path) -> None:
    config = tiny_config()
    arrays = dict(reversed(random_weights(config, "base").items()))
    save_checkpoint(tmp_path, arrays.items(), config=config, task="base", max_shard_size="1KB")
    assert_same_bits(load(tmp_path, config, "base")[0], arrays)


@pytest.mark.parametrize("format", ["safetensors", "tf-safetensors", "h5"])
def test_one_weight_at_a_time(tmp_path: Path, format: str) -> None:  # noqa: A002
    config = tiny_config()
    written = 0

    def weights() -> Iterator[tuple[str, Any]]:
        nonlocal written
        for name, array in random_weights(config, "base").items():
            yield name, array
            written += 1
            if written == 10:
                assert any(path.suffix == ".tmp" for path in tmp_path.iterdir())

    save_checkpoint(tmp_path, weights(), config=config, task="base", format=format)
    assert written == len(spec.weights(config, "base"))


def test_safetensors_file_is_the_hubs(tmp_path: Path) -> None:
    config = tiny_config()
    saved = save(tmp_path, config, "masked-lm")
    with safe_open(str(tmp_path / "model.safetensors"), framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert set(file.keys()) == set(saved)
        assert "vocab_projector.weight" not in saved
        for name in file.keys():  # noqa: SIM118 - it is no mapping
            assert file.get_tensor(name).tobytes() == saved[name].tobytes()
    # Aligned, so that the views need no copies.
    assert int.from_bytes((tmp_path / "model.safetensors").read_bytes()[:8], "little") % 8 == 0


def test_tf_safetensors_file_is_transformers(tmp_path: Path) -> None:
    config = tiny_config()
    saved = save(tmp_path, config, "sequence-classification", format="tf-safetensors")
    with safe_open(str(tmp_path / "model.safetensors"), framework="numpy") as file:
        assert file.metadata() == {"format": "tf"}
        kernel = file.get_tensor("distilbert/transformer/layer_._1/ffn/lin1/kernel:0")
        name = "distilbert.transformer.layer.1.ffn.lin1.weight"
        assert kernel.tobytes() == np.ascontiguousarray(saved[name].T).tobytes()
        assert "classifier/bias:0" in file.keys()  # noqa: SIM118


def test_h5_file_is_keras(tmp_path: Path) -> None:
    save(tmp_path, tiny_config(), "sequence-classification", format="h5")
    with h5py.File(tmp_path / "tf_model.h5") as file:
        assert list(file.attrs["layer_names"]) == [b"distilbert", b"pre_classifier", b"classifier"]
        assert file.attrs["backend"] == b"tensorflow"
        assert set(file) == {
            "distilbert", "pre_classifier", "classifier", "top_level_model_weights",
        }  # fmt: skip
        model = "tf_distil_bert_for_sequence_classification"
        names = list(file["classifier"].attrs["weight_names"])
        assert names == [f"{model}/classifier/{leaf}:0".encode() for leaf in ("kernel", "bias")]
        assert file["classifier"][names[0]].shape == (8, 3)


def test_h5_bfloat16_is_read_as_numbers_elsewhere(tmp_path: Path) -> None:
    saved = save(tmp_path, tiny_config(), "base", format="h5", stored="bfloat16")
    with h5py.File(tmp_path / "tf_model.h5") as file:
        path = "distilbert/tf_distil_bert_model/distilbert/embeddings/LayerNorm/gamma:0"
        values = file[path][:]
    assert values.dtype == np.float32
    np.testing.assert_array_equal(
        values, saved["embeddings.LayerNorm.weight"].astype(np.float32), strict=True
    )


def test_many_names_are_chunked_in_h5(tmp_path: Path) -> None:
    config = tiny_config(n_layers=70, vocab_size=3)
    saved = save(tmp_path, config, format="h5")
    with h5py.File(tmp_path / "tf_model.h5") as file:
        assert "weight_names0" in file["distilbert"].attrs
        assert "weight_names" not in file["distilbert"].attrs
    assert_same_bits(load(tmp_path, config)[0], saved)


@pytest.mark.parametrize("format", FORMATS)
def test_index(tmp_path: Path, format: str) -> None:  # noqa: A002
    config = tiny_config()
    saved = save(tmp_path, config, format=format, max_shard_size="1KB")
    (index,) = tmp_path.glob("*.index.json")
    content = json.loads(index.read_text())
    total = sum(array.nbytes for array in saved.values())
    assert content["metadata"] == {"total_size": total}
    assert len(content["weight_map"]) == len(saved)
    prefix = "tf_distil_bert_for_sequence_classification/"
    with_prefix = format in ("h5", "tf-safetensors")
    assert all(name.startswith(prefix) == with_prefix for name in content["weight_map"])
    assert len(set(content["weight_map"].values())) > total / 2000


def test_a_limit_that_is_not_reached_gives_one_file(tmp_path: Path) -> None:
    for format_name in ("safetensors", "h5"):
        save(tmp_path, tiny_config(), format=format_name, max_shard_size="5GB")
        assert [path.name for path in tmp_path.iterdir()] == [FILE_NAMES[format_name]]
        load(tmp_path, tiny_config())[1].report.check(name="tiny")


@pytest.mark.pt
@pytest.mark.parametrize("max_shard_size", [None, 1500])
def test_bin_holds_the_tied_weight(tmp_path: Path, max_shard_size: int | None) -> None:
    import torch

    config = tiny_config()
    save(tmp_path, config, "masked-lm", format="bin", max_shard_size=max_shard_size)
    state: dict[str, Any] = {}
    for path in sorted(tmp_path.glob("*.bin")):
        state |= torch.load(path, weights_only=True)
    tied = state["vocab_projector.weight"]
    assert tied.data_ptr() == state["distilbert.embeddings.word_embeddings.weight"].data_ptr()
    load(tmp_path, config, "masked-lm")[1].report.check(name="tiny")


def test_preference(tmp_path: Path) -> None:
    config = tiny_config()
    others = tmp_path / "others"
    for format_name in ("h5", "safetensors"):
        for limit in (1000, None):
            save(others, config, format=format_name, max_shard_size=limit)
            for path in others.iterdir():
                path.replace(tmp_path / path.name)
            with open_checkpoint(tmp_path) as checkpoint:
                assert checkpoint.format == format_name
                assert (len(checkpoint.files) == 1) == (limit is None)
    with open_checkpoint(tmp_path, format="h5") as checkpoint:
        assert checkpoint.format == "h5"
    with pytest.raises(CheckpointError, match="unknown checkpoint format"):
        open_checkpoint(tmp_path, format="gguf")
    with pytest.raises(CheckpointNotFoundError, match="in this format"):
        open_checkpoint(tmp_path, format="tf-safetensors")


def test_variant(tmp_path: Path) -> None:
    config = tiny_config()
    save(tmp_path, config)
    (tmp_path / "model.safetensors").rename(tmp_path / "model.fp16.safetensors")
    open_checkpoint(tmp_path, variant="fp16").close()
    with pytest.raises(CheckpointError, match="no weights"):
        open_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="variant"):
        open_checkpoint(tmp_path, variant="../x")


def test_arrays_are_writable_views_that_outlive_the_checkpoint(tmp_path: Path) -> None:
    config = tiny_config()
    for format_name in ("safetensors", "h5"):
        saved = save(tmp_path, config, "base", format=format_name)
        name = "embeddings.word_embeddings.weight"
        with open_checkpoint(tmp_path) as checkpoint:
            before = checkpoint.files[0].read_bytes()
            source = match_weights(checkpoint, config, "base").sources[name]
            found = source.read()
        assert found.flags.writeable
        assert found.base is not None
        np.testing.assert_array_equal(found, saved[name])
        found[:] = 0
        assert checkpoint.files[0].read_bytes() == before  # copy on write
        with pytest.raises(CheckpointError, match="closed"):
            source.read()
