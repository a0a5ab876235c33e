"""What phones run gives what the plain model gives."""

import json

import numpy as np
import pytest

import distil
from distil.cli import main
from support.exports import Case, saved
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


@pytest.mark.parametrize("form", ["litert", "executorch"])
def test_the_command(tmp_path, form, capsys):
    saved(tmp_path / "model", "sequence-classification")
    command = ["export", str(tmp_path / "model"), str(tmp_path / "one"), "--to", form, "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["proven"], found["form"]) == (True, form)


def test_int8_of_litert_is_not_calibrated(tmp_path):
    with pytest.raises(distil.InputError, match="calibration would not be used"):
        distil.export(
            "sst2-small", tmp_path / "export", "litert", dtype="int8", calibration=["a text"]
        )
