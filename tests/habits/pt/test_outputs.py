"""Outputs in the hands of PyTorch's own tools, which know dicts."""

import pytest
import torch
from torch.nn.parallel import scatter_gather

from distil.common.outputs import HeadOutput
from support.models import ALL_TASKS, batch_for, build, config_for

pytestmark = pytest.mark.pt


@pytest.fixture(params=ALL_TASKS)
def model(request):
    return build("pt", config_for(request.param), request.param, dtype="float32")


def inputs_of(model, **options):
    batch = batch_for(model.config, model.task, **options)
    return {name: torch.from_numpy(array) for name, array in batch.items()}


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Converting a tensor:Warning")
def test_traced(model):
    inputs = inputs_of(model, labels=False)
    with torch.no_grad():
        traced = torch.jit.trace(model, example_kwarg_inputs=inputs, strict=False)
        found, expected = traced(**inputs), model(**inputs)
    assert list(found) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


def test_compiled_and_exported(model):
    inputs = inputs_of(model, labels=False)
    expected = model(**inputs)
    compiled = torch.compile(model, backend="eager", fullgraph=True)(**inputs)
    exported = torch.export.export(model, (), inputs).module()(**inputs)
    for found in (compiled, exported):
        assert type(found) is type(expected)
        assert list(found) == list(expected)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value)


def test_gathered(monkeypatch):
    """As DataParallel gathers the outputs of its replicas; there is no GPU to run it on."""
    monkeypatch.setattr(
        scatter_gather.Gather, "apply", lambda device, dim, *all_of: torch.cat(all_of)
    )
    parts = [HeadOutput(logits=torch.full((2, 3), float(number))) for number in range(2)]
    gathered = scatter_gather.gather(parts, 0)
    assert type(gathered) is HeadOutput
    assert gathered.logits.shape == (4, 3)
    assert gathered.loss is None
