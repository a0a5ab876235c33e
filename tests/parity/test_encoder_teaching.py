"""Distillation of encoders without a head: losses by their definitions, one curve in both."""

import importlib
import re

import numpy as np
import pytest

from distil.common.steps.batching import OF_TEACHER, VECTORS, Batch
from distil.common.steps.linear_map import LINEAR_MAP, drawn_map
from distil.common.steps.recipe import read_recipe
from distil.common.steps.slicing import slice_of
from distil.common.steps.stepping import MEAN, SQUARE, WEIGHT
from distil.training.student import student_config, student_weights
from support.models import NO_DROPOUT, batch_for, build, config_for, measure, spread
from support.training import tame

pytestmark = [pytest.mark.pt, pytest.mark.tf]

FRAMEWORKS = ("pt", "tf")
LAYERS = (0, 3)  # of four
TEACHER = {"n_layers": 4, **NO_DROPOUT}
NARROW = 16  # half the teacher's width
STEPS = 20
RATE = 2**-11

# Biases that cancel out: AdamW makes steps of what rounding leaves of their gradients.
GRADIENTLESS = re.compile(r"[qk]_lin\.bias$")

every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)


def recipe_for(**distillation):
    nothing = {"alpha_ce": 0.0, "alpha_task": 0.0, "alpha_cos": 0.0}
    table = {
        "task": "sentence-embeddings", "output": "x", "precision": "float64",
        "teacher": {"name": "x", "layers": list(LAYERS)}, "data": {"train": "x"},
        "batch": {"examples": 3}, "distillation": nothing | distillation,
    }  # fmt: skip
    return read_recipe(table)


def pair(framework, tokens=None, dim=None):
    """A student of those layers and tokens, or of another width, and its teacher."""
    config = config_for("base", **TEACHER)
    weights = tame(spread(config, "base"))
    small = student_config(config, LAYERS, tokens)
    if dim is None:
        read = student_weights(weights, small, "base", LAYERS, tokens)
        own = {name: one() for name, one in read.items()}
    else:
        small = small.replace(dim=dim)
        own = tame(spread(small, "base", seed=1))
    return build(framework, small, "base", own), build(framework, config, "base", weights)


def step_for(framework, recipe, tokens=None, dim=None):
    student, teacher = pair(framework, tokens, dim)
    return importlib.import_module(f"distil.{framework}.training.teaching").TeachingStep(
        student, recipe, teacher
    )


def batch(seed, words=61, rows=3, theirs=None):
    """A part; with a seed for `theirs`, other tokens for the teacher, of another length."""
    config = config_for("base", **TEACHER).replace(vocab_size=words)
    inputs = batch_for(config, "base", seed=seed, rows=rows)
    if theirs is not None:
        other = batch_for(config_for("base", **TEACHER), "base", seed=theirs, rows=rows, length=7)
        inputs |= {OF_TEACHER + name: x for name, x in other.items()}
    inputs = {name: x.astype(np.int32) for name, x in inputs.items()}
    tokens = int(inputs["attention_mask"].sum())
    return Batch(inputs=inputs, rows=np.arange(rows), tokens=tokens, size=1, counted=rows)


def outputs(framework, model, inputs, prefix=""):
    """Hidden states, which tokens are shown, and the mean of the last states of each text."""
    own = {name: inputs[prefix + name] for name in ("input_ids", "attention_mask")}
    found = measure(framework, model, own, gradients=False).outputs
    shown = own["attention_mask"] != 0
    last = found[f"hidden_states.{model.config.n_layers}"]
    vectors = np.stack([x[y].mean(0) for x, y in zip(last, shown, strict=True)])
    return found, shown, vectors


def cosine(first, second):
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return (first * second).sum(-1) / lengths


@every_framework
def test_each_loss_is_its_definition(framework):
    made = batch(3)
    student, teacher = pair(framework)
    own, shown, vectors = outputs(framework, student, made.inputs)
    theirs, _, goals = outputs(framework, teacher, made.inputs)
    expected = {
        "loss_vector": (1 - cosine(vectors, goals)).mean(),
        "loss_cos": (1 - cosine(own["hidden_states.2"], theirs["hidden_states.4"]))[shown].mean(),
    }
    recipe = recipe_for(alpha_vector=3.0, alpha_cos=2.0)
    found = step_for(framework, recipe).train([made], RATE, [0, 0])
    assert {n for n in found if n.startswith("loss_")} == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name
    total = 3 * expected["loss_vector"] + 2 * expected["loss_cos"]
    assert found["loss"] == pytest.approx(total, rel=1e-9)
    recipe = recipe_for(alpha_vector=1.0, vector_distance="squared")
    found = step_for(framework, recipe).train([made], RATE, [0, 0])
    assert found["loss_vector"] == pytest.approx(((vectors - goals) ** 2).mean(), rel=1e-9)


@every_framework
def test_states_of_another_width_are_compared_through_a_map(framework):
    made = batch(3)
    student, teacher = pair(framework, dim=NARROW)
    own, shown, _ = outputs(framework, student, made.inputs)
    theirs, _, _ = outputs(framework, teacher, made.inputs)
    recipe = recipe_for(alpha_cos=2.0, alpha_hidden=3.0, linear_map=True)
    matrix = drawn_map(student.config, teacher.config, recipe)[LINEAR_MAP].astype(float)
    assert matrix.shape == (teacher.config.dim, NARROW)
    goals = {1: theirs["hidden_states.3"], 2: theirs["hidden_states.4"]}
    mapped = {number: own[f"hidden_states.{number}"] @ matrix.T for number in goals}
    squares = [((mapped[n] - goal) ** 2)[shown].mean() for n, goal in goals.items()]
    found = step_for(framework, recipe, dim=NARROW).train([made], RATE, [0, 0])
    assert found["loss_hidden"] == pytest.approx(np.mean(squares), rel=1e-9)
    angles = 1 - cosine(mapped[2], goals[2])[shown].mean()
    assert found["loss_cos"] == pytest.approx(angles, rel=1e-9)


@every_framework
def test_a_map_is_a_weight_of_the_step_and_not_of_the_student(framework):
    recipe = recipe_for(alpha_cos=1.0, linear_map=True)
    step = step_for(framework, recipe, dim=NARROW)
    before = step.state()[WEIGHT + LINEAR_MAP].copy()
    step.train([batch(3)], RATE, [0, 0])
    state = step.state()
    # What AdamW's first step makes of a gradient, and 1% of decay.
    assert np.abs(state[WEIGHT + LINEAR_MAP] - before).max() == pytest.approx(RATE, rel=0.01)
    assert {MEAN + LINEAR_MAP, SQUARE + LINEAR_MAP} <= state.keys()
    assert not any(LINEAR_MAP in name for name, _ in step.model.named_arrays())
    other = step_for(framework, recipe, dim=NARROW)
    other.restore(state)
    assert other.train([batch(4)], RATE, [0, 1]) == step.train([batch(4)], RATE, [0, 1])


@every_framework
def test_vectors_that_are_known_are_learned_in_place_of_the_teachers_output(framework):
    made = batch(3)
    student, teacher = pair(framework)
    _, _, vectors = outputs(framework, student, made.inputs)
    _, _, goals = outputs(framework, teacher, made.inputs)
    step = step_for(framework, recipe_for(alpha_vector=1.0))
    np.testing.assert_allclose(step.teacher_vectors(made.inputs), goals, rtol=1e-9)
    goals = -goals.astype(np.float16)
    made.inputs[OF_TEACHER + VECTORS] = goals
    expected = (1 - cosine(vectors, goals.astype(float))).mean()
    assert step.train([made], RATE, [0, 0])["loss_vector"] == pytest.approx(expected, rel=1e-9)


def divergence(student, teacher, mask):
    """KL(teacher || student) of the softmax over the last axis where the mask is, summed."""
    p, q = (np.where(mask, np.exp(x), 0) for x in (teacher, student))
    p, q = (x / x.sum(-1, keepdims=True) for x in (p, q))
    return np.where(mask, p * np.log(np.where(mask, p / np.where(mask, q, 1), 1)), 0).sum(-1)


def projected(model, found, layer, kind, heads):
    """Queries, keys or values (b, h, s, e) in so many parts."""
    weights = dict(model.named_arrays())
    name = f"transformer.layer.{layer}.attention.{kind}_lin"
    x = found[f"hidden_states.{layer}"] @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return np.stack(np.split(x, heads, -1), 1)


@every_framework
@pytest.mark.parametrize(
    ("options", "layer", "heads"),
    [({}, 3, 4), ({"relation_layer": 1, "relation_heads": 8}, 1, 8)],
)
def test_relations_are_their_definition(options, layer, heads, framework):
    made = batch(3)
    student, teacher = pair(framework)
    own, shown, _ = outputs(framework, student, made.inputs)
    theirs, _, _ = outputs(framework, teacher, made.inputs)
    expected = 0.0
    for kind in "qkv":
        relations = [
            x @ x.swapaxes(2, 3) / np.sqrt(x.shape[-1])
            for x in (
                projected(student, own, 1, kind, heads),
                projected(teacher, theirs, layer, kind, heads),
            )
        ]
        each = divergence(*relations, shown[:, None, None])  # b h s
        expected += each[np.broadcast_to(shown[:, None], each.shape)].mean()
    found = step_for(framework, recipe_for(alpha_relations=1.0, **options))
    assert found.train([made], RATE, [0, 0])["loss_relations"] == pytest.approx(expected, rel=1e-9)


@every_framework
def test_texts_of_a_batch_are_compared(framework):
    made = batch(3, rows=5)
    vectors, goals = (outputs(framework, model, made.inputs)[2] for model in pair(framework))
    tables = []
    for x in (vectors, goals):
        scaled = x / np.linalg.norm(x, axis=-1, keepdims=True)
        tables.append(scaled @ scaled.T / 0.1)
    expected = divergence(*tables, ~np.eye(5, dtype=bool)).mean()
    recipe = recipe_for(alpha_similarity=1.0, similarity_temperature=0.1)
    found = step_for(framework, recipe).train([made], RATE, [0, 0])
    assert found["loss_similarity"] == pytest.approx(expected, rel=1e-9)


@every_framework
def test_a_teacher_reads_its_own_tokens(framework):
    tokens = [0, *range(5, 40)]
    made = batch(3, words=len(tokens), theirs=4)
    student, teacher = pair(framework, tokens)
    _, _, vectors = outputs(framework, student, made.inputs)
    _, _, goals = outputs(framework, teacher, made.inputs, OF_TEACHER)
    step = step_for(framework, recipe_for(alpha_vector=1.0), tokens)
    expected = (1 - cosine(vectors, goals)).mean()
    judged = step.evaluate(made.inputs)
    assert judged.loss == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(judged.outputs["vectors"], vectors, rtol=0, atol=1e-6)
    found = step.train([made], RATE, [0, 0])
    assert found["loss_vector"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("losses", "tokens", "dim"),
    [
        ({"alpha_vector": 1.0}, None, None),
        ({"alpha_vector": 1.0, "alpha_cos": 1.0, "alpha_hidden": 0.5}, None, None),
        ({"alpha_vector": 1.0, "vector_distance": "squared"}, [0, *range(5, 40)], None),
        ({"alpha_similarity": 1.0}, [0, *range(5, 40)], None),
        ({"alpha_relations": 1.0}, None, None),
        ({"alpha_attention": 1.0}, None, None),
        ({"alpha_cos": 1.0, "alpha_hidden": 0.5, "linear_map": True}, None, NARROW),
    ],
    ids=[
        "vectors",
        "vectors and states",
        "squared, other tokens",
        "similarity, other tokens",
        "relations",
        "attention scores",
        "states, another width",
    ],
)
def test_the_same_curve_in_both_and_the_teacher_stays(losses, tokens, dim):
    curves, states = [], []
    for framework in FRAMEWORKS:
        step = step_for(framework, recipe_for(**losses), tokens, dim)
        before = {name: array.copy() for name, array in step.teacher.named_arrays()}
        student = {name: array.copy() for name, array in step.state().items()}
        points = []
        for number in range(STEPS):
            parts = [
                batch(seed % 10, theirs=None if tokens is None else seed % 9, words=36)
                for seed in (2 * number, 2 * number + 1)
            ]
            points.append(step.train(parts, RATE, [0, number]))
        curves.append(points)
        for name, array in step.teacher.named_arrays():
            np.testing.assert_array_equal(array, before[name], err_msg=name)
        name = f"{WEIGHT}transformer.layer.0.ffn.lin1.weight"
        states.append(step.state())
        assert np.abs(states[-1][name] - student[name]).max() > 1e-4
    for one, other in zip(*curves, strict=True):
        assert list(one) == list(other)
        assert one == pytest.approx(other, rel=1e-9)
    pt, tf = states
    assert pt.keys() == tf.keys()
    for name, array in pt.items():
        # What no loss depends on decays in both.
        if name.startswith(WEIGHT) and not GRADIENTLESS.search(name):
            np.testing.assert_allclose(array, tf[name], rtol=0, atol=1e-7, err_msg=name)


@every_framework
def test_parts_count_by_their_texts(framework):
    """One step of a batch, or of its two slices of unequal size."""
    recipe = recipe_for(alpha_vector=1.0, alpha_cos=1.0)
    whole = batch(3, rows=3, theirs=None)
    one = step_for(framework, recipe).train([whole], RATE, [0, 0])
    parts = [slice_of(whole, number, 2) for number in range(2)]
    assert [len(part.rows) for part in parts] == [2, 1]
    two = step_for(framework, recipe).train(parts, RATE, [0, 0])
    assert one == pytest.approx(two, rel=1e-9)


@every_framework
def test_a_student_of_the_default_layers_is_compared_with_what_they_were(framework):
    table = recipe_for(alpha_hidden=1.0).to_table()
    recipe = read_recipe(table, {"teacher.layers": None})
    assert step_for(framework, recipe).matched == (3, 4)
    loaded = read_recipe(table, {"teacher.layers": None, "model.name": "x"})
    assert step_for(framework, loaded).matched == (2, 4)


@every_framework
def test_a_step_knows_how_many_share_its_batches(framework, monkeypatch):
    asked = []
    monkeypatch.setattr(
        f"distil.{framework}.training.teaching.check_alone", lambda *given: asked.append(given)
    )
    recipe = recipe_for(alpha_similarity=1.0)
    step_for(framework, recipe)
    assert asked == [(recipe.distillation, 1)]
