"""Which tensor of a checkpoint is which weight of a model."""

from __future__ import annotations

import json
import struct
import warnings
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from distil.checkpoints import open_checkpoint
from distil.checkpoints.matching import Match, match_weights
from distil.common import spec
from distil.common.config import DistilBertConfig
from distil.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CheckpointWarning,
    WeightsError,
)
from support.checkpoints import (
    DTYPES,
    Arrays,
    assert_same_bits,
    load,
    random_weights,
    save,
    tiny_config,
)

CODES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64"}


def write(folder: Path, arrays: Arrays) -> Path:
    """A safetensors file with any names at all."""
    header: dict[str, Any] = {}
    data = b""
    for name, array in arrays.items():
        begin, data = len(data), data + np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": CODES[array.dtype.name], "shape": array.shape,
            "data_offsets": [begin, len(data)],
        }  # fmt: skip
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    return folder


def bert_weights(
    config: DistilBertConfig, *, dtype: str = "float32", layout: str = "pt", prefix: str = "bert."
) -> tuple[Arrays, Arrays]:
    """A random BERT for masked words, written out by hand: as stored, and what it folds to."""
    rng = np.random.default_rng(7)
    kind = DTYPES[dtype]
    D, F, V, P = config.dim, config.hidden_dim, config.vocab_size, config.max_position_embeddings
    stored: Arrays = {}
    folded: Arrays = {}

    def put(theirs: str, ours: str, *shape: int) -> None:
        value = rng.standard_normal(shape).astype(kind)
        folded[ours] = value
        stored[theirs] = value

    for module, name, rows in (
        ("word_embeddings", "word_embeddings", V), ("position_embeddings", "position_embeddings", P)
    ):  # fmt: skip
        put(f"{prefix}embeddings.{module}.weight", f"distilbert.embeddings.{name}.weight", rows, D)
    for leaf in ("weight", "bias"):
        put(f"{prefix}embeddings.LayerNorm.{leaf}", f"distilbert.embeddings.LayerNorm.{leaf}", D)
    linear = {
        "attention.self.query": ("attention.q_lin", D, D),
        "attention.self.key": ("attention.k_lin", D, D),
        "attention.self.value": ("attention.v_lin", D, D),
        "attention.output.dense": ("attention.out_lin", D, D),
        "intermediate.dense": ("ffn.lin1", F, D),
        "output.dense": ("ffn.lin2", D, F),
    }
    norms = {"attention.output.LayerNorm": "sa_layer_norm", "output.LayerNorm": "output_layer_norm"}
    for layer in range(config.n_layers):
        theirs, ours = f"{prefix}encoder.layer.{layer}.", f"distilbert.transformer.layer.{layer}."
        for module, (name, outputs, inputs) in linear.items():
            put(f"{theirs}{module}.weight", f"{ours}{name}.weight", outputs, inputs)
            put(f"{theirs}{module}.bias", f"{ours}{name}.bias", outputs)
        for module, name in norms.items():
            for leaf in ("weight", "bias"):
                put(f"{theirs}{module}.{leaf}", f"{ours}{name}.{leaf}", D)
    head = "cls.predictions.transform."
    put(f"{head}dense.weight", "vocab_transform.weight", D, D)
    put(f"{head}dense.bias", "vocab_transform.bias", D)
    put(f"{head}LayerNorm.weight", "vocab_layer_norm.weight", D)
    put(f"{head}LayerNorm.bias", "vocab_layer_norm.bias", D)
    put("cls.predictions.bias", "vocab_projector.bias", V)
    types = rng.standard_normal((2, D)).astype(kind)
    positions = "distilbert.embeddings.position_embeddings.weight"
    folded[positions] = (folded[positions].astype(np.float64) + types[0].astype(np.float64)).astype(
        kind
    )
    stored[f"{prefix}embeddings.token_type_embeddings.weight"] = types
    stored[f"{prefix}pooler.dense.weight"] = rng.standard_normal((D, D)).astype(kind)
    stored[f"{prefix}pooler.dense.bias"] = np.zeros(D, kind)
    if layout == "tf":
        return {_tf_name(name): _tf_value(name, value) for name, value in stored.items()}, folded
    stored[f"{prefix}embeddings.position_ids"] = np.arange(P)[None]
    stored["cls.predictions.decoder.weight"] = folded[
        "distilbert.embeddings.word_embeddings.weight"
    ]
    stored["cls.predictions.decoder.bias"] = stored["cls.predictions.bias"]
    stored["cls.seq_relationship.weight"] = np.zeros((2, D), kind)
    stored["cls.seq_relationship.bias"] = np.zeros(2, kind)
    return stored, folded


def _tf_name(name: str) -> str:
    """The name that transformers' TensorFlow BERT has for a weight."""
    module, _, leaf = name.rpartition(".")
    if module.endswith("LayerNorm"):
        leaf = {"weight": "gamma", "bias": "beta"}[leaf]
    elif module.endswith(("position_embeddings", "token_type_embeddings")):
        leaf = "embeddings"
    elif not module.endswith("word_embeddings") and leaf == "weight":
        leaf = "kernel"
    path = module.replace(".layer.", ".layer_._").replace("cls.", "mlm___cls.")
    path = path.replace(".", "/").replace("layer_/_", "layer_._")
    return f"{path}/{leaf}:0"


def _tf_value(name: str, value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return value.T if value.ndim == 2 and "embeddings" not in name else value


def renamed(arrays: Arrays, change: Any) -> Arrays:
    return {change(name): array for name, array in arrays.items()}


def check_silently(match: Match) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        match.report.check(name="model")


@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod.", "_orig_mod.module.",
                                     "module._orig_mod."])  # fmt: skip
@pytest.mark.parametrize("prefix", ["distilbert.", ""])
def test_prefixes(tmp_path: Path, prefix: str, wrapper: str) -> None:
    config = tiny_config()
    arrays = random_weights(config, "base")
    write(tmp_path, renamed(arrays, lambda name: wrapper + prefix + name))
    found, match = load(tmp_path, config, "base")
    check_silently(match)
    assert_same_bits(found, arrays)


def test_names_that_come_to_the_same(tmp_path: Path) -> None:
    arrays = random_weights(tiny_config(), "base")
    write(tmp_path, arrays | renamed(arrays, lambda name: f"module.{name}"))
    with pytest.raises(CheckpointError, match="same name"):
        load(tmp_path, tiny_config(), "base")


def test_half_with_a_prefix_is_no_encoder(tmp_path: Path) -> None:
    arrays = random_weights(tiny_config(), "base")
    write(
        tmp_path,
        renamed(arrays, lambda name: f"distilbert.{name}" if ".layer.1." in name else name),
    )
    report = load(tmp_path, tiny_config(), "base")[1].report
    assert len(report.missing) == len(report.unexpected) == 16
    with pytest.raises(WeightsError, match="missing"):
        report.check(name="half")


def test_legacy_norms(tmp_path: Path) -> None:
    config = tiny_config()
    arrays = random_weights(config, "masked-lm")

    def legacy(name: str) -> str:
        module, _, leaf = name.rpartition(".")
        if not module.endswith(("LayerNorm", "layer_norm")):
            return name
        return f"{module}.{'gamma' if leaf == 'weight' else 'beta'}"

    old = renamed(arrays, legacy)
    assert "vocab_layer_norm.gamma" in old
    write(tmp_path, old | {"distilbert.embeddings.position_ids": np.arange(13)[None]})
    found, match = load(tmp_path, config, "masked-lm")
    check_silently(match)
    assert_same_bits(found, arrays)


@pytest.mark.parametrize("format", ["safetensors", "h5"])
@pytest.mark.parametrize("task", [task for task in spec.HEADS if task != "base"])
def test_base_to_head_and_back(tmp_path: Path, task: str, format: str) -> None:  # noqa: A002
    config = tiny_config(num_labels=2)
    base = save(tmp_path / "base", config, "base", format=format)
    found, match = load(tmp_path / "base", config, task)
    assert_same_bits(found, renamed(base, lambda name: f"distilbert.{name}"))
    head = [w.name for w in spec.parameters(config, task) if not w.in_encoder]
    assert [finding.name for finding in match.report.missing] == head
    assert match.report.new_head
    with pytest.warns(CheckpointWarning) as caught:
        match.report.check(name="base")
    assert all(f"- {name}" in str(caught[0].message) for name in head)

    saved = save(tmp_path / "head", config, task, format=format)
    found, match = load(tmp_path / "head", config, "base")
    encoder = {
        name.removeprefix("distilbert."): array
        for name, array in saved.items()
        if name.startswith("distilbert.")
    }
    assert_same_bits(found, encoder)
    assert not match.report.new_head
    assert len(match.report.unexpected) == len(head)
    with pytest.warns(CheckpointWarning, match=r"\+ "):
        match.report.check(name="head")


def test_tied_projector_in_the_file(tmp_path: Path) -> None:
    config = tiny_config()
    arrays = random_weights(config, "masked-lm")
    words = arrays["distilbert.embeddings.word_embeddings.weight"]
    write(tmp_path, arrays | {"vocab_projector.weight": words})
    found, match = load(tmp_path, config, "masked-lm")
    assert "vocab_projector.weight" not in found
    check_silently(match)
    write(tmp_path, arrays | {"vocab_projector.weight": words + 1})
    _, match = load(tmp_path, config, "masked-lm")
    with pytest.warns(CheckpointWarning, match=r"\+ vocab_projector.weight \(31, 8\)"):
        match.report.check(name="untied")
    untied = tiny_config(tie_word_embeddings=False)
    found, match = load(tmp_path, untied, "masked-lm")
    check_silently(match)
    np.testing.assert_array_equal(found["vocab_projector.weight"], words + 1)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("layout", "prefix"), [("pt", "bert."), ("pt", ""), ("tf", "bert.")])
def test_bert_folds(tmp_path: Path, layout: str, prefix: str, dtype: str) -> None:
    config = tiny_config()
    stored, folded = bert_weights(config, dtype=dtype, layout=layout, prefix=prefix)
    write(tmp_path, stored)
    found, match = load(tmp_path, config, "masked-lm")
    check_silently(match)
    assert_same_bits(found, folded)


def test_bert_encoder_alone(tmp_path: Path) -> None:
    config = tiny_config()
    stored, folded = bert_weights(config, prefix="")
    write(tmp_path, {name: array for name, array in stored.items() if not name.startswith("cls.")})
    found, match = load(tmp_path, config, "base")
    check_silently(match)
    encoder = {
        name.removeprefix("distilbert."): array
        for name, array in folded.items()
        if name.startswith("distilbert.")
    }
    assert_same_bits(found, encoder)


def test_bert_is_folded_in_the_type_asked_for(tmp_path: Path) -> None:
    config = tiny_config()
    stored, _ = bert_weights(config, dtype="bfloat16")
    write(tmp_path, stored)
    name = "distilbert.embeddings.position_embeddings.weight"
    with open_checkpoint(tmp_path) as checkpoint:
        source = match_weights(checkpoint, config, "masked-lm").sources[name]
        found = source.read(dtype=np.dtype(np.float32))
    positions = stored["bert.embeddings.position_embeddings.weight"].astype(np.float32)
    types = stored["bert.embeddings.token_type_embeddings.weight"].astype(np.float32)
    np.testing.assert_array_equal(found, positions + types[0], strict=True)


def test_old_bert(tmp_path: Path) -> None:
    """Without a bias beside the decoder, and with the first names of LayerNorm's weights."""
    config = tiny_config()
    stored, folded = bert_weights(config)
    del stored["cls.predictions.decoder.bias"]
    old = renamed(
        stored,
        lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ),
    )
    write(tmp_path, old)
    found, match = load(tmp_path, config, "masked-lm")
    check_silently(match)
    assert_same_bits(found, folded)


@pytest.mark.parametrize(
    ("task", "head"), [("token-classification", "classifier"), ("question-answering", "qa_outputs")]
)
def test_bert_heads_that_distilbert_has(tmp_path: Path, task: str, head: str) -> None:
    config = tiny_config(num_labels=2)
    stored, _ = bert_weights(config)
    rng = np.random.default_rng(1)
    own = {
        f"{head}.weight": rng.standard_normal((2, 8)).astype(np.float32),
        f"{head}.bias": rng.standard_normal(2).astype(np.float32),
    }
    encoder = {name: value for name, value in stored.items() if not name.startswith("cls.")}
    write(tmp_path, encoder | own)
    found, match = load(tmp_path, config, task)
    check_silently(match)
    assert_same_bits({name: found[name] for name in own}, own)


def test_berts_sentence_head_is_another_function(tmp_path: Path) -> None:
    config = tiny_config(num_labels=2)
    stored, _ = bert_weights(config)
    encoder = {name: value for name, value in stored.items() if not name.startswith("cls.")}
    head = {
        "classifier.weight": np.zeros((2, 8), np.float32),
        "classifier.bias": np.zeros(2, np.float32),
    }
    write(tmp_path, encoder | head)
    found, match = load(tmp_path, config, "sequence-classification")
    assert "classifier.weight" not in found
    assert {finding.name for finding in match.report.unexpected} == set(head)


@pytest.mark.parametrize("shape", [(0, 8), (2, 9), (8,), (2, 1, 8)])
def test_token_types_that_cannot_be_added(tmp_path: Path, shape: tuple[int, ...]) -> None:
    stored, _ = bert_weights(tiny_config())
    stored["bert.embeddings.token_type_embeddings.weight"] = np.zeros(shape, np.float32)
    write(tmp_path, stored)
    with pytest.raises(WeightsError, match="added to the positions"):
        load(tmp_path, tiny_config(), "base")


def test_token_types_that_are_integers(tmp_path: Path) -> None:
    stored, _ = bert_weights(tiny_config())
    stored["bert.embeddings.token_type_embeddings.weight"] = np.zeros((2, 8), np.int64)
    write(tmp_path, stored)
    with pytest.raises(WeightsError, match="hold floating-point"):
        load(tmp_path, tiny_config(), "base")


def test_bert_without_token_types(tmp_path: Path) -> None:
    stored, _ = bert_weights(tiny_config())
    del stored["bert.embeddings.token_type_embeddings.weight"]
    write(tmp_path, stored)
    with pytest.raises(WeightsError, match="no token types"):
        load(tmp_path, tiny_config(), "base")


def test_mismatched_shapes(tmp_path: Path) -> None:
    save(tmp_path, tiny_config(num_labels=3))
    _, match = load(tmp_path, tiny_config(num_labels=5), "sequence-classification")
    with pytest.raises(WeightsError, match="ignore_mismatched_sizes") as raised:
        match.report.check(name="labels")
    assert "! classifier.weight expected (5, 8), found (3, 8)" in str(raised.value)
    assert match.report.new_head
    with pytest.warns(CheckpointWarning, match="! classifier.bias"):
        match.report.check(name="labels", ignore_mismatched_sizes=True)
    _, match = load(tmp_path, tiny_config(vocab_size=30), "sequence-classification")
    with pytest.raises(WeightsError, match="encoder"):
        match.report.check(name="vocabulary", ignore_mismatched_sizes=True)


@pytest.mark.parametrize("format", ["safetensors", "tf-safetensors", "h5"])
def test_transposed_matrices_do_not_fit(tmp_path: Path, format: str) -> None:  # noqa: A002
    """hidden_dim and dim swapped: every number of elements is right, and every shape wrong."""
    save(tmp_path, tiny_config(), format=format)
    swapped = tiny_config(dim=20, hidden_dim=8)
    with pytest.raises(WeightsError):
        load(tmp_path, swapped, "base")[1].report.check(name="swapped")


def test_nothing_of_an_encoder(tmp_path: Path) -> None:
    write(tmp_path, {f"h.{n}.attn.c_attn.weight": np.zeros((2, 2), np.float32) for n in range(500)})
    _, match = load(tmp_path, tiny_config(), "base")
    assert match.sources == {}
    with pytest.raises(WeightsError, match="no weights of the encoder") as raised:
        match.report.check(name="gpt2")
    assert "\n    + h.59.attn.c_attn.weight (2, 2)\n    ... and 440 more\n" in str(raised.value)
    write(tmp_path, {})
    with pytest.raises(WeightsError, match="no tensors"):
        load(tmp_path, tiny_config(), "base")[1].report.check(name="empty")


def test_layers_are_folded_in_messages(tmp_path: Path) -> None:
    save(tmp_path, tiny_config(n_layers=2), "base")
    _, match = load(tmp_path, tiny_config(n_layers=6), "base")
    with pytest.raises(WeightsError) as raised:
        match.report.check(name="short")
    text = str(raised.value)
    assert "- transformer.layer.{2-5}.ffn.lin1.weight (20, 8)" in text
    assert text.count("\n    ") == 16
    _, match = load(tmp_path, tiny_config(n_layers=1), "base")
    with pytest.warns(CheckpointWarning, match=r"\+ transformer.layer.1.ffn.lin1.weight \(20, 8\)"):
        match.report.check(name="long")


def test_the_format_that_is_asked_for(tmp_path: Path) -> None:
    save(tmp_path, tiny_config(), "base", format="tf-safetensors")
    with pytest.raises(CheckpointNotFoundError, match="no weights in this format") as raised:
        open_checkpoint(tmp_path, format="safetensors")
    assert (raised.value.expected, raised.value.found) == ("safetensors", "tf-safetensors")
    with open_checkpoint(tmp_path, format="tf-safetensors") as checkpoint:
        assert checkpoint.layout == "tf"


def test_one_weight_of_two_models_of_tensorflow(tmp_path: Path) -> None:
    """The name of the model goes; what is left may stand there twice only with the same values."""
    kernel = np.ones((2, 3), np.float32)
    for other in (kernel, kernel * 2):
        write(tmp_path, {"tf_a/classifier/kernel:0": kernel, "tf_b/classifier/kernel:0": other})
        if other is kernel:
            with open_checkpoint(tmp_path) as checkpoint:
                assert list(checkpoint.tensors) == ["classifier/kernel:0"]
        else:
            with pytest.raises(CheckpointError, match="twice, with different values"):
                open_checkpoint(tmp_path)


def test_layers_that_do_not_follow_each_other(tmp_path: Path) -> None:
    arrays = random_weights(tiny_config(n_layers=4), "base")
    lacking = [f"transformer.layer.{layer}.ffn.lin1.bias" for layer in (1, 3)]
    write(tmp_path, {name: array for name, array in arrays.items() if name not in lacking})
    _, match = load(tmp_path, tiny_config(n_layers=4), "base")
    with pytest.raises(WeightsError) as raised:
        match.report.check(name="holes")
    assert raised.value.found == "\n    - transformer.layer.{1,3}.ffn.lin1.bias (20,)"
    assert match.report.as_lists() == {
        "missing_keys": lacking, "unexpected_keys": [], "mismatched_keys": [], "error_msgs": [],
    }  # fmt: skip


def test_an_encoder_of_another_shape_is_an_encoder(tmp_path: Path) -> None:
    """Not one weight fits, and yet they are those of a DistilBERT."""
    save(tmp_path, tiny_config(), "base")
    _, match = load(tmp_path, tiny_config(dim=10, hidden_dim=6), "base")
    with pytest.raises(WeightsError, match="other shapes"):
        match.report.check(name="wide")
    found = match.report.as_lists()["mismatched_keys"]
    assert ("embeddings.LayerNorm.bias", (8,), (10,)) in found


def test_integers_are_no_weights(tmp_path: Path) -> None:
    arrays = random_weights(tiny_config(), "base")
    name = "embeddings.LayerNorm.bias"
    write(tmp_path, arrays | {name: arrays[name].astype(np.int64)})
    with pytest.raises(WeightsError, match="floating-point"):
        load(tmp_path, tiny_config(), "base")


def test_suffixes_do_not_match(tmp_path: Path) -> None:
    arrays = random_weights(tiny_config(), "base")
    write(tmp_path, renamed(arrays, lambda name: f"teacher.{name}"))
    with pytest.raises(WeightsError, match="no weights of the encoder"):
        load(tmp_path, tiny_config(), "base")[1].report.check(name="teacher")


@pytest.mark.parametrize("format", ["safetensors", "tf-safetensors", "h5"])
def test_reading_copies_nothing(tmp_path: Path, format: str) -> None:  # noqa: A002
    config = tiny_config()
    save(tmp_path, config, format=format)
    with open_checkpoint(tmp_path) as checkpoint:
        match = match_weights(checkpoint, config, "sequence-classification")
        for source in match.sources.values():
            array = source.read()
            assert np.shares_memory(array, source.tensor.read())
            assert array.shape == source.shape
            assert array.dtype == source.dtype
            wide = source.read(dtype=np.dtype(np.float64))
            assert wide.dtype == np.float64


@pytest.mark.parametrize("format", ["safetensors", "tf-safetensors", "h5"])
def test_what_is_not_mapped_is_a_copy(tmp_path: Path, format: str) -> None:  # noqa: A002
    config = tiny_config(num_labels=1)  # the classifier's kernel is one column: transposed, it
    saved = save(tmp_path, config, format=format)  # lies in memory as it did before
    with open_checkpoint(tmp_path) as checkpoint:
        match = match_weights(checkpoint, config, "sequence-classification")
        for name, source in match.sources.items():
            array = source.read(mapped=False)
            assert not np.shares_memory(array, source.tensor.read())
            assert array.flags.c_contiguous
            assert array.flags.writeable
            np.testing.assert_array_equal(array, saved[name])


def test_pruned_heads(tmp_path: Path) -> None:
    config = tiny_config(pruned_heads={0: [1]})
    saved = save(tmp_path, config, "base")
    assert saved["transformer.layer.0.attention.q_lin.weight"].shape == (4, 8)
    check_silently(load(tmp_path, config, "base")[1])
    with pytest.raises(WeightsError):
        load(tmp_path, tiny_config(), "base")[1].report.check(name="pruned")


def test_bfloat16_has_its_own_type(tmp_path: Path) -> None:
    save(tmp_path, tiny_config(), "base", stored="bfloat16")
    found, _ = load(tmp_path, tiny_config(), "base")
    assert {array.dtype for array in found.values()} == {np.dtype(ml_dtypes.bfloat16)}
