"""Options of training: the same steps in both frameworks, and what they do is what they say."""

from importlib import import_module

import numpy as np
import pytest
import torch

from distil.common.spec import parameters
from distil.common.steps import stepping
from distil.common.steps.stepping import MEAN, SQUARE, WEIGHT, rate_scale
from support.models import NO_DROPOUT, build, config_for, spread
from support.training import part, recipe_for, tame

pytestmark = [pytest.mark.pt, pytest.mark.tf]

FRAMEWORKS = ("pt", "tf")
STEPS, RATE, TOLERANCE = 100, 2**-11, 1e-9
WEIGHTS = np.array([0.5, 2.0, 1.25])

# Task, settings, and whether classes have weights.
OPTIONS = {
    "layer decay": ("question-answering", {"optimizer.layer_decay": 0.75}, False),
    "smoothing": ("sequence-classification", {"loss.label_smoothing": 0.125}, False),
    "smoothing of words": ("masked-lm", {"loss.label_smoothing": 0.125}, False),
    "smoothing of choices": ("multiple-choice", {"loss.label_smoothing": 0.125}, False),
    "class weights": ("token-classification", {}, True),
    "all": (
        "token-classification",
        {"optimizer.layer_decay": 0.75, "loss.label_smoothing": 0.125},
        True,
    ),
}  # fmt: skip


def step_for(framework, model, recipe, *, weighted=False):
    module = import_module(f"distil.{framework}.training.step")
    return module.Step(model, recipe, class_weights=WEIGHTS if weighted else None)


def curves(name, *, steps=STEPS, parts=2):
    """Loss and norm of every step in each framework, and the weights at the end."""
    task, settings, weighted = OPTIONS[name]
    config = config_for(task, **NO_DROPOUT)
    weights = tame(spread(config, task))
    recipe = recipe_for(task, precision="float64", **settings)
    points, states = [], []
    for framework in FRAMEWORKS:
        model = build(framework, config, task, weights, dtype="float64")
        step = step_for(framework, model, recipe, weighted=weighted)
        found = []
        for number in range(steps):
            batches = [part(config, task, (number * parts + n) % 10) for n in range(parts)]
            found.append(tuple(step.train(batches, RATE, [0, number]).values()))
        points.append(np.array(found))
        states.append(step.state())
    return points, states


def apart(points):
    pt, tf = points
    return float((np.abs(pt - tf) / pt).max())


@pytest.mark.parametrize("name", OPTIONS)
def test_the_same_curve_in_both(name):
    points, (pt_state, tf_state) = curves(name)
    assert apart(points) <= TOLERANCE
    for key, array in pt_state.items():
        if array.dtype == np.float64 and "k_lin.bias" not in key and not key.startswith(SQUARE):
            np.testing.assert_allclose(array, tf_state[key], rtol=0, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("smoothing", [0.0, 0.25])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_that_of_pytorch(weighted, smoothing, framework):
    random = np.random.default_rng(3)
    logits, labels = random.normal(size=(7, 3)), random.integers(0, 3, 7)
    labels[2] = -100
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(logits), torch.tensor(labels), ignore_index=-100, label_smoothing=smoothing,
        weight=torch.tensor(WEIGHTS) if weighted else None,
    ).item()  # fmt: skip
    losses = import_module(f"distil.{framework}.losses")
    given = [logits, labels]
    if framework == "pt":
        given = [torch.tensor(array) for array in given]
    else:
        import tensorflow as tf

        given = [tf.constant(array) for array in given]
    found = losses.cross_entropy(*given, WEIGHTS if weighted else None, smoothing)
    assert float(found) == pytest.approx(expected, rel=1e-12)
    nothing = losses.cross_entropy(given[0], given[1] * 0 - 100, WEIGHTS, smoothing)
    assert float(nothing) == 0


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_parts_count_by_the_weights_of_their_labels(framework):
    """Two parts make the same step as one that has the rows of both."""
    task = "sequence-classification"
    config = config_for(task, **NO_DROPOUT)
    recipe = recipe_for(task, precision="float64", **{"optimizer.clip": None})
    whole = part(config, task, 1)
    pieces = [slice_for(whole, rows) for rows in ([0], [1, 2])]
    assert len({int(label) for label in whole.inputs["labels"]}) > 1
    found = []
    for batches in ([whole], pieces):
        model = build(framework, config, task, spread(config, task), dtype="float64")
        step = step_for(framework, model, recipe, weighted=True)
        found.append(step.train(batches, RATE, [0, 0]))
    assert found[0] == pytest.approx(found[1], rel=1e-12)


def slice_for(batch, rows):
    from dataclasses import replace

    inputs = {name: array[rows] for name, array in batch.inputs.items()}
    return replace(batch, inputs=inputs, rows=batch.rows[rows], counted=len(rows))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_layers_learn_the_slower_the_further_they_are_from_the_head(framework):
    """AdamW's first step is as large as its rate, whatever the gradient."""
    task = "sequence-classification"
    config = config_for(task, **NO_DROPOUT)
    weights = spread(config, task)
    recipe = recipe_for(
        task, precision="float64",
        **{"optimizer.layer_decay": 0.5, "optimizer.weight_decay": 0.0},
    )  # fmt: skip
    step = step_for(framework, build(framework, config, task, weights, dtype="float64"), recipe)
    step.train([part(config, task, 1)], 0.125, [0, 0])
    state, layers = step.state(), config.n_layers
    expected = {"head": 0.125, "embeddings": 0.125 * 0.5 ** (layers + 1)}
    expected |= {f"layer {n}": 0.125 * 0.5 ** (layers - n) for n in range(layers)}
    assert len(set(expected.values())) == layers + 2
    for weight in parameters(config, task):
        moved = np.abs(state[WEIGHT + weight.name] - weights[weight.name]).max()
        if np.abs(state[MEAN + weight.name]).max() > 1e-6:
            assert moved == pytest.approx(expected[weight.part], rel=1e-3), weight.name


MUTANTS = {
    "layers all learn alike": (
        "layer decay", lambda patch: patch("rate_scale", lambda *_: 1.0),
    ),
    "the last layer learns as the head": (
        "layer decay", lambda patch: patch("rate_scale", lambda w, n, d: rate_scale(w, n - 1, d)),
    ),
    "parts count by their rows": (
        "class weights",
        lambda patch: patch("counted_in", lambda batch, _: stepping.counted_in(batch, None)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_of_one_framework_is_caught(mutant, framework, monkeypatch):
    name, break_it = MUTANTS[mutant]
    module = import_module(f"distil.{framework}.training.step")
    break_it(lambda function, broken: monkeypatch.setattr(module, function, broken))
    points, _ = curves(name, steps=5)
    assert apart(points) > TOLERANCE


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", ["smoothing", "smoothing of words", "class weights"])
def test_a_loss_without_its_options_is_caught(name, framework, monkeypatch):
    losses = import_module(f"distil.{framework}.losses")
    plain = losses.cross_entropy
    monkeypatch.setattr(losses, "cross_entropy", lambda logits, labels, *_: plain(logits, labels))
    points, _ = curves(name, steps=5)
    assert apart(points) > TOLERANCE


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("task", ["token-classification", "masked-lm"])
def test_a_student_has_the_same_loss_on_its_labels(task, framework):
    config = config_for(task, **NO_DROPOUT)
    settings = {"precision": "float64", "loss.label_smoothing": 0.125}
    weighted = task == "token-classification"
    batch = part(config, task, 1, mask="none")
    teaching = {"teacher.name": "t", "model.name": "s", "distillation.alpha_cos": 0.0}

    def model(seed):
        return build(framework, config, task, spread(config, task, seed), dtype="float64")

    alone = step_for(framework, model(0), recipe_for(task, **settings), weighted=weighted)
    module = import_module(f"distil.{framework}.training.teaching")
    taught = module.TeachingStep(
        model(0), recipe_for(task, **settings, **teaching), model(1),
        class_weights=WEIGHTS if weighted else None,
    )  # fmt: skip
    expected = alone.train([batch], RATE, [0, 0])["loss"]
    assert taught.train([batch], RATE, [0, 0])["loss_task"] == pytest.approx(expected, rel=1e-12)
