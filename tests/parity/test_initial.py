"""New models start alike in both frameworks, and as DistilBERT's weights are distributed."""

import keras
import numpy as np
import pytest
import torch

import distil
from distil.common.initial import sinusoids
from distil.common.spec import parameters
from distil.common.tasks import TASKS
from support.models import ALL_TASKS, CONFIGS, config_for

pytestmark = [pytest.mark.pt, pytest.mark.tf]

CLASSES = {"pt": "{}", "tf": "TF{}"}
every_framework = pytest.mark.parametrize("framework", CLASSES)

SEEDS = {"pt": torch.manual_seed, "tf": keras.utils.set_random_seed}


def new(framework, task="base", **changes):
    """Weights by name of a new model; `seed` is the model's, everything else a config's."""
    seed = changes.pop("seed", None)
    cls = getattr(distil, CLASSES[framework].format(TASKS[task].class_name))
    model = cls(config_for(task, **changes), seed=seed)
    return {name: np.array(array) for name, array in model.named_arrays()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("task", ALL_TASKS)
def test_the_same_seed_gives_the_same_weights_in_both(task, config):
    by_pt, by_tf = (new(name, task, seed=3, **CONFIGS[config]) for name in CLASSES)
    assert_same(by_pt, by_tf)
    assert all(value.dtype == np.float32 for value in by_pt.values())


@pytest.mark.parametrize("task", ALL_TASKS)
def test_a_head_does_not_change_the_encoder(task):
    base, whole = new("pt", seed=3), new("pt", task, seed=3)
    for name, value in base.items():
        np.testing.assert_array_equal(
            value, whole[name if task == "base" else f"distilbert.{name}"]
        )


@every_framework
def test_another_seed_gives_other_weights(framework):
    one, other = (new(framework, seed=seed) for seed in (3, 4))
    for name, value in one.items():
        drawn = not name.endswith("bias") and "norm" not in name.lower()
        assert np.array_equal(value, other[name]) != drawn, name


@every_framework
def test_the_frameworks_own_seed_decides_where_none_is_given(framework):
    SEEDS[framework](11)
    one, next_one = new(framework), new(framework)
    SEEDS[framework](11)
    assert_same(one, new(framework))
    name = "embeddings.word_embeddings.weight"
    assert not np.array_equal(one[name], next_one[name])


@every_framework
def test_distribution(framework):
    """Normal with the deviation of the configuration; each bound is some five standard errors."""
    weights = new(framework, seed=0, vocab_size=500, dim=64, hidden_dim=128, initializer_range=0.03)
    drawn = []
    for name, value in weights.items():
        if name.endswith("bias"):
            assert not value.any(), name
        elif "norm" in name.lower():
            assert (value == 1).all(), name
        else:
            drawn.append(value[1:].ravel() / 0.03)  # without the padding token's row
            error = drawn[-1].size ** -0.5
            assert abs(drawn[-1].mean()) < 5 * error, name
            assert abs(drawn[-1].std() - 1) < 5 * error, name
    drawn = np.concatenate(drawn)
    assert abs((drawn**4).mean() - 3) < 0.1  # a normal's; of one truncated at 2 it is 2.2
    assert np.abs(drawn).max() > 4
    for quantile, value in ((0.1587, -1), (0.5, 0), (0.8413, 1)):
        assert abs(np.quantile(drawn, quantile) - value) < 0.02


def test_weights_are_independent_of_one_another():
    weights = new("pt", seed=0)
    square = [value.ravel() for value in weights.values() if value.shape == (32, 32)]
    correlations = np.corrcoef(square) - np.eye(len(square))
    assert np.abs(correlations).max() < 5 / 32


@every_framework
@pytest.mark.parametrize("padding", [0, 5, None])
def test_the_padding_token_starts_at_0(framework, padding):
    table = new(framework, seed=3, pad_token_id=padding)["embeddings.word_embeddings.weight"]
    zero = [number for number, row in enumerate(table) if not row.any()]
    assert zero == ([] if padding is None else [padding])


@every_framework
def test_sinusoids(framework):
    found = new(framework, sinusoidal_pos_embds=True)["embeddings.position_embeddings.weight"]
    np.testing.assert_array_equal(found, sinusoids(20, 32))
    for position, column in ((0, 0), (0, 1), (7, 0), (7, 1), (19, 30), (19, 31)):
        angle = position / 10000 ** (2 * (column // 2) / 32)
        expected = np.sin(angle) if column % 2 == 0 else np.cos(angle)
        np.testing.assert_allclose(found[position, column], expected, rtol=1e-6, atol=1e-7)


@every_framework
@pytest.mark.parametrize("task", ALL_TASKS)
def test_every_weight_of_the_spec_is_there(task, framework):
    expected = {weight.name: weight.shape for weight in parameters(config_for(task), task)}
    assert {name: value.shape for name, value in new(framework, task).items()} == expected
