"""Ranges of activations: laid over bytes, kept in a file, refused where they do not fit."""

import json

import numpy as np
import pytest

from distil.common.inference.quantization import byte_step, quantized, scale_and_zero_point
from distil.common.inference.ranges import (
    FILE_NAME,
    check_ranges,
    linear_layers,
    load_ranges,
    save_ranges,
)
from distil.errors import CheckpointError, CheckpointWarning
from support.models import TINY

RANGES = {name: (-1.0 - number, 2.5 + number) for number, name in enumerate(linear_layers(TINY))}


def test_six_linear_layers_a_layer():
    names = linear_layers(TINY)
    assert len(names) == len(set(names)) == 6 * TINY.n_layers
    assert names[0] == "transformer.layer.0.attention.q_lin"
    assert names[-1] == "transformer.layer.1.ffn.lin2"


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (-0.17, 9), (-5, 0), (0, 3), (2, 7), (-9, -4)])
def test_bytes_reach_from_end_to_end_and_meet_zero(low, high):
    scale, zero = scale_and_zero_point(low, high)
    assert scale > 0
    assert type(zero) is int
    assert 0 <= zero <= 255
    reached = scale * (np.array([0, 255]) - zero)
    np.testing.assert_allclose(reached, [min(low, 0), max(high, 0)], atol=scale / 2 * 1.001)


def test_an_input_that_is_always_zero():
    assert scale_and_zero_point(0, 0) == (1.0, 0)


def test_a_step_is_one_of_255():
    assert byte_step(-1.5, 2.5) == 4 / 255
    assert byte_step(3.0, 3.0) == 1.0


def test_a_weight_in_bytes_has_a_factor_for_each_output():
    weight = np.array([[1, -2, 0.5], [0, 0, 0], [1e-3, 3e-3, -1e-3]], np.float32)
    values, factor = quantized(weight)
    assert values.tolist() == [[64, -127, 32], [0, 0, 0], [42, 127, -42]]
    assert (values.dtype, factor.dtype, factor.shape) == (np.int8, np.float32, (3, 1))
    np.testing.assert_allclose(values * factor, weight, atol=2 / 127 / 2)


def test_saved_and_loaded(tmp_path):
    save_ranges(tmp_path, RANGES, fingerprint="abc")
    assert load_ranges(tmp_path, TINY, fingerprint="abc") == RANGES


def test_none_were_kept(tmp_path):
    assert load_ranges(tmp_path, TINY, fingerprint="abc") is None


def test_those_of_other_weights_are_not_used(tmp_path):
    save_ranges(tmp_path, RANGES, fingerprint="abc")
    with pytest.warns(CheckpointWarning, match="measured on other weights"):
        assert load_ranges(tmp_path, TINY, fingerprint="abd") is None


def test_those_of_another_architecture_are_refused(tmp_path):
    save_ranges(tmp_path, RANGES, fingerprint="abc")
    with pytest.raises(CheckpointError, match=r"- transformer\.layer\.2\.attention\.q_lin"):
        load_ranges(tmp_path, TINY.replace(n_layers=3), fingerprint="abc")
    with pytest.raises(CheckpointError, match=r"\+ transformer\.layer\.1\.attention\.q_lin"):
        load_ranges(tmp_path, TINY.replace(n_layers=1), fingerprint="abc")


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        "1,2",
        [],
        [1],
        [1, 2, 3],
        [2, 1],
        [True, 2],
        ["1", 2],
        [float("nan"), 1],
        [0, 1e999],
    ],
    ids=repr,
)
def test_what_is_no_range_is_refused(tmp_path, value):
    name = "transformer.layer.0.ffn.lin1"
    ranges = {key: list(pair) for key, pair in RANGES.items()} | {name: value}
    path = tmp_path / FILE_NAME
    path.write_text(json.dumps({"fingerprint": "abc", "ranges": ranges}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="not a range of activations") as error:
        load_ranges(tmp_path, TINY, fingerprint="abc")
    assert error.value.where == f"{path}: {name}"
    with pytest.raises(CheckpointError, match="not a range of activations"):
        check_ranges(ranges, TINY, where="ranges")


@pytest.mark.parametrize(
    "text", ["[1]", "{", '{"fingerprint": "abc"}', '{"fingerprint": "abc", "ranges": 3}']
)
def test_a_damaged_file_is_refused(tmp_path, text):
    (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError):
        load_ranges(tmp_path, TINY, fingerprint="abc")
