"""A batch in slices makes the step of the whole of it: each loss is weighted by its own mean."""

import importlib

import numpy as np
import pytest

from distil.common.steps.batching import Batch
from distil.common.steps.masking import PLACES
from distil.common.steps.recipe import read_recipe
from distil.common.steps.slicing import slice_of
from distil.common.steps.stepping import MEAN
from distil.common.steps.teaching import LOSSES
from support.models import NO_DROPOUT, build, config_for, spread
from support.training import TASKS, part, recipe_for, tame

# A batch's texts are compared with each other: no slice has those of the others.
SLICED = tuple(name for name in LOSSES if name != "similarity")

pytestmark = [pytest.mark.pt, pytest.mark.tf]


def batch_for(config, task):
    """Rows of unequal length, one of them with nothing to be learned from its labels."""
    made = part(config, task, 3)
    inputs = dict(made.inputs)
    mask = inputs["attention_mask"]
    mask[..., 5:] = 0
    mask[0] = 1
    counted = made.counted
    if task == "masked-lm":
        rows, columns = np.divmod(inputs[PLACES], mask.shape[1])
        kept = (mask[rows, columns] != 0) & (rows != 1)
        for name in ("labels", PLACES):
            inputs[name] = inputs[name][kept]
        counted = int(kept.sum())
    if task == "token-classification":
        inputs["labels"][1] = -100
        counted = int((inputs["labels"] != -100).sum())
    return Batch(inputs=inputs, rows=made.rows, tokens=1, size=1, counted=counted)


@pytest.mark.parametrize("framework", ["pt", "tf"])
@pytest.mark.parametrize("task", TASKS)
def test_slices_make_the_step_of_the_whole(task, framework):
    config = config_for(task, **NO_DROPOUT)
    weights = tame(spread(config, task))
    table = {**recipe_for(task).to_table(), "teacher": {"name": "x"}, "model": {}}
    losses = {f"distillation.alpha_{name}": 1.0 for name in SLICED}
    recipe = read_recipe(table, {"precision": "float64", **losses})
    step_class = importlib.import_module(f"distil.{framework}.training.teaching").TeachingStep
    whole = batch_for(config, task)
    found = []
    # Three rows: the last of four slices has none.
    for parts in ([whole], [slice_of(whole, number, 4) for number in range(4)]):
        student = build(framework, config, task, {n: w * 0.9 for n, w in weights.items()})
        step = step_class(student, recipe, build(framework, config, task, weights))
        found.append((step.train(parts, 1e-3, [0, 0]), step.state()))
    (measured, state), (in_slices, state_in_slices) = found
    assert measured.keys() == in_slices.keys()
    assert len(measured) == len(SLICED) + 2
    for name, value in measured.items():
        assert value > 0, name
        assert in_slices[name] == pytest.approx(value, rel=1e-12), name
    for name, array in state.items():
        if name.startswith(MEAN):
            assert array.dtype == np.float64
            np.testing.assert_allclose(
                array, state_in_slices[name], rtol=0, atol=1e-12, err_msg=name
            )
