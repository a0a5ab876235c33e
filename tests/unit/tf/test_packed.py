"""A packed model computes what the plain one does, and traces a few graphs for all shapes."""

import numpy as np
import pytest
import tensorflow as tf

from distil.errors import FallbackWarning, InputError
from distil.tf.inference import capabilities, prepared, rows
from distil.tf.inference.packed import PackedModel
from support.models import ALL_TASKS, CONFIGS, batch_for, build, config_for
from support.sequences import LENGTHS, padded, scores_of, sequences_of

pytestmark = pytest.mark.tf


def plain(task, **changes):
    return build("tf", config_for(task, **changes), task, dtype="float32")


def expected_of(model, sequences, **inputs):
    batch = padded(sequences, choices=model.task == "multiple-choice")
    return scores_of(model.task, model(**batch, **inputs), sequences)


def same(found, expected, *, relative=1e-5):
    """Equal to `relative` of the largest expected number."""
    largest = max(np.abs(one).max() for one in expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float32
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=0, atol=relative * largest)


@pytest.fixture(params=["oneDNN", "public operations"])
def operations(request, monkeypatch):
    """Once with TensorFlow's oneDNN operations, where it has them, and once without."""
    if request.param == "public operations":
        for module in (capabilities, prepared, rows):
            monkeypatch.setattr(module, "has_onednn", lambda _: False)
    return request.param


@pytest.mark.parametrize("change", CONFIGS)
@pytest.mark.parametrize("task", ALL_TASKS)
def test_every_task_and_architecture(task, change):
    model = plain(task, **CONFIGS[change])
    sequences = sequences_of(model.config)
    same(PackedModel(model).score(sequences), expected_of(model, sequences))


@pytest.mark.parametrize("task", ALL_TASKS)
def test_every_task(task, operations):
    model = plain(task)
    sequences = sequences_of(model.config)
    same(PackedModel(model).score(sequences), expected_of(model, sequences))


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "silu", "tanh"])
def test_every_kind_of_activation(activation, operations):
    model = plain("base", activation=activation)
    sequences = sequences_of(model.config)
    same(PackedModel(model).score(sequences), expected_of(model, sequences))


@pytest.mark.parametrize("lengths", [(7,), (20,), (4, 4, 4), (20,) * 8, LENGTHS[::-1]], ids=str)
@pytest.mark.parametrize("task", ["sequence-classification", "token-classification"])
def test_lengths(task, lengths, operations):
    model = plain(task)
    sequences = sequences_of(model.config, lengths)
    same(PackedModel(model).score(sequences), expected_of(model, sequences))


@pytest.mark.parametrize("budget", [1, 20, 10_000])
def test_any_budget(budget):
    model = plain("base")
    sequences = sequences_of(model.config)
    same(PackedModel(model).score(sequences, budget=budget), expected_of(model, sequences))


def test_bfloat16_is_near(operations, recwarn):
    model = plain("base")
    sequences = sequences_of(model.config)
    packed = PackedModel(model, dtype="bfloat16")
    assert packed.dtype == ("bfloat16" if capabilities.has_onednn(tf.bfloat16) else "float32")
    recwarn.clear()
    same(packed.score(sequences), expected_of(model, sequences), relative=0.05)


def test_positions():
    model = plain("base")
    sequences = sequences_of(model.config, (3, 6))
    positions = [[4, 9, 2], list(range(10, 16))]
    found = PackedModel(model).score(sequences, positions=positions)
    for scores, ids, places in zip(found, sequences, positions, strict=True):
        output = model(np.array([ids]), position_ids=np.array([places]))
        same([scores], [output.last_hidden_state.numpy()[0]])


@pytest.mark.parametrize("count", ["several", "one each", "none"])
def test_only_the_tokens_that_are_wanted(count, operations):
    model = plain("masked-lm")
    sequences = sequences_of(model.config)
    choose = {
        "several": lambda length: [length - 1, 0] if length > 1 else [],
        "one each": lambda length: [length // 2],
        "none": lambda length: [],
    }[count]
    wanted = [choose(length) for length in LENGTHS]
    expected = expected_of(model, sequences)
    found = PackedModel(model).score(sequences, wanted=wanted)
    for scores, every, places in zip(found, expected, wanted, strict=True):
        assert scores.shape == (len(places), model.config.vocab_size)
        if places:
            same([scores], [every[places]])


@pytest.mark.parametrize("mask", ["none", "full", "ragged", "holes"])
@pytest.mark.parametrize("task", ALL_TASKS)
def test_a_padded_batch(task, mask):
    model = plain(task)
    batch = batch_for(model.config, task, mask=mask, labels=False)
    expected, found = model(**batch), PackedModel(model)(**batch)
    assert type(found) is type(expected)
    assert found.keys() == expected.keys()
    shown = batch.get("attention_mask", np.ones(1)) != 0
    for one, other in zip(found.values(), expected.values(), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        by_token = mask != "none" and one.shape[:2] == shown.shape
        part = shown if by_token else ...
        same([one.numpy()[part]], [other.numpy()[part]])


def test_few_graphs_for_all_shapes():
    model = plain("sequence-classification")
    packed = PackedModel(model)
    random = np.random.default_rng(3)
    for _ in range(12):
        packed.score(sequences_of(model.config, random.integers(1, 21, random.integers(1, 9))))
        packed.score(sequences_of(model.config, [random.integers(1, 21)] * 5))
    traces = [graph.experimental_get_tracing_count() for graph in packed._graphs.values()]
    assert traces == [1] * len(traces)
    assert len(traces) <= 4


def test_nothing_gives_nothing():
    assert PackedModel(plain("base")).score([]) == []


@pytest.mark.parametrize("task", ["masked-lm", "sequence-classification"])
def test_the_model_may_change_afterwards(task):
    model = plain(task)
    sequences = sequences_of(model.config)
    packed = PackedModel(model)
    before = packed.score(sequences)
    for variable in model.weights:
        variable.assign_add(tf.ones_like(variable))
    for one, other in zip(packed.score(sequences), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_second_encoder_is_kept():
    head = PackedModel(plain("token-classification"))._head.__self__
    assert [tuple(variable.shape) for variable in head.trainable_weights] == [(32, 3), (3,)]


def test_wrong_inputs_are_refused():
    packed = PackedModel(plain("base"))
    with pytest.raises(InputError, match="mask of a row is all 0"):
        packed(np.ones((2, 3), int), np.array([[1, 1, 0], [0, 0, 0]]))
    with pytest.raises(InputError, match="vocabulary"):
        packed(np.array([[1, 10_000]]))


def test_other_types_are_refused():
    with pytest.raises(InputError, match="engine="):
        PackedModel(plain("base"), dtype="int8")


def test_a_processor_without_bfloat16(monkeypatch):
    monkeypatch.setattr(capabilities, "has_onednn", lambda _: False)
    with pytest.warns(FallbackWarning, match="float32"):
        assert PackedModel(plain("base"), dtype="bfloat16").dtype == "float32"


@pytest.mark.parametrize("fault", ["wrong", "missing", "switched off"])
def test_operations_that_do_not_work_are_not_used(fault, monkeypatch):
    def missing(*_):
        raise ValueError("no such operation")

    if fault == "switched off":
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    else:
        norm = missing if fault == "missing" else lambda x, *_: x
        monkeypatch.setattr(capabilities, "fused_norm", norm)
    assert not capabilities.has_onednn.__wrapped__(tf.float32)
