"""What PyTorch and TensorFlow export gives the same, and what the plain model gives."""

import json

import numpy as np
import pytest
import torch

import distil
from distil.common.sentences import POOLINGS, SentenceEncoding
from distil.exporting.forms import FORMS
from distil.frameworks import part
from support.exports import Case, check_a_cut_file_is_not_left, pooled, saved
from support.models import ALL_TASKS, batch_for, build, config_for

pytestmark = [pytest.mark.pt, pytest.mark.tf]


@pytest.mark.parametrize("task", [*ALL_TASKS, "mean"])
def test_both_give_what_the_plain_model_gives(tmp_path, task):
    case = Case(tmp_path / "model", task)
    found = {
        form: case.export(tmp_path / form, form)(**case.batch) for form in ("pt2", "savedmodel")
    }
    for outputs in found.values():
        case.check(outputs)
    for name, values in found["pt2"].items():
        place = case.tokens(values)
        other = found["savedmodel"][name]
        np.testing.assert_allclose(values[place], other[place], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling(pooling, normalize):
    batch = batch_for(config_for("base"), "base", mask="holes", labels=False)
    shown = batch["attention_mask"] != 0
    encoding = SentenceEncoding(pooling=pooling, normalize=normalize)
    for framework, to_tensor in (("pt", torch.from_numpy), ("tf", np.asarray)):
        model = build(framework, config_for("base"), "base", dtype="float32")
        inputs = {name: to_tensor(array) for name, array in batch.items()}
        states = model(**inputs).last_hidden_state
        made = part(framework, "inference.exported").ExportedModel(model, encoding)
        call = made if framework == "pt" else made.call
        expected = pooled(_array(states), shown, pooling, normalize=normalize)
        [found] = call(**inputs).values()
        np.testing.assert_allclose(_array(found), expected, rtol=1e-5, atol=1e-6)


def _array(tensor):
    return (tensor.detach() if hasattr(tensor, "detach") else tensor).numpy()


@pytest.mark.parametrize("form", ["pt2", "savedmodel"])
def test_any_size(tmp_path, form):
    """One row, one token and the longest text are no special cases."""
    model = saved(tmp_path / "model", "token-classification")
    case = Case(tmp_path / "again", "token-classification")
    run = case.export(tmp_path / "export", form)
    for rows, length in ((1, 1), (1, 20), (5, 1), (4, 7)):
        ids = np.random.default_rng(0).integers(0, 61, (rows, length))
        mask = np.ones_like(ids)
        with torch.no_grad():
            expected = model(torch.from_numpy(ids)).logits
        np.testing.assert_allclose(run(ids, mask)["logits"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", ["sequence-classification", "mean"])
@pytest.mark.parametrize("form", ["pt2", "savedmodel"])
def test_float16(tmp_path, form, task):
    case = Case(tmp_path / "model", task)
    found = case.export(tmp_path / "export", form, "float16")(**case.batch)
    case.check(found, rtol=2e-2, atol=2e-2)


def test_both_types_of_a_saved_model_in_one_folder(tmp_path):
    saved(tmp_path / "model", "sequence-classification")
    folder = tmp_path / "export"
    for dtype in ("float32", "float16"):
        assert distil.export(tmp_path / "model", folder, "savedmodel", dtype=dtype).proven
    assert {path.name for path in folder.glob("saved_*")} == {"saved_model", "saved_model_fp16"}


def test_signatures_of_a_saved_model(tmp_path):
    import tensorflow as tf

    case = Case(tmp_path / "model", "question-answering")
    case.export(tmp_path, "savedmodel")
    signatures = tf.saved_model.load(str(tmp_path / "saved_model/1")).signatures
    assert set(signatures) == {"serving_default", "question_answering"}
    _, inputs = signatures["serving_default"].structured_input_signature
    assert {name: one.dtype for name, one in inputs.items()} == {
        "input_ids": tf.int64, "attention_mask": tf.int64,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["pt2", "savedmodel"])
def test_a_file_cut_in_half_is_not_left(tmp_path, form, monkeypatch):
    check_a_cut_file_is_not_left(tmp_path, form, monkeypatch)


@pytest.mark.parametrize("form", ["pt2", "savedmodel"])
def test_proven(tmp_path, form):
    saved(tmp_path / "model", "sequence-classification")
    exported = distil.export(tmp_path / "model", tmp_path / "export", form)
    assert exported.proven
    assert exported.proof.reference == FORMS[form].framework
    assert json.loads((tmp_path / "export/export.json").read_text())["form"] == form
