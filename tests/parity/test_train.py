"""Training steps: what they leave out changes nothing, and both frameworks take the same ones."""

from importlib import import_module

import numpy as np
import pytest

import distil
from distil.common.spec import parameters
from distil.common.steps.batching import Batch
from distil.common.steps.masking import PLACES
from distil.common.steps.stepping import MEAN, SQUARE, WEIGHT, decays
from distil.training import train
from distil.training.log import read_log
from support.models import NO_DROPOUT, batch_for, build, config_for, measure, spread
from support.training import TASKS, make_recipe, part, recipe_for, tame, without_answers

pytestmark = [
    pytest.mark.pt, pytest.mark.tf, pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")
]  # fmt: skip

FRAMEWORKS = ("pt", "tf")
STEPS = 100
RATE = 2**-11

# Largest seen: 4e-14 and 5e-6.
TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


def step_for(framework, model, recipe):
    return import_module(f"distil.{framework}.training.step").Step(model, recipe)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("mask", ["none", "ragged"])
@pytest.mark.parametrize("task", TASKS)
def test_what_is_left_out_changes_nothing(task, mask, framework):
    """Loss, logits and gradients are those of the whole model."""
    config = config_for(task, **NO_DROPOUT)
    weights = spread(config, task)
    whole = measure(
        framework, build(framework, config, task, weights), batch_for(config, task, mask=mask),
        attentions=False,
    )  # fmt: skip
    # Weights decay by nothing, and the first step of AdamW forgets the size of a gradient: its
    # mean, 0.1 times the gradient, does not.
    recipe = recipe_for(task, **{"optimizer.weight_decay": 0, "optimizer.clip": None})
    step = step_for(framework, build(framework, config, task, weights), recipe)
    batch = part(config, task, 1, mask=mask)
    evaluation = step.evaluate(batch.inputs)
    found = step.train([batch], 1e-3, [0, 0])
    assert found["loss"] == pytest.approx(float(whole.outputs["loss"]), rel=1e-12)
    assert evaluation.loss == pytest.approx(float(whole.outputs["loss"]), rel=1e-12)
    state = step.state()
    for name, gradient in whole.gradients.items():
        mean = state[MEAN + name]
        assert mean.dtype == gradient.dtype
        assert mean.shape == gradient.shape
        np.testing.assert_allclose(mean / 0.1, gradient, rtol=0, atol=1e-12, err_msg=name)
    norm = np.sqrt(sum((gradient**2).sum() for gradient in whole.gradients.values()))
    assert found["gradient_norm"] == pytest.approx(norm, rel=1e-10)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("task", TASKS)
def test_evaluation_gives_the_logits(task, framework):
    config = config_for(task)
    model = build(framework, config, task)
    batch = part(config, task, 1)
    found = step_for(framework, model, recipe_for(task)).evaluate(batch.inputs).outputs
    whole = measure(
        framework, model, batch_for(config, task, seed=1), gradients=False, attentions=False
    ).outputs
    if task == "masked-lm":
        logits = whole["logits"].reshape(-1, config.vocab_size)[batch.inputs[PLACES]]
        np.testing.assert_array_equal(found["predicted"], logits.argmax(-1))
        return
    assert found
    for name, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, whole[name].astype(np.float32), rtol=0, atol=1e-6)


def curves(task, dtype, recipe, *, parts=1, steps=STEPS):
    """Loss and norm of each step, and the state at the end, in each framework."""
    config = config_for(task, **NO_DROPOUT)
    weights = tame(spread(config, task))
    found = []
    for framework in FRAMEWORKS:
        step = step_for(framework, build(framework, config, task, weights, dtype=dtype), recipe)
        points = []
        for number in range(steps):
            batches = [part(config, task, (number * parts + n) % 10) for n in range(parts)]
            points.append(tuple(step.train(batches, RATE, [0, number]).values()))
        found.append((np.array(points), step.state()))
    return found


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("task", TASKS)
def test_the_same_curve_in_both(task, dtype):
    if (task, dtype) == ("multiple-choice", "float32"):
        pytest.skip("units that get no gradient but rounding errors, which AdamW makes steps of")
    (pt, pt_state), (tf, tf_state) = curves(task, dtype, recipe_for(task, precision=dtype))
    assert pt[-10:, 0].mean() < pt[:10, 0].mean()
    assert (np.abs(pt - tf) / pt).max() <= TOLERANCES[dtype]
    assert pt_state.keys() == tf_state.keys()
    if dtype == "float64":
        for name, array in pt_state.items():
            # Where a gradient is 0 but for rounding, as that of the keys' bias, AdamW's steps
            # are as random as the rounding.
            if "k_lin.bias" in name or array.dtype != np.float64 or name.startswith(SQUARE):
                continue
            np.testing.assert_allclose(array, tf_state[name], rtol=0, atol=1e-7, err_msg=name)


def test_the_same_curve_with_several_parts_and_clipping():
    task = "token-classification"
    recipe = recipe_for(task, precision="float64", **{"optimizer.clip": 0.1})
    (pt, _), (tf, _) = curves(task, "float64", recipe, parts=3, steps=20)
    assert (pt[:, 1] > 0.1).all()
    assert (np.abs(pt - tf) / pt).max() <= 1e-12


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_biases_and_norms_do_not_decay(framework):
    """A batch in which nothing counts leaves weights to the decay alone."""
    config = config_for("token-classification", **NO_DROPOUT)
    weights = spread(config, "token-classification")
    recipe = recipe_for("token-classification", **{"optimizer.weight_decay": 0.5})
    model = build(framework, config, "token-classification", weights)
    step = step_for(framework, model, recipe)
    batch = part(config, "token-classification", 1)
    ignored = {**batch.inputs, "labels": np.full_like(batch.inputs["labels"], -100)}
    empty = Batch(inputs=ignored, rows=batch.rows, tokens=1, size=1, counted=0)
    assert step.train([empty], 0.1, [0, 0]) == {"loss": 0.0, "gradient_norm": 0.0}
    state = step.state()
    for weight in parameters(config, "token-classification"):
        factor = 0.95 if decays(weight) else 1.0
        kept = "norm" not in weight.name.lower() and weight.leaf == "weight"
        assert (factor == 0.95) == kept, weight.name
        np.testing.assert_allclose(
            state[WEIGHT + weight.name], factor * weights[weight.name], rtol=1e-12
        )


@pytest.mark.parametrize("task", ["sequence-classification", "masked-lm", "question-answering"])
def test_a_recipe_gives_the_same_in_both(task, tmp_path):
    """From files to curves, metrics and weights: the same batches, masks and rates.

    Texts to classify are read in windows, and some questions have no answer.
    """
    settings = {"model.config": NO_DROPOUT, "precision": "float64"}
    if task == "sequence-classification":
        settings |= {"data.max_length": 8, "data.stride": 2}
    logs, results, weights = [], [], []
    for framework in FRAMEWORKS:
        recipe = make_recipe(tmp_path, task, framework, **settings)
        if task == "question-answering":
            for file in (*recipe.data.train, *recipe.data.dev):
                without_answers(tmp_path / file)
        result = train(recipe)
        results.append(result)
        keep = ("tokens_per_second",)
        logs.append(
            [{n: x for n, x in p.items() if n not in keep} for p in read_log(result.folder)]
        )
        model = distil.load(result.folder, framework="pt", dtype="float64")
        weights.append(dict(model.named_arrays()))
    assert len(logs[0]) == len(logs[1]) > 2
    for one, other in zip(*logs, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert results[0].metrics == pytest.approx(results[1].metrics, rel=1e-9)
    assert ("NoAns_f1" in results[0].metrics) == (task == "question-answering")
    assert results[0].tokens == results[1].tokens


def test_dropout_is_on_in_training_and_the_same_for_the_same_step():
    task = "sequence-classification"
    config = config_for(task, dropout=0.5)
    batch = part(config, task, 1)
    for framework in FRAMEWORKS:

        def loss(place, framework=framework):
            model = build(framework, config, task)
            return step_for(framework, model, recipe_for(task)).train([batch], 0.1, place)["loss"]

        assert loss([0, 1]) == loss([0, 1])
        assert len({loss([0, 1]), loss([0, 2]), loss([1, 1])}) == 3


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_bfloat16_is_near_float32_and_keeps_float32_weights(framework, tmp_path):
    losses = {}
    for precision in ("float32", "bfloat16"):
        recipe = make_recipe(
            tmp_path, "sequence-classification", framework,
            **{
                "precision": precision, "output": str(tmp_path / precision),
                "model.config": NO_DROPOUT, "log.every": 1,
            },
        )  # fmt: skip
        result = train(recipe)
        losses[precision] = np.array([p["loss"] for p in read_log(result.folder) if "loss" in p])
        assert distil.DistilBertConfig.from_pretrained(result.folder).dtype == "float32"
    assert np.abs(losses["bfloat16"] - losses["float32"]).max() < 0.05
    assert (losses["bfloat16"] != losses["float32"]).any()
