"""Losing heads and changing tables: the same in both frameworks, and training goes on after it."""

import importlib

import numpy as np
import pytest
import tensorflow as tf
import torch

from distil.common.initial import sinusoids
from distil.common.tasks import TASKS
from distil.errors import ConfigError
from support.models import CONFIGS, batch_for, build, config_for, measure
from support.parity import FRAMEWORKS, NOTHING, assert_agree, measure_both, scale_of

pytestmark = [pytest.mark.pt, pytest.mark.tf]

every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)

WORDS = "distilbert.embeddings.word_embeddings.weight"
POSITIONS = "distilbert.embeddings.position_embeddings.weight"
DECODER = "vocab_projector.weight"

# Name: (task, configuration, what is done).
OPERATIONS = {
    "prune": ("sequence-classification", {}, lambda m: m.prune_heads({0: [1], 1: [0, 3]})),
    "prune what is pruned": (
        "question-answering", CONFIGS["pruned"], lambda m: m.prune_heads({0: [1, 2], 1: [1]}),
    ),
    "more words": ("masked-lm", {}, lambda m: m.resize_token_embeddings(70, seed=5)),
    "fewer words": ("masked-lm", {}, lambda m: m.resize_token_embeddings(40)),
    "more words, untied": (
        "masked-lm", CONFIGS["untied"], lambda m: m.resize_token_embeddings(70, seed=5),
    ),
    "fewer words, untied": (
        "masked-lm", CONFIGS["untied"], lambda m: m.resize_token_embeddings(40),
    ),
    "more words, no decoder": ("base", {}, lambda m: m.resize_token_embeddings(70, seed=5)),
    "more positions": (
        "token-classification", {}, lambda m: m.resize_position_embeddings(30, seed=5),
    ),
    "fewer positions": ("multiple-choice", {}, lambda m: m.resize_position_embeddings(12)),
    "more sinusoids": (
        "masked-lm", CONFIGS["sinusoidal"], lambda m: m.resize_position_embeddings(30),
    ),
    "everything": (
        "masked-lm", {},
        lambda m: (
            m.resize_position_embeddings(30, seed=5),
            m.prune_heads({1: [2]}),
            m.resize_token_embeddings(70, seed=6),
        ),
    ),
}  # fmt: skip
every_operation = pytest.mark.parametrize("operation", OPERATIONS)


def operate(operation, **options):
    """Models of both frameworks after an operation, and their task."""
    task, changes, do = OPERATIONS[operation]
    models = {
        name: build(name, config_for(task, **changes), task, **options) for name in FRAMEWORKS
    }
    for model in models.values():
        do(model)
    return models, task


def weights_of(model):
    return {name: np.array(array) for name, array in model.named_arrays()}


@every_operation
def test_both_frameworks_do_the_same(operation):
    models, task = operate(operation)
    assert models["pt"].config == models["tf"].config
    inputs = batch_for(
        models["pt"].config, task, length=min(11, models["pt"].config.max_position_embeddings)
    )
    assert_agree(*measure_both(models, inputs))
    by_pt, by_tf = weights_of(models["pt"]), weights_of(models["tf"])
    assert by_pt.keys() == by_tf.keys()
    for name, value in by_pt.items():
        np.testing.assert_array_equal(value, by_tf[name], err_msg=name)


@every_framework
@every_operation
def test_it_can_be_trained_afterwards(operation, framework):
    models, task = operate(operation)
    model = models[framework]
    before, inputs = weights_of(model), batch_for(model.config, task)
    step(framework, model, inputs)
    gradients = measure(framework, model, inputs).gradients
    after = weights_of(model)
    for name, gradient in gradients.items():
        if np.abs(gradient).max() > NOTHING["float64"] * scale_of(gradients):
            assert not np.array_equal(before[name], after[name]), name
    assert before.keys() - gradients.keys() <= {POSITIONS}  # sinusoids


def step(framework, model, inputs):
    """One step of gradient descent, by means of the framework's own."""
    if framework == "pt":
        first = model(**{name: torch.from_numpy(value) for name, value in inputs.items()})[0]
        (first**2).mean().backward()
        torch.optim.SGD(model.parameters(), 0.1).step()
        model.zero_grad()
    else:
        with tf.GradientTape() as tape:
            first = model(**{name: tf.constant(value) for name, value in inputs.items()})[0]
            target = tf.reduce_mean(first**2)
        variables = [variable.value for variable in model.trainable_variables]
        for variable, gradient in zip(variables, tape.gradient(target, variables), strict=True):
            variable.assign_sub(0.1 * tf.convert_to_tensor(gradient))


@every_framework
@every_operation
def test_it_can_be_saved_and_loaded_in_the_other(operation, framework, tmp_path):
    models, task = operate(operation, dtype="float32")
    models[framework].save_pretrained(tmp_path)
    other = {"pt": "tf", "tf": "pt"}[framework]
    module = importlib.import_module(f"distil.{other}")
    cls = getattr(module, {"pt": "", "tf": "TF"}[other] + TASKS[task].class_name)
    loaded = cls.from_pretrained(tmp_path)
    expected = weights_of(models[framework])
    for name, value in weights_of(loaded).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    pair = {framework: models[framework], other: loaded}
    assert_agree(*measure_both(pair, batch_for(loaded.config, task)), "float32")


# What each operation means.


@every_framework
def test_pruning_is_masking_for_ever(framework):
    task = "sequence-classification"
    config = config_for(task)
    factors = np.ones((2, 4))
    factors[0, 1] = factors[1, 0] = factors[1, 3] = 0
    model, inputs = build(framework, config, task), batch_for(config, task)
    masked = measure(framework, model, {**inputs, "head_mask": factors}, gradients=False).outputs
    full = model.num_parameters()
    model.prune_heads({0: [1]})
    model.prune_heads({1: (3, 0), 0: [1]})  # numbered as at first; twice is once
    assert model.config.pruned_heads == {0: [1], 1: [0, 3]}
    pruned = measure(framework, model, inputs, gradients=False).outputs
    for name in ("loss", "logits", "hidden_states.1", "hidden_states.2"):
        np.testing.assert_allclose(pruned[name], masked[name], rtol=1e-12)
    assert pruned["attentions.1"].shape[1] == 2
    a_head = 8 * (3 * (32 + 1) + 32)
    assert full - model.num_parameters() == 3 * a_head


@every_framework
@pytest.mark.parametrize("heads", [{2: [0]}, {0: [4]}, {0: [0, 1, 2, 3]}, {-1: [0]}])
def test_impossible_pruning_changes_nothing(framework, heads):
    model = build(framework, config_for("base"), "base")
    before = weights_of(model)
    with pytest.raises(ConfigError):
        model.prune_heads(heads)
    assert model.config.pruned_heads == {}
    assert all(np.array_equal(before[name], value) for name, value in model.named_arrays())


@every_framework
def test_new_words_leave_the_old_ones_alone(framework):
    model = build(framework, config_for("masked-lm"), "masked-lm")
    before = weights_of(model)
    table = model.resize_token_embeddings(70, seed=5)
    after = weights_of(model)
    assert table is model.get_input_embeddings()
    assert model.config.vocab_size == 70
    np.testing.assert_array_equal(after[WORDS][:61], before[WORDS])
    assert (after[WORDS][61:].std(axis=1) > 0).all()  # drawn, and none left at 0
    np.testing.assert_array_equal(
        after["vocab_projector.bias"][:61], before["vocab_projector.bias"]
    )
    np.testing.assert_array_equal(after["vocab_projector.bias"][61:], 0)
    assert DECODER not in after  # still tied


@every_framework
def test_the_decoder_stays_tied(framework):
    model = build(framework, config_for("masked-lm"), "masked-lm")
    model.resize_token_embeddings(70)
    inputs = batch_for(model.config, "masked-lm")
    step(framework, model, inputs)
    logits = measure(framework, model, inputs, gradients=False).outputs["logits"]
    again = build(framework, model.config, "masked-lm", weights_of(model))
    np.testing.assert_array_equal(
        logits, measure(framework, again, inputs, gradients=False).outputs["logits"]
    )


@every_framework
def test_resizing_to_nothing_new_changes_nothing(framework):
    model = build(framework, config_for("masked-lm"), "masked-lm")
    before = weights_of(model)
    model.resize_token_embeddings()
    model.resize_token_embeddings(61)
    model.resize_position_embeddings(20)
    assert all(np.array_equal(before[name], value) for name, value in model.named_arrays())


@every_framework
@pytest.mark.parametrize("size", [0, -1, 2.5, "70"])
def test_impossible_sizes_are_refused(framework, size):
    model = build(framework, config_for("base"), "base")
    with pytest.raises(ConfigError):
        model.resize_token_embeddings(size)
    with pytest.raises(ConfigError):
        model.resize_position_embeddings(size)


@every_framework
def test_a_table_without_its_padding_token_is_refused(framework):
    model = build(framework, config_for("base", pad_token_id=50), "base")
    with pytest.raises(ConfigError, match="pad_token_id"):
        model.resize_token_embeddings(40)
    assert model.config.vocab_size == 61


@every_framework
def test_longer_texts_can_be_read_after_more_positions(framework):
    model = build(framework, config_for("base"), "base")
    table = weights_of(model)["embeddings.position_embeddings.weight"]
    model.resize_position_embeddings(40, seed=5)
    longer = weights_of(model)["embeddings.position_embeddings.weight"]
    np.testing.assert_array_equal(longer[:20], table)
    outputs = measure(framework, model, batch_for(model.config, "base", length=40)).outputs
    assert outputs["last_hidden_state"].shape == (3, 40, 32)


@every_framework
def test_more_sinusoids_are_more_of_the_formula(framework):
    config = config_for("base", sinusoidal_pos_embds=True)
    cls = getattr(
        importlib.import_module(f"distil.{framework}"),
        {"pt": "", "tf": "TF"}[framework] + "DistilBertModel",
    )
    model = cls(config, seed=0)
    model.resize_position_embeddings(40)
    table = weights_of(model)["embeddings.position_embeddings.weight"]
    np.testing.assert_array_equal(table, sinusoids(40, 32))
    inputs = batch_for(model.config, "base")
    assert (
        "embeddings.position_embeddings.weight" not in measure(framework, model, inputs).gradients
    )


# Gradient checkpointing: a layer's activations are computed twice instead of kept.


@every_framework
def test_a_layer_runs_twice_with_checkpointing(framework):
    """Else the tests below would compare nothing with nothing."""
    model = build(framework, config_for("base", dropout=0.0), "base")
    runs = []
    count_calls(framework, model, runs)
    train(framework, model, seed=3)
    assert len(runs) == 2
    model.gradient_checkpointing_enable()
    assert model.is_gradient_checkpointing
    runs.clear()
    train(framework, model, seed=3)
    assert len(runs) == 4
    model.gradient_checkpointing_disable()
    runs.clear()
    train(framework, model, seed=3)
    assert len(runs) == 2


def count_calls(framework, model, runs):
    for layer in model.transformer.layer:
        method = {"pt": "forward", "tf": "call"}[framework]
        inner = getattr(layer.ffn, method)

        def counted(*arguments, inner=inner, **options):
            runs.append(1)
            return inner(*arguments, **options)

        setattr(layer.ffn, method, counted)


@pytest.mark.parametrize("asked", [{}, {"output_attentions": True}], ids=["plain", "attentions"])
@every_framework
@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("task", ["base", "masked-lm", "sequence-classification"])
def test_checkpointing_gives_the_same_gradients(task, rate, framework, asked):
    """With dropout too: the second run of a layer must drop what the first one dropped."""
    config = config_for(task, dropout=rate, attention_dropout=rate, seq_classif_dropout=rate)
    plain, saving = (build(framework, config, task) for _ in range(2))
    saving.gradient_checkpointing_enable()
    expected, found = (train(framework, model, seed=3, **asked) for model in (plain, saving))
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-15, err_msg=name)
    if rate:
        other = train(framework, plain, seed=4, **asked)
        assert any(not np.allclose(other[name], expected[name]) for name in expected)


def train(framework, model, *, seed, **asked):
    """Gradients by name, that of head_mask included, dropout on."""
    inputs = batch_for(model.config, model.task)
    factors = np.array([0.5, 1, 0.25, 2])
    if framework == "pt":
        torch.manual_seed(seed)
        model.train()
        tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
        head_mask = torch.from_numpy(factors).requires_grad_()
        first = model(**tensors, head_mask=head_mask, **asked)[0]
        (first**2).sum().backward()
        named = [("head_mask", head_mask), *model.named_parameters()]
        gradients = {name: tensor.grad.numpy().copy() for name, tensor in named}
        model.zero_grad()
        return gradients
    for part in {id(one): one for one in (model, getattr(model, "distilbert", model))}.values():
        part.dropout_seeds.state.assign([seed, 0])
    head_mask = tf.constant(factors)
    wanted = [head_mask, *(variable.value for variable in model.trainable_variables)]
    with tf.GradientTape() as tape:
        tape.watch(head_mask)
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        first = model(**tensors, head_mask=head_mask, training=True, **asked)[0]
        target = tf.reduce_sum(first**2)
    values = tape.gradient(target, wanted)
    return {str(number): tf.convert_to_tensor(value).numpy() for number, value in enumerate(values)}


def test_checkpointing_in_a_graph():
    """As Keras's fit runs it."""
    config = config_for("base", dropout=0.3)
    inputs = {name: tf.constant(value) for name, value in batch_for(config, "base").items()}
    found = []
    for checkpointing in (False, True):
        model = build("tf", config, "base")
        if checkpointing:
            model.gradient_checkpointing_enable()
        model.dropout_seeds.state.assign([3, 0])
        variables = [variable.value for variable in model.trainable_variables]

        @tf.function
        def gradients(model=model, variables=variables):
            with tf.GradientTape() as tape:
                target = tf.reduce_sum(model(**inputs, training=True)[0] ** 2)
            return [tf.convert_to_tensor(one) for one in tape.gradient(target, variables)]

        found.append(gradients())
    for plain, again in zip(*found, strict=True):
        np.testing.assert_allclose(again, plain, rtol=1e-12, atol=1e-15)
