"""How far two measurements are apart; whatever differs in kind is infinitely far."""

import numpy as np
import pytest

from distil.common.measurement import differences, flatten, probe
from distil.common.outputs import EncoderOutput

ONE = np.array([1.0, -4.0])

# name: (one, other, absolute, relative)
CASES = {
    "equal": (ONE, ONE.copy(), 0, 0),
    "apart": (ONE, ONE + np.array([0, 1]), 1, 0.25),
    "apart, the other larger": (ONE, ONE - np.array([0, 4]), 4, 0.5),
    "both 0": (0 * ONE, 0 * ONE, 0, 0),
    "one 0": (ONE, 0 * ONE, 4, 1),
    "nothing in it": (ONE[:0], ONE[:0], 0, 0),
    "integers": (np.array([200], np.uint8), np.array([100], np.uint8), 100, 0.5),
    "other dtype": (ONE, ONE.astype(np.float32), np.inf, np.inf),
    "other shape": (ONE, ONE[None], np.inf, np.inf),
    "NaN on one side": (ONE, ONE * [1, np.nan], np.inf, np.inf),
    "NaN on the other": (ONE * [1, np.nan], ONE, np.inf, np.inf),
    "NaN on both": (ONE * np.nan, ONE * np.nan, np.inf, np.inf),
    "infinity on one side": (ONE, ONE * [1, np.inf], np.inf, np.inf),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("case", CASES)
def test_differences(case):
    one, other, absolute, relative = CASES[case]
    (found,) = differences({"x": one}, {"x": other})
    assert found.name == "x"
    assert found.absolute == absolute
    assert found.relative == relative


def test_a_name_that_only_one_has():
    found = {
        one.name: one.relative for one in differences({"a": ONE, "b": ONE}, {"b": ONE, "c": ONE})
    }
    assert found == {"a": np.inf, "b": 0, "c": np.inf}


def test_float32_is_compared_without_rounding():
    one = np.array([1.0], np.float32)
    other = np.nextafter(one, np.float32(2))
    (found,) = differences({"x": one}, {"x": other})
    assert found.absolute == 2**-23


def test_flatten_numbers_the_tensors_of_a_field():
    output = EncoderOutput(last_hidden_state=1, hidden_states=(2, 3))
    assert flatten(output) == {"last_hidden_state": 1, "hidden_states.0": 2, "hidden_states.1": 3}


def test_the_probe_is_always_the_same():
    np.testing.assert_array_equal(probe((2, 3)), probe((2, 3)))
    assert probe((2, 3)).shape == (2, 3)
    assert len(np.unique(probe((2, 3)))) == 6
