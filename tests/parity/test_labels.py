"""Texts with several labels each: the same steps in both frameworks, alone and with a teacher."""

from dataclasses import replace
from functools import cache
from importlib import import_module

import numpy as np
import pytest
import torch

import distil
from distil.common.steps.batching import count_labels
from distil.pt import losses
from distil.pt.training import teaching
from distil.training.log import read_log
from support.folders import make_folder
from support.models import NO_DROPOUT, build, config_for, measure, spread
from support.training import part, recipe_for, tame
from unit.test_several_labels import ROWS, SEVERAL

pytestmark = [
    pytest.mark.pt, pytest.mark.tf, pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")
]  # fmt: skip

FRAMEWORKS = ("pt", "tf")
TASK = "sequence-classification"
STEPS, RATE, TOLERANCE = 20, 2**-11, 1e-9
TEACHING = {
    "teacher.name": "t", "model.name": "s", "distillation.alpha_cos": 0.0,
    "distillation.temperature": 3.0,
}  # fmt: skip


def batch(config, seed):
    """A part whose labels are 0 or 1 for each text and label."""
    made = part(config, TASK, seed)
    labels = np.random.default_rng(seed).integers(0, 2, (3, config.num_labels)).astype(np.float32)
    inputs = {**made.inputs, "labels": labels}
    return replace(made, inputs=inputs, counted=count_labels(inputs, 3))


def step_for(framework, *, taught, seed=0):
    config = config_for(TASK, **NO_DROPOUT, **SEVERAL)
    settings = {"precision": "float64", "model.config": SEVERAL}

    def model(seed):
        return build(framework, config, TASK, tame(spread(config, TASK, seed)), dtype="float64")

    if not taught:
        step = import_module(f"distil.{framework}.training.step").Step
        return step(model(seed), recipe_for(TASK, **settings))
    step = import_module(f"distil.{framework}.training.teaching").TeachingStep
    return step(model(seed), recipe_for(TASK, **settings, **TEACHING), model(seed + 1))


def curve(framework, *, taught):
    step = step_for(framework, taught=taught)
    config = step.model.config
    points = []
    for number in range(STEPS):
        parts = [batch(config, (2 * number + n) % 10) for n in range(2)]
        points.append(list(step.train(parts, RATE, [0, number]).values()))
    return np.array(points)


@cache
def of_tensorflow(taught):
    return curve("tf", taught=taught)


def apart(curves):
    pt, tf = curves
    return float((np.abs(pt - tf) / np.abs(pt)).max())


@pytest.mark.parametrize("taught", [False, True])
def test_the_same_curve_in_both(taught):
    curves = curve("pt", taught=taught), of_tensorflow(taught)
    assert apart(curves) <= TOLERANCE
    assert curves[0][-10:, 0].mean() < curves[0][:10, 0].mean()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_losses_are_their_definitions(framework):
    """Of labels: the mean binary cross entropy; of a teacher: that of its softened answers."""
    step = step_for(framework, taught=True)
    made = batch(step.model.config, 4)
    inputs = {n: x for n, x in made.inputs.items() if n != "labels"}
    own, theirs = (
        measure(framework, model, inputs, gradients=False).outputs["logits"]
        for model in (step.model, step.teacher)
    )
    found = step.train([made], RATE, [0, 0])
    labels = made.inputs["labels"]
    p, q = (1 / (1 + np.exp(-x / 3)) for x in (theirs, own))
    divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert found["loss_ce"] == pytest.approx(9 * divergence.mean(), rel=1e-9)
    plain = np.logaddexp(0, own) - labels * own
    assert found["loss_task"] == pytest.approx(plain.mean(), rel=1e-9)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_parts_of_a_step_count_by_their_labels(framework):
    """Two parts make the same step as one that has the rows of both."""
    whole = batch(config_for(TASK, **SEVERAL), 1)
    pieces = []
    for rows in ([0], [1, 2]):
        inputs = {name: array[rows] for name, array in whole.inputs.items()}
        counted = count_labels(inputs, len(rows))
        pieces.append(replace(whole, inputs=inputs, rows=whole.rows[rows], counted=counted))
    one, two = (
        step_for(framework, taught=True).train(parts, RATE, [0, 0]) for parts in ([whole], pieces)
    )
    assert one == pytest.approx(two, rel=1e-12)


binary = losses.binary

# Whether there is a teacher, where the function is, and what is there in its place.
MUTANTS = {
    "labels as classes": (
        False, losses, "binary", lambda logits, labels: logits.logsumexp(-1).mean(),
    ),
    "the sum over labels": (
        False, losses, "binary",
        lambda logits, labels: binary(logits, labels) * logits.shape[-1],
    ),
    "smoothed labels": (
        False, losses, "binary",
        lambda logits, labels: binary(logits, 0.99 * labels + 0.005),
    ),
    "beside itself": (
        True, teaching.TeachingStep, "_beside_zero", lambda self, x: torch.stack((x, -x), -1),
    ),
    "beside one": (
        True, teaching.TeachingStep, "_beside_zero",
        lambda self, x: torch.stack((x, x * 0 + 1), -1),
    ),
    "classes": (True, teaching.TeachingStep, "_beside_zero", lambda self, x: x),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(name, monkeypatch):
    taught, place, function, mutant = MUTANTS[name]
    monkeypatch.setattr(place, function, mutant)
    assert apart((curve("pt", taught=taught), of_tensorflow(taught))) > TOLERANCE


@pytest.mark.parametrize("taught", [False, True])
def test_from_rows_to_the_same_model(taught, tmp_path):
    """The same curve, metrics and intervals; a student has its teacher's labels."""
    name = make_folder(
        tmp_path / "model", TASK,
        **({"id2label": dict(enumerate(("film", "good", "paris"))), **SEVERAL} if taught else {}),
    )  # fmt: skip
    found = []
    for framework in FRAMEWORKS:
        train = distil.distill if taught else distil.train
        result = train(
            task=TASK, data=ROWS, output=tmp_path / framework, framework=framework,
            **{"teacher" if taught else "model": name}, precision="float64",
            **{"model.config": NO_DROPOUT, "schedule.steps": 4, "data.max_length": 16,
               "batch.examples": 8, "log.every": 1},
        )  # fmt: skip
        points = [
            {n: x for n, x in point.items() if n != "tokens_per_second"}
            for point in read_log(result.folder)
        ]
        found.append((points, result))
    (pt_points, pt), (tf_points, tf) = found
    assert len(pt_points) == len(tf_points) == 5
    for one, other in zip(pt_points, tf_points, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert pt.metrics == pytest.approx(tf.metrics, rel=1e-9)
    assert pt.intervals == tf.intervals
    assert {"loss_ce", "loss_task"} <= pt_points[0].keys() or not taught
    assert distil.DistilBertConfig.from_pretrained(pt.folder).problem_type == (
        "multi_label_classification"
    )
