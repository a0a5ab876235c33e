"""What people do with a torch.nn.Module, done with each model."""

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch

from support import train_in_parallel
from support.models import ALL_TASKS, NO_DROPOUT, batch_for, build, config_for

pytestmark = pytest.mark.pt


def tensors(batch):
    return {name: torch.from_numpy(array) for name, array in batch.items()}


@pytest.fixture(params=ALL_TASKS)
def task(request):
    return request.param


@pytest.fixture
def model(task):
    return build("pt", config_for(task), task, dtype="float32")


@pytest.fixture
def batch(model):
    return tensors(batch_for(model.config, model.task))


def same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for a, b in zip(one.values(), other.values(), strict=True):
        torch.testing.assert_close(a, b, **tolerance)


def test_compiles_without_a_graph_break(model, batch):
    expected = model(**batch)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=True)
    same(compiled(**batch), expected)
    longer = tensors(batch_for(model.config, model.task, rows=2, length=12))
    same(compiled(**longer), model(**longer))


@pytest.fixture
def compiler():
    """A compiler that has compiled nothing: its limit is for a function, not for a model."""
    torch.compiler.reset()


@pytest.mark.usefixtures("compiler")
def test_compiles_in_training_with_gradients():
    config = config_for("token-classification", **NO_DROPOUT)
    model = build("pt", config, "token-classification", dtype="float32").train()
    batch = tensors(batch_for(model.config, model.task))
    model(**batch).loss.backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    torch.compile(model, fullgraph=True, backend="aot_eager")(**batch).loss.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name])


@pytest.mark.usefixtures("compiler")
def test_compiles_with_the_default_backend():
    model = build("pt", config_for("sequence-classification"), "sequence-classification")
    batch = tensors(batch_for(model.config, model.task))
    with torch.no_grad():
        same(torch.compile(model, fullgraph=True)(**batch), model(**batch))


def test_exports_with_dynamic_shapes(model, batch):
    ids, mask = batch["input_ids"], batch["attention_mask"]
    axes = dict.fromkeys((0, ids.dim() - 1), torch.export.Dim.DYNAMIC)
    program = torch.export.export(
        model,
        (),
        {"input_ids": ids, "attention_mask": mask},
        dynamic_shapes={"input_ids": axes, "attention_mask": axes},
    )
    other = tensors(batch_for(model.config, model.task, rows=5, length=13, labels=False))
    with torch.no_grad():
        same(program.module()(**other), model(**other))


def test_runs_under_autocast(model, batch):
    with torch.autocast("cpu", torch.bfloat16):
        output = model(**batch)
    same(output, model(**batch), rtol=0.1, atol=0.1, check_dtype=False)
    if "loss" in output:
        assert output.loss.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_runs_in_other_types(model, batch, dtype):
    output = copy.deepcopy(model).to(dtype)(**batch)
    assert output[-1].dtype == dtype
    assert all(value.isfinite().all() for value in output.values())


def test_a_copy_has_weights_of_its_own_and_the_same_ties(model, batch):
    expected = model(**batch)
    other = copy.deepcopy(model)
    same(other(**batch), expected)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    same(model(**batch), expected)
    if model.task == "masked-lm":
        assert other.vocab_projector.weight is other.get_input_embeddings().weight


def test_is_pickled_whole(model, batch):
    same(pickle.loads(pickle.dumps(model))(**batch), model(**batch))


def test_state_dict_round_trip(model, batch):
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = build("pt", model.config, model.task, {}, dtype="float32")
    other.load_state_dict(torch.load(file, weights_only=True))
    same(other(**batch), model(**batch))


def test_moves_to_another_device(model):
    assert model.to("meta").device.type == "meta"


def test_starts_on_the_device_and_in_the_type_of_the_surroundings():
    from distil.pt import DistilBertModel

    with torch.device("meta"):
        assert DistilBertModel(config_for("base")).device.type == "meta"
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        assert DistilBertModel(config_for("base")).dtype == torch.float64
    finally:
        torch.set_default_dtype(before)


def test_train_and_eval_switch_dropout(model, batch):
    model.train()
    torch.manual_seed(0)
    first = model(**batch)[-1]
    assert not torch.equal(model(**batch)[-1], first)
    torch.manual_seed(0)
    assert torch.equal(model(**batch)[-1], first)
    model.eval()
    assert torch.equal(model(**batch)[-1], model(**batch)[-1])


@pytest.mark.parametrize("task", [task for task in ALL_TASKS if task != "base"])
def test_trains_with_any_optimizer(task):
    model = build("pt", config_for(task, **NO_DROPOUT), task, dtype="float32").train()
    batch = tensors(batch_for(model.config, task))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(5):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_sinusoids_are_not_trained():
    model = build("pt", config_for("base", sinusoidal_pos_embds=True), "base")
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert frozen == ["embeddings.position_embeddings.weight"]


def test_two_processes_give_the_gradients_of_one(tmp_path):
    program = [sys.executable, train_in_parallel.__file__]
    processes = [
        subprocess.Popen([*program, str(rank), tmp_path], stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    task = "sequence-classification"
    model = build("pt", config_for(task), task)
    model(**tensors(batch_for(model.config, task, rows=4))).loss.backward()
    for rank in (0, 1):
        gradients = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(gradients[name], parameter.grad)
