"""`distil.convert` between what transformers writes and what it reads, in both frameworks."""

from __future__ import annotations

import importlib
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import distil
from distil.common import spec
from distil.common.config import DistilBertConfig
from distil.common.tasks import TASKS
from support.checkpoints import Arrays, assert_same_bits
from support.peers import run_tf_peer

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(find_spec("transformers") is None, reason="needs transformers 4.57.6"),
]

SIZES = {"vocab_size": 31, "max_position_embeddings": 13, "num_labels": 2}
DISTILBERT = SIZES | {"dim": 8, "n_heads": 2, "n_layers": 2, "hidden_dim": 20}
BERT = SIZES | {
    "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 20,
}  # fmt: skip

# Arguments of transformers' save_pretrained and of `distil.convert`, by a name for the format.
THEIR_FORMATS = {
    "safetensors": {},
    "safetensors-shards": {"max_shard_size": "2KB"},
    "bin": {"safe_serialization": False},
    "bin-shards": {"safe_serialization": False, "max_shard_size": "2KB"},
}
PT_FORMATS = {"pt": {}, "pt-shards": {"max_shard_size": "2KB"}, "bin": {}}
TF_FORMATS = {"tf": {}, "tf-shards": {"max_shard_size": "2KB"}, "tf-safetensors": {}}


def peer(name: str) -> Any:
    return getattr(importlib.import_module("transformers"), name)


def random_peer(name: str) -> Any:
    """A transformers model with every parameter at random."""
    import torch

    bert = "DistilBert" not in name
    config = peer("BertConfig")(**BERT) if bert else peer("DistilBertConfig")(**DISTILBERT)
    torch.manual_seed(0)
    model = peer(name)(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def arrays_of(model: Any) -> Arrays:
    """The parameters, tied ones once."""
    return {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}


def load_peer(name: str, folder: Path) -> Arrays:
    """The parameters of a transformers model that finds all its weights in `folder`."""
    model, info = peer(name).from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    return arrays_of(model)


def convert(source: Path, target: Path, format_name: str, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return distil.convert(source, target, format_name.removesuffix("-shards"), **options)


@pytest.mark.parametrize("to", PT_FORMATS)
@pytest.mark.parametrize("stored", THEIR_FORMATS)
@pytest.mark.parametrize("task", TASKS)
def test_from_pytorch_to_pytorch(tmp_path: Path, task: str, stored: str, to: str) -> None:
    name = TASKS[task].class_name
    model = random_peer(name)
    model.save_pretrained(tmp_path / "theirs", **THEIR_FORMATS[stored])
    convert(tmp_path / "theirs", tmp_path / "ours", to, **PT_FORMATS[to])
    assert_same_bits(load_peer(name, tmp_path / "ours"), arrays_of(model))


@pytest.mark.parametrize("by", ["tf", "tf-safetensors", "bin"])
@pytest.mark.parametrize("task", TASKS)
def test_there_and_back(tmp_path: Path, task: str, by: str) -> None:
    random_peer(TASKS[task].class_name).save_pretrained(tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "there", by)
    convert(tmp_path / "there", tmp_path / "back", "pt")
    theirs, back = (
        load_file(tmp_path / folder / "model.safetensors") for folder in ("theirs", "back")
    )
    assert_same_bits(back, theirs)


@pytest.mark.parametrize("to", PT_FORMATS)
def test_a_bert(tmp_path: Path, to: str) -> None:
    import torch

    bert = random_peer("BertModel")
    bert.save_pretrained(tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "ours", to, **PT_FORMATS[to])
    model = peer("DistilBertModel").from_pretrained(tmp_path / "ours")
    ids = torch.arange(20).reshape(2, 10)
    with torch.no_grad():
        torch.testing.assert_close(model(ids)[0], bert(ids)[0], atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def tf_peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints converted from PyTorch, loaded by transformers' TensorFlow models; and theirs."""
    root = tmp_path_factory.mktemp("tf")
    for task in TASKS.values():
        source = root / "pytorch" / task.class_name
        random_peer(task.class_name).save_pretrained(source)
        for to, options in TF_FORMATS.items():
            convert(source, root / "ours" / f"{task.class_name}__{to}", to, **options)
    run_tf_peer(root)
    return root


def in_pytorch_layout(path: Path, task: str) -> Arrays:
    """Weights that the peer wrote out, by canonical name."""
    stored = np.load(path)
    return {
        weight.name: stored[weight.tf_name()].T
        if weight.stored_leaf("tf").transposed
        else stored[weight.tf_name()]
        for weight in spec.parameters(DistilBertConfig(**DISTILBERT), task)
    }


@pytest.mark.parametrize("to", TF_FORMATS)
@pytest.mark.parametrize("task", TASKS)
def test_from_pytorch_to_tensorflow(tf_peer: Path, task: str, to: str) -> None:
    name = TASKS[task].class_name
    found = in_pytorch_layout(tf_peer / "loaded" / f"{name}__{to}.npz", task)
    assert_same_bits(found, load_file(tf_peer / "pytorch" / name / "model.safetensors"))


@pytest.mark.parametrize("stored", ["h5", "h5-shards", "tf-safetensors", "tf-safetensors-shards"])
@pytest.mark.parametrize("task", TASKS)
def test_from_tensorflow_to_pytorch(
    tf_peer: Path, tmp_path: Path, task: str, stored: str
) -> None:  # fmt: skip
    name = TASKS[task].class_name
    theirs = tf_peer / "theirs" / f"TF{name}__{stored}"
    convert(theirs, tmp_path, "pt")
    assert_same_bits(load_peer(name, tmp_path), in_pytorch_layout(theirs / "weights.npz", task))
