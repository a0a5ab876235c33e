"""A packed model computes what the plain one does."""

import numpy as np
import pytest
import torch

import distil
from distil.common.errors import InputError
from distil.pt.packed import PackedModel
from support.models import ALL_TASKS, batch_for, build, config_for

pytestmark = pytest.mark.pt

LENGTHS = (5, 1, 9, 9, 20, 3, 5, 5, 12)


def sequences_of(config, lengths=LENGTHS):
    random = np.random.default_rng(5)
    return [random.integers(0, config.vocab_size, length).tolist() for length in lengths]


def one_by_one(model, sequences):
    with torch.no_grad():
        for sequence in sequences:
            ids = torch.tensor([[sequence]] if model.task == "multiple-choice" else [sequence])
            output = model(ids)
            if model.task == "question-answering":
                yield torch.stack([output.start_logits[0], output.end_logits[0]], -1)
            else:
                yield output[0][0]


@pytest.mark.parametrize("budget", [1, 20, 10_000])
@pytest.mark.parametrize("task", ALL_TASKS)
def test_the_same_as_one_by_one(task, budget):
    model = build("pt", config_for(task), task, dtype="float32")
    sequences = sequences_of(model.config)
    found = PackedModel(model).score(sequences, budget=budget)
    for scores, expected in zip(found, one_by_one(model, sequences), strict=True):
        assert scores.shape == expected.shape
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "change", [{"activation": name} for name in ("gelu", "gelu_new", "relu", "silu")]
    + [{"n_layers": 1}, {"pruned_heads": {0: [1], 1: [0, 3]}}, {"sinusoidal_pos_embds": True}],
    ids=str,
)  # fmt: skip
def test_every_architecture(change):
    task = "sequence-classification"
    model = build("pt", config_for(task, **change), task, dtype="float32")
    sequences = sequences_of(model.config)
    found = PackedModel(model).score(sequences)
    for scores, expected in zip(found, one_by_one(model, sequences), strict=True):
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_is_near():
    model = build("pt", config_for("base"), "base", dtype="float32")
    sequences = sequences_of(model.config)
    found = PackedModel(model, dtype=torch.bfloat16).score(sequences)
    for scores, expected in zip(found, one_by_one(model, sequences), strict=True):
        np.testing.assert_allclose(scores, expected, atol=0.2)


def test_nothing_gives_nothing():
    model = build("pt", config_for("base"), "base", dtype="float32")
    assert PackedModel(model).score([]) == []


def test_the_model_itself_stays_as_it_is():
    model = build("pt", config_for("base"), "base", dtype="float32")
    before = {name: p.clone() for name, p in model.named_parameters()}
    PackedModel(model, dtype=torch.bfloat16).score(sequences_of(model.config))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])


@pytest.mark.parametrize("mask", ["none", "full", "ragged", "holes"])
@pytest.mark.parametrize("task", ALL_TASKS)
def test_a_padded_batch(task, mask):
    model = build("pt", config_for(task), task, dtype="float32")
    batch = batch_for(model.config, task, mask=mask, labels=False)
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    with torch.no_grad():
        expected = model(**tensors)
    found = PackedModel(model)(**tensors)
    assert type(found) is type(expected)
    assert found.keys() == expected.keys()
    shown = tensors.get("attention_mask", torch.ones(1)) != 0
    for one, other in zip(found.values(), expected.values(), strict=True):
        assert one.shape == other.shape
        by_token = mask != "none" and one.shape[:2] == shown.shape
        a, b = (one[shown], other[shown]) if by_token else (one, other)
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_only_the_tokens_that_are_wanted():
    model = build("pt", config_for("masked-lm"), "masked-lm", dtype="float32")
    sequences = sequences_of(model.config)
    wanted = [[length - 1, 0] if length > 1 else [] for length in LENGTHS]
    packed = PackedModel(model)
    everything = packed.score(sequences)
    for scores, all_scores, places in zip(
        packed.score(sequences, wanted=wanted), everything, wanted, strict=True
    ):
        np.testing.assert_allclose(scores, all_scores[places], rtol=1e-5, atol=1e-6)


def test_a_row_of_padding_is_refused():
    model = build("pt", config_for("base"), "base", dtype="float32")
    with pytest.raises(InputError, match="nothing to attend to"):
        PackedModel(model)(torch.ones(2, 3, dtype=torch.long), torch.tensor([[1, 1, 0], [0, 0, 0]]))


def test_optimize():
    model = build("pt", config_for("base"), "base", dtype="float32")
    batch = {"input_ids": torch.ones(2, 3, dtype=torch.long)}
    with torch.no_grad():
        expected = model(**batch).last_hidden_state
    torch.testing.assert_close(distil.optimize(model)(**batch).last_hidden_state, expected)
    near = distil.optimize(model, torch.bfloat16)(**batch).last_hidden_state
    torch.testing.assert_close(near, expected, rtol=0, atol=0.2)


@pytest.mark.parametrize(("what", "dtype"), [("model", "int8"), ("no model", "float32")])
def test_optimize_refuses_what_it_cannot(what, dtype):
    model = build("pt", config_for("base"), "base", dtype="float32")
    with pytest.raises(InputError, match="no faster form"):
        distil.optimize(model if what == "model" else object(), dtype)


def test_no_second_encoder_is_kept():
    model = build("pt", config_for("token-classification"), "token-classification")
    head = PackedModel(model)._head.__self__
    assert {name for name, _ in head.named_parameters()} == {"classifier.weight", "classifier.bias"}
