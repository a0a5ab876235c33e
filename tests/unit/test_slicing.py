"""A batch in slices: every row is in one of them, with its labels, and nothing twice."""

import numpy as np
import pytest

from distil.common.steps.batching import Features, collate
from distil.common.steps.masking import PLACES, Masking
from distil.common.steps.recipe_data import MaskingSection
from distil.common.steps.recipe_model import DistillationSection
from distil.common.steps.slicing import slice_of
from distil.common.steps.stepping import shares_of, summed
from distil.common.steps.teaching import LOSSES, counts_of

LENGTHS = (9, 7, 7, 4, 2)


def batch(choices=1, **targets):
    lengths = np.array(LENGTHS).repeat(choices)
    ids = np.arange(5, 5 + lengths.sum(), dtype=np.int32)
    tokens = {"tags": ids + 100}
    features = Features(
        ids=ids, starts=np.r_[0, lengths.cumsum()], choices=choices, targets=targets,
        token_targets=tokens,
    )  # fmt: skip
    return collate(features, np.array([3, 1, 4, 0, 2]), pad=0)


def masked(seed=0):
    masking = Masking(
        section=MaskingSection(share=0.4), weights=np.ones(500), counts=np.ones(500), mask=4
    )
    made = batch()
    del made.inputs["tags"]
    return masking.apply(made, [seed])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("choices", [1, 3])
def test_every_row_is_in_one_slice(count, choices):
    whole = batch(choices, labels=np.arange(5, dtype=np.int32))
    slices = [slice_of(whole, number, count) for number in range(count)]
    assert sum(one.tokens for one in slices) == whole.tokens == choices * sum(LENGTHS)
    assert sum(one.counted for one in slices) == whole.counted == 5
    assert sorted(np.concatenate([one.rows for one in slices])) == [0, 1, 2, 3, 4]
    for one in slices:
        assert one.inputs.keys() == whole.inputs.keys()
        for row, number in enumerate(one.rows):
            place = whole.rows.tolist().index(number)
            for name, array in one.inputs.items():
                assert array.dtype == whole.inputs[name].dtype
                np.testing.assert_array_equal(array[row], whole.inputs[name][place])


@pytest.mark.parametrize("count", [2, 3, 7])
def test_tokens_to_be_guessed_go_with_their_rows(count):
    whole = masked()
    found = []
    for number in range(count):
        one = slice_of(whole, number, count)
        width = one.inputs["input_ids"].shape[1]
        places = one.inputs[PLACES]
        assert places.dtype == np.int32
        assert (np.diff(places) > 0).all()
        if len(one.rows):
            rows, columns = one.rows[places // width], places % width
            found += zip(rows, columns, one.inputs["labels"], strict=True)
            assert one.counted == len(places)
    width = whole.inputs["input_ids"].shape[1]
    rows, columns = whole.rows[whole.inputs[PLACES] // width], whole.inputs[PLACES] % width
    assert sorted(found) == sorted(zip(rows, columns, whole.inputs["labels"], strict=True))


def test_who_gets_no_row_computes_one_that_does_not_count():
    for whole in (masked(), batch(labels=np.arange(5, dtype=np.int32))):
        empty = slice_of(whole, 5, 6)
        assert empty.inputs["input_ids"].shape == (1, 9)
        assert (len(empty.rows), empty.tokens, empty.counted) == (0, 0, 0)
        assert set(counts_of(empty, "masked-lm", DistillationSection()).values()) == {0}


@pytest.mark.parametrize("task", ["masked-lm", "sequence-classification", "token-classification"])
@pytest.mark.parametrize("restricted", [False, True])
def test_shares_of_all_slices_make_a_whole(task, restricted):
    settings = DistillationSection(restrict_to_mask=restricted)
    whole = masked()
    totals = counts_of(whole, task, settings)
    assert tuple(totals) == LOSSES
    tokens = sum(LENGTHS)
    assert totals["cos"] == totals["hidden"] == tokens
    assert totals["relations"] == tokens
    assert totals["vector"] == totals["similarity"] == len(LENGTHS)
    assert totals["attention"] == sum(length**2 for length in LENGTHS)
    assert totals["task"] == whole.counted
    expected = {"masked-lm": whole.counted if restricted else tokens,
                "sequence-classification": 5, "token-classification": tokens}  # fmt: skip
    assert totals["ce"] == expected[task]
    parts = [counts_of(slice_of(whole, number, 7), task, settings) for number in range(7)]
    shares = summed([shares_of(part, totals) for part in parts])
    assert shares == pytest.approx(dict.fromkeys(LOSSES, 1.0))
