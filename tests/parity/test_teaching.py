"""Distillation steps: the losses are those of whole models, and both frameworks take the same."""

import importlib

import numpy as np
import pytest

import distil
from distil.common.steps.masking import PLACES
from distil.common.steps.recipe import read_recipe
from distil.common.steps.stepping import WEIGHT
from distil.training import distill
from distil.training.log import read_log
from distil.training.student import student_config, student_weights
from support.folders import make_folder
from support.models import NO_DROPOUT, batch_for, build, config_for, measure, spread
from support.training import TASKS, make_recipe, part, recipe_for, tame

pytestmark = [
    pytest.mark.pt, pytest.mark.tf, pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")
]  # fmt: skip

FRAMEWORKS = ("pt", "tf")
LOSSES = ("ce", "task", "cos", "hidden", "attention")
LAYERS = (0, 2)  # of four
TEACHER = {"n_layers": 4, **NO_DROPOUT}
STEPS = 20
RATE = 2**-11

every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)


def weights_of(**weights):
    """Settings of a recipe: these weights, and 0 for the others."""
    return {f"distillation.alpha_{name}": weights.get(name, 0.0) for name in LOSSES}


def teaching_recipe(task, **assignments):
    table = {**recipe_for(task).to_table(), "teacher": {"name": "x"}, "model": {}}
    return read_recipe(table, {"precision": "float64", "teacher.layers": list(LAYERS)}
                       | assignments)  # fmt: skip


def pair(framework, task, *, layers=LAYERS, **changes):
    """A student of those layers, and its teacher."""
    config = config_for(task, **(TEACHER | changes))
    weights = tame(spread(config, task))
    small = student_config(config, layers, None)
    own = {n: read() for n, read in student_weights(weights, small, task, layers, None).items()}
    return build(framework, small, task, own), build(framework, config, task, weights)


def step_for(framework, task, recipe, **options):
    student, teacher = pair(framework, task, **options)
    module = importlib.import_module(f"distil.{framework}.training.teaching")
    return module.TeachingStep(student, recipe, teacher)


def softened(logits, temperature=2.0):
    powers = np.exp((logits - logits.max(-1, keepdims=True)) / temperature)
    return powers / powers.sum(-1, keepdims=True)


def divergence(student, teacher):
    """L_ce of logits (n, c) by its definition."""
    p, q = softened(teacher), softened(student)
    return 4 * (p * np.log(p / q)).sum(-1).mean()


def cosine(student, teacher):
    products = (student * teacher).sum(-1)
    return (
        1 - products / np.linalg.norm(student, axis=-1) / np.linalg.norm(teacher, axis=-1)
    ).mean()


def scores(model, outputs, layer):
    """Attention scores (b, h, s, s) of a layer before the softmax, from what goes into it."""
    weights = dict(model.named_arrays())
    x = outputs[f"hidden_states.{layer}"]
    q, k = (
        np.stack(np.split(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"], 4, -1), 1)
        for name in (f"distilbert.transformer.layer.{layer}.attention.{n}_lin" for n in "qk")
    )
    return q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1])


def by_definition(framework, task, seed):
    """Each loss from the whole outputs of both models, in numpy."""
    student, teacher = pair(framework, task)
    inputs = batch_for(student.config, task, seed=seed)
    own, theirs = (
        measure(framework, model, inputs, gradients=False).outputs for model in (student, teacher)
    )
    shown = inputs["attention_mask"].reshape(-1, 9) != 0  # b s
    found = {"task": float(own["loss"])}
    found["cos"] = cosine(own["hidden_states.2"][shown], theirs["hidden_states.4"][shown])
    found["hidden"] = np.mean([
        ((own[f"hidden_states.{a}"] - theirs[f"hidden_states.{b}"])[shown] ** 2).mean()
        for a, b in ((1, 2), (2, 4))
    ])  # fmt: skip
    seen = np.broadcast_to((shown[:, :, None] & shown[:, None])[:, None], (len(shown), 4, 9, 9))
    found["attention"] = np.mean([
        ((scores(student, own, a) - scores(teacher, theirs, b))[seen] ** 2).mean()
        for a, b in ((0, 1), (1, 3))
    ])  # fmt: skip
    if task == "question-answering":
        found["ce"] = np.mean([
            divergence(own[name][row][shown[row]], theirs[name][row][shown[row]])
            for name in ("start_logits", "end_logits") for row in range(len(shown))
        ])  # fmt: skip
    else:
        tokens = shown if task in ("masked-lm", "token-classification") else slice(None)
        found["ce"] = divergence(own["logits"][tokens], theirs["logits"][tokens])
    return found


def batch(task, seed):
    """A part whose labels stand at tokens that are no padding, as masking draws them."""
    config = config_for(task, **TEACHER)
    made = part(config, task, seed)
    if task == "masked-lm":
        shown = made.inputs["attention_mask"].ravel()[made.inputs[PLACES]] != 0
        for name in ("labels", PLACES):
            made.inputs[name] = made.inputs[name][shown]
    return made


@every_framework
@pytest.mark.parametrize("task", TASKS)
def test_each_loss_is_its_definition(task, framework):
    step = step_for(
        framework, task, teaching_recipe(task, **weights_of(**dict.fromkeys(LOSSES, 1)))
    )
    found = step.train([batch(task, 3)], RATE, [0, 0])
    expected = by_definition(framework, task, 3)
    if task == "masked-lm":  # whose labels at padding are left out, see the next test
        expected["task"] = found["loss_task"]
    assert {n for n in found if n.startswith("loss_")} == {f"loss_{name}" for name in LOSSES}
    for name, value in expected.items():
        assert found[f"loss_{name}"] == pytest.approx(value, rel=1e-9), name
    assert found["loss"] == pytest.approx(sum(expected.values()), rel=1e-9)


@every_framework
@pytest.mark.parametrize("restricted", [False, True])
def test_the_loss_of_hidden_words_is_that_of_training(restricted, framework):
    task = "masked-lm"
    recipe = teaching_recipe(
        task, **weights_of(task=1, ce=0.5), **{"distillation.restrict_to_mask": restricted}
    )
    made = batch(task, 3)
    found = step_for(framework, task, recipe).train([made], RATE, [0, 0])
    student, teacher = pair(framework, task)
    plain = importlib.import_module(f"distil.{framework}.training.step").Step(
        student, recipe_for(task)
    )
    assert found["loss_task"] == pytest.approx(plain.evaluate(made.inputs).loss, rel=1e-12)
    if restricted:
        inputs = batch_for(student.config, task, seed=3)
        logits = [
            measure(framework, model, inputs, gradients=False).outputs["logits"]
            .reshape(-1, student.config.vocab_size)[made.inputs[PLACES]]
            for model in (student, teacher)
        ]  # fmt: skip
        assert found["loss_ce"] == pytest.approx(divergence(*logits), rel=1e-9)


@every_framework
def test_numbers_are_learned_by_their_difference(framework):
    task = "sequence-classification"
    recipe = teaching_recipe(task, **weights_of(ce=1))
    step = step_for(framework, task, recipe, num_labels=1)
    made = part(config_for(task, **TEACHER), task, 3)
    inputs = {n: x for n, x in made.inputs.items() if n != "labels"}
    own, theirs = (
        measure(framework, model, inputs, gradients=False).outputs["logits"]
        for model in pair(framework, task, num_labels=1)
    )
    made.inputs["labels"] = made.inputs["labels"].astype(np.float32)
    found = step.train([made], RATE, [0, 0])
    assert found["loss_ce"] == pytest.approx(((own - theirs) ** 2).mean(), rel=1e-9)


@every_framework
@pytest.mark.parametrize("task", ["masked-lm", "question-answering", "multiple-choice"])
def test_a_student_like_its_teacher_has_nothing_to_learn_from_it(task, framework):
    recipe = teaching_recipe(
        task, **weights_of(ce=5, cos=1, hidden=1, attention=1), **{"teacher.layers": [0, 1, 2, 3]}
    )
    step = step_for(framework, task, recipe, layers=(0, 1, 2, 3))
    found = step.train([batch(task, 1)], RATE, [0, 0])
    for name, value in found.items():
        assert abs(value) < 1e-6, name  # the norm of gradients is the root of what is rounded


@every_framework
@pytest.mark.parametrize("name", LOSSES)
def test_each_weight_alone_asks_for_its_loss_alone(name, framework):
    task = "masked-lm"
    recipe = teaching_recipe(task, **weights_of(**{name: 3.0}))
    found = step_for(framework, task, recipe).train([batch(task, 1)], RATE, [0, 0])
    assert found.keys() == {"loss", f"loss_{name}", "gradient_norm"}
    assert found["loss"] == pytest.approx(3 * found[f"loss_{name}"], rel=1e-12)
    assert found["gradient_norm"] > 1e-4


@pytest.mark.parametrize("task", TASKS)
def test_the_same_curve_in_both_and_the_teacher_stays(task):
    recipe = teaching_recipe(task, **weights_of(ce=5, task=2, cos=1, hidden=0.5, attention=10))
    curves = []
    for framework in FRAMEWORKS:
        step = step_for(framework, task, recipe)
        before = {name: array.copy() for name, array in step.teacher.named_arrays()}
        student = {name: array.copy() for name, array in step.state().items()}
        points = []
        for number in range(STEPS):
            parts = [batch(task, (2 * number + n) % 10) for n in range(2)]
            points.append(step.train(parts, RATE, [0, number]))
        curves.append(points)
        for name, array in step.teacher.named_arrays():
            np.testing.assert_array_equal(array, before[name], err_msg=name)
        name = f"{WEIGHT}distilbert.transformer.layer.0.ffn.lin1.weight"
        assert np.abs(step.state()[name] - student[name]).max() > 1e-4
    for one, other in zip(*curves, strict=True):
        assert list(one) == list(other)
        assert one == pytest.approx(other, rel=1e-9)


def test_the_parts_of_a_step_count_by_their_labels():
    """Two equal parts are one of them."""
    recipe = teaching_recipe("token-classification", **{"distillation.temperature": 3.0})
    for framework in FRAMEWORKS:
        made = batch("token-classification", 2)
        one, two = (
            step_for(framework, "token-classification", recipe).train([made] * n, RATE, [0, 0])
            for n in (1, 2)
        )
        assert one == pytest.approx(two, rel=1e-12)


@pytest.mark.parametrize("task", ["sequence-classification", "masked-lm"])
def test_a_recipe_gives_the_same_in_both(task, tmp_path):
    make_folder(tmp_path / "model", task, num_labels=2)
    logs = []
    for framework in FRAMEWORKS:
        recipe = make_recipe(
            tmp_path, task, framework, rows=16,
            **{
                "model.config": NO_DROPOUT, "precision": "float64", "model.name": None,
                "teacher.name": str(tmp_path / "model"), "log.every": 1,
            },
        )  # fmt: skip
        result = distill(recipe)
        keep = ("tokens_per_second",)
        logs.append(
            [{n: x for n, x in p.items() if n not in keep} for p in read_log(result.folder)]
        )
        model = distil.load(result.folder, framework=framework)
        assert model.config.n_layers == 1
    assert {"loss", "loss_ce", "loss_task", "loss_cos", "gradient_norm"} <= logs[0][0].keys()
    assert len(logs[0]) == len(logs[1]) > 2
    for one, other in zip(*logs, strict=True):
        assert one == pytest.approx(other, rel=1e-9)


@every_framework
def test_bfloat16_is_near_float32(framework, tmp_path):
    losses = {}
    for precision in ("float32", "bfloat16"):
        recipe = make_recipe(
            tmp_path, "masked-lm", framework, rows=16,
            **{
                "precision": precision, "output": str(tmp_path / precision), "model.name": None,
                "teacher.name": str(tmp_path / "model"), "model.config": NO_DROPOUT,
                "log.every": 1, "distillation.alpha_hidden": 1.0,
            },
        )  # fmt: skip
        result = distill(recipe)
        losses[precision] = np.array([p["loss"] for p in read_log(result.folder) if "loss" in p])
        assert distil.DistilBertConfig.from_pretrained(result.folder).dtype == "float32"
    assert np.abs(losses["bfloat16"] / losses["float32"] - 1).max() < 0.05
    assert (losses["bfloat16"] != losses["float32"]).any()
