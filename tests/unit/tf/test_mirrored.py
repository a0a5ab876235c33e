"""Training on several devices of one process, as on one."""

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from distil.common.steps.workers import Place
from distil.tf.model import dropout_seed
from distil.tf.training.workers import Workers, open_workers
from distil.training import distill
from distil.training.log import read_log
from support.models import NO_DROPOUT, build, config_for
from support.training import make_recipe

pytestmark = [pytest.mark.tf, pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")]


def recipe_for(folder, **changes):
    return make_recipe(
        folder, "token-classification", "tf", rows=7,
        **{
            "batch.examples": 3, "batch.accumulation": 2, "precision": "float64",
            "checkpoints.model": "last", "log.every": 1, "model.name": None,
            "teacher.name": str(folder / "model"), "teacher.layers": [0], **changes,
        },
    )  # fmt: skip


def test_two_devices_are_as_good_as_one(two_devices, tmp_path):
    """The last batch has one row, so that one device has none."""
    recipe = recipe_for(tmp_path, **{"model.config": NO_DROPOUT})
    alone = distill(recipe, output=str(tmp_path / "alone"))
    with two_devices.scope():
        together = distill(recipe)
    for first, second in zip(read_log(alone.folder), read_log(together.folder), strict=True):
        for name in first.keys() - {"tokens_per_second"}:
            assert first[name] == pytest.approx(second[name], rel=1e-9), name
    arrays = [load_file(one.folder / "model.safetensors") for one in (alone, together)]
    for name, array in arrays[0].items():
        assert array.dtype == arrays[1][name].dtype == np.float64
        np.testing.assert_allclose(array, arrays[1][name], rtol=0, atol=1e-9, err_msg=name)


def test_each_device_drops_out_other_units(two_devices):
    with two_devices.scope():
        workers = Workers(local_replicas=2, strategy=tf.distribute.get_strategy())
        model = build("tf", config_for("base"), "base")
        graph = tf.function(
            lambda: workers.run(lambda: dropout_seed(model, True), [()] * 2), autograph=False
        )
        first, second = (seed.numpy().tolist() for seed in graph())
    assert first != second


def test_by_itself_a_process_has_one_device():
    with open_workers(Place()) as workers:
        assert (workers.replicas, workers.size) == (1, 1)
        assert workers.gather("x") == ["x"]
