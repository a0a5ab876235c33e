"""What phones run gives what the plain model gives."""

import json

import numpy as np
import pytest

import distil
from distil.cli import main
from support.exports import Case, check_a_cut_file_is_not_left, saved, written
from support.models import ALL_TASKS

pytest.importorskip("ai_edge_litert")
pytest.importorskip("ai_edge_quantizer")
pytest.importorskip("executorch")

pytestmark = [
    pytest.mark.pt,
    pytest.mark.tf,
    # What ExecuTorch uses of Python and of PyTorch.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.mark.parametrize("task", [*ALL_TASKS, "max"])
def test_litert(tmp_path, task):
    case = Case(tmp_path / "model", task)
    run = case.export(tmp_path / "export", "litert")
    case.check(run(**case.batch))
    # Another size: the interpreter is resized.
    smaller = {name: array[..., :1] for name, array in case.batch.items()}
    assert all(np.isfinite(values).all() for values in run(**smaller).values())


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2e-2), ("int8", 0.3)])
def test_litert_in_smaller_types(tmp_path, dtype, tolerance, capfd):
    case = Case(tmp_path / "model", "sequence-classification")
    capfd.readouterr()
    found = case.export(tmp_path / "export", "litert", dtype)(**case.batch)
    assert capfd.readouterr().out == ""
    case.check(found, rtol=tolerance, atol=tolerance)
    assert not np.allclose(found["logits"], case.expected["logits"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("task", ["question-answering", "multiple-choice"])
def test_executorch(tmp_path, task):
    case = Case(tmp_path / "model", task)
    case.check(case.export(tmp_path / "export", "executorch")(**case.batch))


def test_executorch_in_int8(tmp_path):
    case = Case(tmp_path / "model", "sequence-classification")
    found = case.export(tmp_path / "export", "executorch", "int8")(**case.batch)
    case.check(found, rtol=0.3, atol=0.3)
    assert not np.allclose(found["logits"], case.expected["logits"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("form", "suffix"), [("litert", "tflite"), ("executorch", "pte")])
def test_int8_stores_embeddings_in_bytes(tmp_path, form, suffix):
    saved(tmp_path / "model", "sequence-classification", vocab_size=20_000)
    written(tmp_path / "model", tmp_path / "export", form, "int8")
    file = tmp_path / "export" / f"model_quantized.{suffix}"
    assert file.stat().st_size < 20_000 * (32 + 4) + 200_000


@pytest.mark.parametrize("form", ["litert", "executorch"])
def test_a_file_cut_in_half_is_not_left(tmp_path, form, monkeypatch):
    check_a_cut_file_is_not_left(tmp_path, form, monkeypatch)


@pytest.mark.parametrize("form", ["litert", "executorch"])
def test_the_command(tmp_path, form, capsys):
    saved(tmp_path / "model", "sequence-classification")
    command = ["export", str(tmp_path / "model"), str(tmp_path / "one"), "--to", form, "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["proven"], found["form"]) == (True, form)


@pytest.mark.parametrize("form", ["litert", "executorch"])
def test_int8_that_is_not_calibrated(tmp_path, form):
    with pytest.raises(distil.InputError, match="calibration would not be used"):
        distil.export("sst2-small", tmp_path / "export", form, dtype="int8", calibration=["a text"])
