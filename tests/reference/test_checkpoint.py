"""Checkpoints that transformers writes are read, and ours are read by transformers."""

from __future__ import annotations

import importlib
import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distil.common import spec
from distil.common.config import DistilBertConfig
from distil.common.tasks import TASKS, task_of_class
from support.checkpoints import assert_same_bits, load, save, tiny_config
from support.peers import run_tf_peer

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(find_spec("transformers") is None, reason="needs transformers 4.57.6"),
]

PT_FORMATS = {
    "safetensors": {},
    "safetensors-shards": {"max_shard_size": "2KB"},
    "bin": {"safe_serialization": False},
    "bin-shards": {"safe_serialization": False, "max_shard_size": "2KB"},
}
SIZES = {"vocab_size": 31, "max_position_embeddings": 13, "num_labels": 2}
DISTILBERT = SIZES | {"dim": 8, "n_heads": 2, "n_layers": 2, "hidden_dim": 20}
BERT = SIZES | {
    "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 20,
}  # fmt: skip


def own_config(**fields: Any) -> DistilBertConfig:
    return tiny_config(num_labels=2, **fields)


def options_of(name: str) -> dict[str, Any]:
    """Arguments of `save` for a format's name in this file."""
    limit = 2000 if name.endswith("-shards") else None
    return {"format": name.removesuffix("-shards"), "max_shard_size": limit}


def peer(name: str) -> Any:
    return getattr(importlib.import_module("transformers"), name)


def random_peer(name: str, **options: Any) -> Any:
    """A transformers model with every parameter at random."""
    import torch

    config = peer("BertConfig")(**BERT) if "DistilBert" not in name else None
    config = config or peer("DistilBertConfig")(**DISTILBERT, **options)
    torch.manual_seed(0)
    model = peer(name)(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def arrays_of(state: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {name: tensor.numpy() for name, tensor in state.items() if "position_ids" not in name}


@pytest.mark.pt
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("format", PT_FORMATS)
def test_reads_what_transformers_writes(tmp_path: Path, format: str, task: str) -> None:  # noqa: A002
    model = random_peer(TASKS[task].class_name)
    model.save_pretrained(tmp_path, **PT_FORMATS[format])
    found, match = load(tmp_path, DistilBertConfig.from_pretrained(tmp_path), task)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        match.report.check(name=task)
    expected = arrays_of(model.state_dict())
    if task == "masked-lm":
        del expected["vocab_projector.weight"]
    assert_same_bits(found, expected)


@pytest.mark.pt
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("format", PT_FORMATS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_transformers_reads_what_we_write(
    tmp_path: Path, format: str, task: str, dtype: str  # noqa: A002
) -> None:  # fmt: skip
    config = own_config(dtype=dtype)
    saved = save(tmp_path, config, task, stored=dtype, **options_of(format))
    config.save_pretrained(tmp_path)
    model, info = peer(TASKS[task].class_name).from_pretrained(
        tmp_path, output_loading_info=True, dtype="auto"
    )
    assert not any(info.values()), info
    for name, tensor in model.state_dict().items():
        assert str(tensor.dtype) == f"torch.{dtype}"
        if name != "vocab_projector.weight":
            np.testing.assert_array_equal(
                tensor.float().numpy(), saved[name].astype(np.float32), strict=True
            )
    if task == "masked-lm":
        words = model.distilbert.embeddings.word_embeddings.weight
        assert model.vocab_projector.weight is words


@pytest.mark.pt
@pytest.mark.parametrize("format", ["safetensors", "bin"])
def test_untied_projector(tmp_path: Path, format: str) -> None:  # noqa: A002
    model = random_peer("DistilBertForMaskedLM", tie_word_embeddings=False)
    model.save_pretrained(tmp_path / "theirs", **PT_FORMATS[format])
    config = DistilBertConfig.from_pretrained(tmp_path / "theirs")
    found, _ = load(tmp_path / "theirs", config, "masked-lm")
    assert_same_bits(found, arrays_of(model.state_dict()))


@pytest.mark.pt
@pytest.mark.parametrize(
    "name",
    ["BertModel", "BertForMaskedLM", "BertForPreTraining", "BertForTokenClassification",
     "BertForQuestionAnswering"],
)  # fmt: skip
@pytest.mark.parametrize("format", PT_FORMATS)
def test_a_bert_is_a_distilbert(tmp_path: Path, format: str, name: str) -> None:  # noqa: A002
    """The outputs agree, computed by transformers from the folded weights."""
    import torch

    bert = random_peer(name)
    bert.save_pretrained(tmp_path, **PT_FORMATS[format])
    found_task = task_of_class(name)
    assert found_task is not None
    task = found_task.name
    found, match = load(tmp_path, DistilBertConfig.from_pretrained(tmp_path), task)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        match.report.check(name=name)
    distilbert = random_peer(TASKS[task].class_name)
    state = {weight: torch.from_numpy(array) for weight, array in found.items()}
    missing, unexpected = distilbert.load_state_dict(state, strict=False)
    assert not unexpected
    assert set(missing) <= {"vocab_projector.weight", "embeddings.position_ids",
                            "distilbert.embeddings.position_ids"}  # fmt: skip
    ids = torch.arange(20).reshape(2, 10)
    with torch.no_grad():
        expected = bert(ids)
        outputs = distilbert(ids)
    expected = expected["prediction_logits"] if name == "BertForPreTraining" else expected[0]
    torch.testing.assert_close(outputs[0], expected, atol=1e-5, rtol=1e-5)


TF_FORMATS = ("h5", "h5-shards", "tf-safetensors", "tf-safetensors-shards")


@pytest.fixture(scope="module")
def tf_peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our checkpoints, loaded by transformers' TensorFlow models, and theirs."""
    root = tmp_path_factory.mktemp("tf")
    for task, details in TASKS.items():
        for format_name in TF_FORMATS:
            folder = root / "ours" / f"{details.class_name}__{format_name}"
            save(folder, own_config(), task, **options_of(format_name))
            own_config().save_pretrained(folder)
    run_tf_peer(root)
    return root


def in_pytorch_layout(path: Path, table: dict[str, spec.Weight]) -> dict[str, Any]:
    """Weights that the peer wrote out, by canonical name."""
    stored = np.load(path)
    return {
        name: stored[weight.tf_name()].T
        if weight.stored_leaf("tf").transposed
        else stored[weight.tf_name()]
        for name, weight in table.items()
        if weight.tied_to is None
    }


@pytest.mark.tf
@pytest.mark.parametrize("format", TF_FORMATS)
@pytest.mark.parametrize("task", TASKS)
def test_transformers_tf_reads_what_we_write(tf_peer: Path, task: str, format: str) -> None:  # noqa: A002
    name = f"{TASKS[task].class_name}__{format}"
    found = in_pytorch_layout(tf_peer / "loaded" / f"{name}.npz", spec.weights(own_config(), task))
    assert_same_bits(found, load(tf_peer / "ours" / name, own_config(), task)[0])


@pytest.mark.tf
@pytest.mark.parametrize("format", TF_FORMATS)
@pytest.mark.parametrize("task", TASKS)
def test_reads_what_transformers_tf_writes(tf_peer: Path, task: str, format: str) -> None:  # noqa: A002
    folder = tf_peer / "theirs" / f"TF{TASKS[task].class_name}__{format}"
    config = DistilBertConfig.from_pretrained(folder)
    found, match = load(folder, config, task)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        match.report.check(name=task)
    assert_same_bits(found, in_pytorch_layout(folder / "weights.npz", spec.weights(config, task)))


@pytest.mark.tf
@pytest.mark.parametrize("format", TF_FORMATS)
@pytest.mark.parametrize(
    ("name", "task"),
    [("TFBertModel", "base"), ("TFBertForMaskedLM", "masked-lm"),
     ("TFBertForPreTraining", "masked-lm")],
)  # fmt: skip
def test_folds_tf_berts(tf_peer: Path, name: str, task: str, format: str) -> None:  # noqa: A002
    folder = tf_peer / "theirs" / f"{name}__{format}"
    found, match = load(folder, DistilBertConfig.from_pretrained(folder), task)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        match.report.check(name=name)
    stored = np.load(folder / "weights.npz")
    prefix = "" if task == "base" else "distilbert."
    positions = stored["bert/embeddings/position_embeddings/embeddings:0"]
    types = stored["bert/embeddings/token_type_embeddings/embeddings:0"]
    np.testing.assert_array_equal(
        found[f"{prefix}embeddings.position_embeddings.weight"], positions + types[0], strict=True
    )
    np.testing.assert_array_equal(
        found[f"{prefix}transformer.layer.1.ffn.lin2.weight"],
        stored["bert/encoder/layer_._1/output/dense/kernel:0"].T, strict=True,
    )  # fmt: skip
    assert found.keys() == {weight.name for weight in spec.parameters(own_config(), task)}


@pytest.mark.pt
@pytest.mark.parametrize("limit", [None, 2000])
def test_files_are_the_same_as_theirs(tmp_path: Path, limit: int | None) -> None:
    """Names of files, names of tensors, metadata."""
    model = random_peer("DistilBertForMaskedLM")
    sizes = {} if limit is None else {"max_shard_size": limit}
    for format_name, options in (("safetensors", {}), ("bin", {"safe_serialization": False})):
        model.save_pretrained(tmp_path / f"theirs-{format_name}", **options, **sizes)
        save(
            tmp_path / f"ours-{format_name}", own_config(), "masked-lm", format=format_name, **sizes
        )
        theirs, ours = (
            {path.name for path in (tmp_path / f"{whose}-{format_name}").iterdir()}
            - {"config.json", "generation_config.json"}
            for whose in ("theirs", "ours")
        )  # fmt: skip
        assert {name.partition("-")[0] for name in theirs} == {
            name.partition("-")[0] for name in ours
        }
        for index in (name for name in theirs if name.endswith(".index.json")):
            weight_maps = [
                json.loads((tmp_path / f"{whose}-{format_name}" / index).read_text())["weight_map"]
                for whose in ("theirs", "ours")
            ]
            assert weight_maps[0].keys() == weight_maps[1].keys()
