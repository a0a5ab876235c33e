"""An export is proven by its own runtime, or nothing of it is left."""

import json
import signal
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import distil
from distil.checkpoints.located import locate
from distil.checkpoints.sentence_files import write_encoding
from distil.cli import export as command
from distil.cli import main
from distil.common.config_rules import ACTIVATIONS
from distil.common.sentences import SentenceEncoding
from distil.errors import (
    CheckpointError,
    ExportError,
    FrameworkError,
    InputError,
    TokenizerError,
    WeightsError,
)
from distil.exporting import comparing, forms
from distil.exporting.folder import digest
from distil.exporting.forms import FORMS
from distil.exporting.source import make_source
from distil.optimization import calibration_of
from support.exports import EVERY_TASK, Case, cut_in_half, outputs, saved, written
from support.folders import make_folder
from support.models import CONFIGS, batch_for, build, config_for, spread

pytestmark = [pytest.mark.pt, pytest.mark.openvino, pytest.mark.onnxruntime]

every_form = pytest.mark.parametrize("form", ["onnx", "openvino"])


@every_form
@pytest.mark.parametrize("mask", ["full", "ragged", "holes"])
@pytest.mark.parametrize("task", EVERY_TASK)
def test_every_task_gives_what_the_plain_model_gives(tmp_path, form, task, mask):
    case = Case(tmp_path / "model", task, mask)
    found = case.export(tmp_path / "export", form)(**case.batch)
    case.check(found)
    for values in found.values():
        if case.tokens(values) is not ...:
            nothing = -10_000 if task == "question-answering" else 0
            assert (values[~case.shown] == nothing).all()


@every_form
@pytest.mark.parametrize("changes", [*CONFIGS.values(), *({"activation": a} for a in ACTIVATIONS)])
def test_every_configuration(tmp_path, form, changes):
    model = saved(tmp_path / "model", "masked-lm", **changes)
    run = written(tmp_path / "model", tmp_path / "export", form)
    batch = batch_for(model.config, "masked-lm", mask="full", labels=False)
    np.testing.assert_allclose(
        run(**batch)["logits"], outputs(model, batch)["logits"], rtol=1e-4, atol=1e-5
    )


@every_form
@pytest.mark.parametrize("task", ["sequence-classification", "token-classification"])
def test_a_row_without_tokens_is_read_whole_and_sees_no_other(tmp_path, form, task):
    model = saved(tmp_path / "model", task)
    run = written(tmp_path / "model", tmp_path / "export", form)
    batch = batch_for(model.config, task, mask="full", labels=False)
    whole = run(**batch)["logits"]
    batch["attention_mask"][1] = 0
    np.testing.assert_allclose(run(**batch)["logits"], whole, rtol=1e-5, atol=1e-6)
    batch["attention_mask"][:] = 0
    np.testing.assert_allclose(run(**batch)["logits"], whole, rtol=1e-5, atol=1e-6)


@every_form
def test_padding_at_the_left(tmp_path, form):
    """The first token that is shown decides, as in every engine; not one of the row before."""
    model = saved(tmp_path / "model", "sequence-classification")
    run = written(tmp_path / "model", tmp_path / "export", form)
    batch = batch_for(model.config, model.task, mask="full", labels=False)
    batch["attention_mask"][:, :3] = 0
    ids = batch["input_ids"][:, 3:]
    with torch.no_grad():
        positions = torch.arange(3, 9)[None].expand(3, -1)
        expected = model(torch.from_numpy(ids), position_ids=positions).logits
    np.testing.assert_allclose(run(**batch)["logits"], expected, rtol=1e-4, atol=1e-5)


def test_tied_weights_are_stored_once(tmp_path):
    saved(tmp_path / "model", "masked-lm", vocab_size=5000)
    for dtype, size in (("float32", 4), ("float16", 2)):
        written(tmp_path / "model", tmp_path / "export", "onnx", dtype)
        file = tmp_path / "export/onnx" / f"{forms.STEMS[dtype]}.onnx"
        assert file.stat().st_size < 5000 * 32 * size + 100_000


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """The bundled model in one folder, in two types, each proven; the second one's result."""
    folder = tmp_path_factory.mktemp("bundled") / "export"
    distil.export("sst2-small", folder)
    return folder, distil.export("sst2-small", folder, dtype="int8", texts=["A fine film."] * 3)


def test_the_folder_has_what_transformers_js_loads(bundled):
    folder, _ = bundled
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "config.json", "export.json", "onnx/model.onnx", "onnx/model_quantized.onnx",
        "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
    }  # fmt: skip
    assert json.loads((folder / "config.json").read_text())["model_type"] == "distilbert"
    assert not list(folder.parent.glob(".*"))


def test_what_was_found_is_kept(bundled):
    folder, exported = bundled
    record = json.loads((folder / "export.json").read_text())
    assert record["inputs"]["input_ids"] == ["batch_size", "sequence_length"]
    weights = Path(distil.__file__).parent / "bundled/sst2-small/model.safetensors"
    assert record["source"][weights.name] == digest(weights)
    assert record["source"].keys() == {
        "model.safetensors", "config.json", "vocab.txt", "tokenizer.json",
        "tokenizer_config.json", "special_tokens_map.json",
    }  # fmt: skip
    assert record["types"].keys() == {"float32", "int8"}
    for entry in record["types"].values():
        [(name, file)] = entry["files"].items()
        assert file["sha256"] == digest(folder / name)
        assert [one["name"] for one in entry["proof"]["findings"]] == [
            "1x1", "1x2", "2x9", "7x33", "3x128", "1x512", "texts",
        ]  # fmt: skip
    worst = max(one["difference"] for one in record["types"]["float32"]["proof"]["findings"])
    assert worst < 1e-5
    assert exported.proven
    assert exported.to_dict()["proof"]["findings"][-1]["rows"] == 3


def test_int8_stores_embeddings_in_bytes(bundled):
    folder, exported = bundled
    assert exported.bytes < 10_000_000
    model = onnx.load(folder / "onnx/model_quantized.onnx")
    onnx.checker.check_model(onnx.load(folder / "onnx/model.onnx"))
    large = {
        one.name: onnx.TensorProto.DataType.Name(one.data_type)
        for one in model.graph.initializer
        if np.prod(one.dims) > 100_000
    }
    assert set(large.values()) == {"INT8", "FLOAT16"}
    assert [name for name, kind in large.items() if kind == "FLOAT16"] == [
        "pre_classifier.weight in float16"
    ]


def test_int8_of_masked_lm(tmp_path):
    """The projection to the vocabulary takes the embeddings' bytes."""
    saved(tmp_path / "model", "masked-lm", vocab_size=5000)
    with locate(tmp_path / "model") as found:
        own = calibration_of(found.config, found.folder, None)
        object.__setattr__(own, "sequences", lambda: [list(range(1, 20))] * 3)
        object.__setattr__(own, "cache", None)
        source = make_source(found, None, None, own)
        path = FORMS["onnx"].module.write(source, tmp_path / "export", "int8")
        batch = batch_for(found.config, "masked-lm", mask="ragged", labels=False)
        model = source.model("pt")
    assert path.stat().st_size < 5000 * (32 + 8) + 120_000
    found = FORMS["onnx"].module.open_runtime(path)(**batch)["logits"]
    shown = batch["attention_mask"] != 0
    expected = outputs(model, batch)["logits"][shown]
    assert np.square(found[shown] - expected).mean() < 0.05 * np.square(expected).mean()


# What goes wrong.


def slightly_wrong(write):
    """One bias of the classifier is off by a hundredth."""

    def wrong(source, folder, dtype):
        path = write(source, folder, dtype)
        model = onnx.load(path)
        for one in model.graph.initializer:
            if one.name == "classifier.bias":
                array = onnx.numpy_helper.to_array(one) + np.float32(0.01)
                one.CopyFrom(onnx.numpy_helper.from_array(array, one.name))
        onnx.save(model, path)
        return path

    return wrong


def for_a_newer_runtime(write):
    def newer(source, folder, dtype):
        path = write(source, folder, dtype)
        model = onnx.load(path)
        model.ir_version = 99
        path.write_bytes(model.SerializeToString())
        return path

    return newer


def interrupted(write):
    def stop(source, folder, dtype):
        write(source, folder, dtype)
        raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize(("attack", "error", "message"), [
    (cut_in_half, ExportError, "onnxruntime cannot run the export, and nothing of it is left"),
    (for_a_newer_runtime, ExportError, "Unsupported model IR version: 99"),
    (slightly_wrong, ExportError, "does not give what the plain model gives, and nothing"),
    (interrupted, KeyboardInterrupt, None),
])  # fmt: skip
def test_what_falls_short_is_not_left(tmp_path, monkeypatch, attack, error, message):
    saved(tmp_path / "model", "sequence-classification")
    module = FORMS["onnx"].module
    monkeypatch.setattr(module, "write", attack(module.write))
    with pytest.raises(error, match=message) as caught:
        distil.export(tmp_path / "model", tmp_path / "export")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    if attack is slightly_wrong:
        assert caught.value.exported.proof.findings[0].difference == pytest.approx(0.01, rel=1e-2)


def test_an_ir_that_was_cut_short_is_not_left(tmp_path, monkeypatch):
    saved(tmp_path / "model", "sequence-classification")
    module = FORMS["openvino"].module
    monkeypatch.setattr(module, "write", cut_in_half(module.write))
    with pytest.raises(ExportError, match="openvino cannot run the export"):
        distil.export(tmp_path / "model", tmp_path / "export", "openvino")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_no_folder_is_made_for_what_falls_short(tmp_path, monkeypatch):
    saved(tmp_path / "model", "sequence-classification")
    module = FORMS["onnx"].module
    with monkeypatch.context() as patch:
        patch.setattr(module, "write", cut_in_half(module.write))
        with pytest.raises(ExportError):
            distil.export(tmp_path / "model", tmp_path / "a/b/export")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    distil.export(tmp_path / "model", tmp_path / "a/b/export", check=False)
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["export"]


def meanwhile(write, do):
    """Something else happens while an export is written."""
    happened = []

    def slow(source, folder, dtype):
        if not happened:
            happened.append(True)
            do()
        return write(source, folder, dtype)

    return slow


def test_another_type_that_came_meanwhile_is_kept(tmp_path, monkeypatch):
    saved(tmp_path / "model", "sequence-classification")
    folder = tmp_path / "export"

    def other():
        distil.export(tmp_path / "model", folder, dtype="float16", check=False)

    module = FORMS["onnx"].module
    monkeypatch.setattr(module, "write", meanwhile(module.write, other))
    distil.export(tmp_path / "model", folder, check=False)
    record = json.loads((folder / "export.json").read_text())
    assert record["types"].keys() == {"float32", "float16"}
    for entry in record["types"].values():
        assert all(digest(folder / name) == one["sha256"] for name, one in entry["files"].items())


def test_a_file_that_came_meanwhile_is_kept(tmp_path, monkeypatch):
    saved(tmp_path / "model", "sequence-classification")
    folder = tmp_path / "export"

    def other():
        folder.mkdir()
        (folder / "config.json").write_text("of something else")

    module = FORMS["onnx"].module
    monkeypatch.setattr(module, "write", meanwhile(module.write, other))
    with pytest.raises(CheckpointError, match="the folder holds something else"):
        distil.export(tmp_path / "model", folder, check=False)
    assert [path.read_text() for path in folder.iterdir()] == ["of something else"]


def test_the_record_says_nothing_of_a_file_that_is_not_there_yet(tmp_path, monkeypatch):
    saved(tmp_path / "model", "sequence-classification")
    folder = tmp_path / "export"
    distil.export(tmp_path / "model", folder, check=False)
    before = (folder / "export.json").read_bytes()
    replace = Path.replace

    def full(path, target):
        if path.name == "model_fp16.onnx":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(CheckpointError, match="the export cannot be written"):
        distil.export(tmp_path / "model", folder, dtype="float16", check=False)
    assert (folder / "export.json").read_bytes() == before


def test_the_signal_that_ends_a_process_leaves_nothing(tmp_path, monkeypatch):
    saved(tmp_path / "model", "sequence-classification")
    module = FORMS["onnx"].module

    def ended():
        assert [path.suffix for path in tmp_path.iterdir() if path.name != "model"] == [".tmp"]
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(module, "write", meanwhile(module.write, ended))
    # Without a handler of the command's own, this one lets the export go on.
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        assert main(["export", str(tmp_path / "model"), str(tmp_path / "export")]) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_falls_short_leaves_what_was_there(tmp_path, monkeypatch):
    saved(tmp_path / "model", "sequence-classification")
    folder = tmp_path / "export"
    distil.export(tmp_path / "model", folder, check=False)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    module = FORMS["onnx"].module
    monkeypatch.setattr(module, "write", cut_in_half(module.write))
    with pytest.raises(ExportError):
        distil.export(tmp_path / "model", folder, dtype="float16")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_not_a_number_falls_short(tmp_path):
    values = np.full((2, 3), np.nan, np.float32)
    with locate("sst2-small") as found:
        source = make_source(found, None, None, calibration_of(found.config, found.folder, None))
        batch = comparing.Batch(name="2x3", ids=np.ones((2, 3), np.int64), mask=np.ones((2, 3)))
        compared = comparing.compare(source, batch, {"logits": values}, {"logits": np.ones((2, 3))})
        [finding] = comparing.findings_of({"2x3": [(compared, 0.1)]})
        assert finding.difference == float("inf")
        assert not any(finding.holds(limits) for limits in comparing.LIMITS.values())
        with pytest.raises(distil.DistilError, match="does not give what it should"):
            comparing.compare(source, batch, {"logits": values[:1]}, {"logits": np.ones((2, 3))})


@pytest.mark.parametrize(("name", "typical", "labels", "holds"), [
    ("texts", 0.2, 0.96, True), ("texts", 0.3, 0.96, False), ("texts", 0.2, 0.94, False),
    ("1x2", 0.3, 0.0, True), ("1x2", 1.1, 1.0, False), ("1x2", 0.7, 1.0, False),
])  # fmt: skip
def test_what_int8_admits(name, typical, labels, holds):
    finding = comparing.Finding(
        name=name, rows=1, difference=9.0, largest=1.0, typical=typical, labels=labels, seconds=0.0
    )
    assert finding.holds(comparing.LIMITS["int8"]) is holds


@pytest.mark.parametrize(("found", "column"), [
    ({"largest": 1.0}, "relative"), ({"typical": 0.5}, "mean"), ({"labels": 0.5}, "labels"),
    ({"typical": float("nan")}, "mean"), ({}, None),
])  # fmt: skip
def test_what_is_beyond_its_limit_is_marked(found, column):
    columns = ("batch", "rows", "difference", "relative", "mean", "labels", "seconds")
    within = {"largest": 0.0, "typical": 0.0, "labels": 1.0}
    finding = comparing.Finding(
        name="texts", rows=1, difference=9.0, seconds=0.0, **{**within, **found}
    )
    excesses = finding.excesses(comparing.LIMITS["float32"])
    cells = zip(columns, command._row(finding, excesses), strict=True)
    assert [name for name, cell in cells if getattr(cell, "style", "")] == [column] * bool(found)


def test_a_folder_that_holds_something_else(tmp_path):
    saved(tmp_path / "model", "sequence-classification")
    model, folder = tmp_path / "model", tmp_path / "export"
    folder.mkdir()
    (folder / "thesis.txt").write_text("ten years")
    with pytest.raises(CheckpointError, match="the folder holds something else"):
        distil.export(model, folder, check=False)
    with pytest.raises(CheckpointError, match="the folder holds something else"):
        distil.export(model, model, check=False)
    with pytest.raises(CheckpointError, match="target is not a folder"):
        distil.export(model, folder / "thesis.txt", check=False)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    (folder / "thesis.txt").unlink()
    distil.export(model, folder, check=False)
    with pytest.raises(CheckpointError, match="holds this export already"):
        distil.export(model, folder, check=False)
    with pytest.raises(CheckpointError, match="the folder holds something else"):
        distil.export(model, folder, "openvino", check=False)
    saved(tmp_path / "another", "sequence-classification", n_layers=1)
    with pytest.raises(CheckpointError, match="the folder holds something else"):
        distil.export(tmp_path / "another", folder, dtype="float16", check=False)


@pytest.mark.parametrize(("file", "change"), [
    ("config.json", ('"gelu"', '"relu"')), ("vocab.txt", ("the", "thy")),
])  # fmt: skip
def test_the_same_weights_with_other_files_are_another_model(tmp_path, file, change):
    model, folder = tmp_path / "model", tmp_path / "export"
    model.mkdir()
    make_folder(model, "sequence-classification")
    distil.export(model, folder, check=False)
    path = model / file
    before = path.read_text()
    path.write_text(before.replace(*change))
    assert path.read_text() != before
    with pytest.raises(CheckpointError, match="an export with another source"):
        distil.export(model, folder, dtype="float16", check=False)
    path.write_text(before)
    distil.export(model, folder, dtype="float16", check=False)


def test_sentence_embeddings_of_another_length_are_another_model(tmp_path):
    model, folder = tmp_path / "model", tmp_path / "export"
    saved(model, "base")
    write_encoding(model, SentenceEncoding(normalize=False), dim=32)
    distil.export(model, folder, task="sentence-embeddings", check=False)
    write_encoding(model, SentenceEncoding(normalize=True), dim=32)
    with pytest.raises(CheckpointError, match="an export with another encoding"):
        distil.export(model, folder, dtype="float16", task="sentence-embeddings", check=False)


def test_a_head_made_new_is_refused(tmp_path):
    saved(tmp_path / "model", "base")
    with pytest.raises(WeightsError, match="no trained head for this task"):
        distil.export(tmp_path / "model", tmp_path / "export", task="token-classification")


def test_int8_without_anything_to_calibrate_on(tmp_path):
    saved(tmp_path / "model", "sequence-classification")
    with pytest.raises(TokenizerError, match=r"vocab\.txt"):
        distil.export(tmp_path / "model", tmp_path / "export", dtype="int8")
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(("options", "message"), [
    ({"to": "onx"}, "unknown form"),
    ({"dtype": "int4"}, "ONNX is not written in this type"),
    ({"calibration": ["a text"]}, "calibration would not be used"),
    ({"calibration": [], "dtype": "int8"}, "calibration holds no text"),
    ({"texts": []}, "texts holds no text"),
    ({"texts": "A fine film."}, "not a list"),
    ({"calibration": "A fine film.", "dtype": "int8"}, "not a list"),
    ({"texts": ["a text"], "check": False}, "texts would not be used"),
    ({"pooling": "mean"}, "only sentence embeddings are pooled"),
    ({"pooling": "median", "task": "sentence-embeddings"}, "unknown pooling"),
    ({"task": "translation"}, "unknown task"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        distil.export("sst2-small", tmp_path / "export", **options)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(forms, "find_spec", lambda name: None)
    with pytest.raises(FrameworkError, match=r'pip install "distil\[onnxruntime\]"'):
        distil.export("sst2-small", tmp_path / "export")


def test_a_runtime_that_comes_by_another_name(tmp_path, monkeypatch):
    names = {"onnx": ["onnx"], "onnxruntime": ["onnxruntime-gpu"]}
    versions = {"distil": "1", "onnx": "2", "onnxruntime-gpu": "3"}
    monkeypatch.setattr(forms, "packages_distributions", lambda: names)
    monkeypatch.setattr(forms, "version", versions.__getitem__)
    forms._distribution.cache_clear()
    try:
        exported = distil.export("sst2-small", tmp_path / "export", texts=["A fine film."])
    finally:
        forms._distribution.cache_clear()
    assert exported.proof.runtime == "onnxruntime-gpu 3"
    assert exported.versions == {"distil": "1", "onnx": "2", "onnxruntime": "3"}


def test_weights_too_large_for_float16(tmp_path):
    config = config_for("base")
    weights = spread(config, "base")
    weights["embeddings.word_embeddings.weight"] = np.full_like(
        weights["embeddings.word_embeddings.weight"], 1e5
    )
    build("pt", config, "base", weights).save_pretrained(tmp_path / "model")
    with pytest.raises(WeightsError, match="too large for float16"):
        distil.export(tmp_path / "model", tmp_path / "export", dtype="float16", check=False)


def test_the_command(tmp_path, capsys, monkeypatch):
    saved(tmp_path / "model", "sequence-classification")
    command = ["export", str(tmp_path / "model")]
    assert main([*command, str(tmp_path / "one"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["proven"], found["form"], found["dtype"]) == (True, "onnx", "float32")
    assert main([*command, str(tmp_path / "two"), "--no-check"]) == 0
    assert "Nothing was proven." in capsys.readouterr().out
    record = json.loads((tmp_path / "two/export.json").read_text())
    assert record["types"]["float32"]["proof"] is None
    module = FORMS["onnx"].module
    monkeypatch.setattr(module, "write", slightly_wrong(module.write))
    assert main([*command, str(tmp_path / "three"), "--json"]) == 1
    assert not json.loads(capsys.readouterr().out)["proven"]
    assert main([*command, str(tmp_path / "three")]) == 1
    said = capsys.readouterr()
    assert "1x512" in said.out
    assert "nothing of it is left" in said.err
    assert not (tmp_path / "three").exists()
