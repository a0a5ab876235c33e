"""Masking: which tokens are hidden, how, and the same ones again from the same place."""

import numpy as np
import pytest

from distil.common.steps.batching import Batch
from distil.common.steps.masking import PLACES, Masking, draw
from distil.common.steps.recipe_data import MaskingSection

VOCABULARY, MASK, SPECIAL = 50, 4, (0, 2, 3)


def masking(**section):
    # Token 10 is a hundred times as frequent as the others.
    ids = np.concatenate([np.arange(5, 50), np.full(100, 10)])
    return Masking.over(
        ids, MaskingSection(**section), vocabulary=VOCABULARY, mask=MASK, special=SPECIAL
    )


def batch(rows=64, length=40, seed=0, padded=True):
    random = np.random.default_rng(seed)
    ids = random.integers(5, VOCABULARY, (rows, length)).astype(np.int32)
    ids[:, 0], ids[:, -1] = 2, 3
    inputs = {"input_ids": ids}
    tokens = ids.size
    if padded:
        shown = (np.arange(length) < random.integers(20, length, (rows, 1))).astype(np.int32)
        inputs |= {"input_ids": ids * shown, "attention_mask": shown}
        tokens = int(shown.sum())
    return Batch(
        inputs=inputs, rows=np.arange(rows), tokens=tokens, size=rows * length, counted=rows
    )


@pytest.mark.parametrize("padded", [True, False])
def test_what_is_guessed_is_what_was_there(padded):
    before = batch(padded=padded)
    after = masking().apply(before, [0, 1, 2])
    places, labels = after.inputs[PLACES], after.inputs["labels"]
    assert (places.dtype, labels.dtype) == (np.int32, np.int32)
    flat = before.inputs["input_ids"].ravel()
    np.testing.assert_array_equal(labels, flat[places])
    assert not np.isin(labels, SPECIAL).any()
    assert len(np.unique(places)) == len(places) == after.counted
    assert len(places) == int(np.ceil(0.15 * before.tokens))
    if padded:
        assert before.inputs["attention_mask"].ravel()[places].all()
    others = np.setdiff1d(np.arange(flat.size), places)
    np.testing.assert_array_equal(after.inputs["input_ids"].ravel()[others], flat[others])


def test_most_are_masked_some_kept_some_random():
    before = batch(rows=2000)
    after = masking().apply(before, [0, 0, 0])
    places, labels = after.inputs[PLACES], after.inputs["labels"]
    now = after.inputs["input_ids"].ravel()[places]
    assert (now == MASK).mean() == pytest.approx(0.8 + 0.1 / VOCABULARY, abs=0.01)
    assert (now == labels).mean() == pytest.approx(0.1 + 0.1 / VOCABULARY, abs=0.01)


def test_a_random_word_is_any_word():
    after = masking(word_mask=0.0, word_keep=0.0, word_random=1.0).apply(batch(rows=2000), [0])
    now = after.inputs["input_ids"].ravel()[after.inputs[PLACES]]
    counts = np.bincount(now, minlength=VOCABULARY)
    assert len(counts) == VOCABULARY
    assert counts == pytest.approx(len(now) / VOCABULARY, rel=0.4)


def test_all_masked_if_the_recipe_says_so():
    after = masking(word_mask=1.0, word_keep=0.0, word_random=0.0).apply(batch(), [0, 0, 0])
    assert (after.inputs["input_ids"].ravel()[after.inputs[PLACES]] == MASK).all()


def test_the_draw_depends_on_the_place_alone():
    def places(*place):
        return masking().apply(batch(), place).inputs[PLACES].tolist()

    assert places(0, 1, 2) == places(0, 1, 2)
    assert len({tuple(places(*place)) for place in [(0, 0, 0), (1, 0, 0), (0, 1, 0)]}) == 3


def test_frequent_tokens_are_drawn_less_than_their_share():
    counts = np.zeros(2)
    for number in range(30):
        labels = masking().apply(batch(seed=number), [number]).inputs["labels"]
        counts += [(labels == 10).sum(), (labels == 11).sum()]
    # Drawn with the weights 101^-0.7 and 1: one for 25.
    assert counts[0] < counts[1] / 10
    even = masking(smoothing=0.0)
    assert even.weights[10] == even.weights[11]


def test_no_more_than_there_are():
    small = Batch(
        inputs={"input_ids": np.array([[2, 7, 3]], np.int32)}, rows=np.arange(1), tokens=3,
        size=3, counted=1,
    )  # fmt: skip
    assert masking(share=1.0).apply(small, [0]).inputs[PLACES].tolist() == [1]
    assert masking(share=0.0).apply(small, [0]).inputs[PLACES].tolist() == []


def test_draws_follow_their_weights():
    random = np.random.default_rng(0)
    drawn = np.concatenate([draw(np.array([1.0, 3.0, 0.0]), 1, random) for _ in range(4000)])
    assert np.bincount(drawn, minlength=3) / 4000 == pytest.approx([0.25, 0.75, 0], abs=0.03)


def test_the_unigrams_loss_is_that_of_what_is_drawn():
    """Near the entropy of the masked tokens, by hand and by drawing them."""
    ids = np.repeat(np.arange(10, 16), [600, 300, 200, 100, 50, 10]).astype(np.int32)
    for smoothing in (0.0, 0.7, 1.0):
        section = MaskingSection(smoothing=smoothing)
        masking = Masking.over(ids, section, vocabulary=16, mask=4, special=[0, 2, 3, 4])
        shares = np.maximum(np.bincount(ids, minlength=16), 1.0) ** (1 - smoothing)
        shares[[0, 2, 3, 4]] = 0
        shares /= shares.sum()
        labels = np.array([10, 15, 1])
        expected = -np.log(shares[labels])
        np.testing.assert_allclose(masking.unigram_losses(labels), expected, rtol=1e-12)
    assert masking.unigram_losses(labels)[0] == pytest.approx(np.log(12))  # smoothed to be equal


def test_other_settings_for_the_same_data():
    ids = np.repeat(np.arange(10, 16), [600, 300, 200, 100, 50, 10]).astype(np.int32)
    given = {"vocabulary": 16, "mask": 4, "special": [0, 2, 3, 4]}
    masking = Masking.over(ids, MaskingSection(), **given)
    plain = MaskingSection(smoothing=0, share=0.5)
    expected, found = Masking.over(ids, plain, **given), masking.by(plain)
    assert found.section == plain
    np.testing.assert_array_equal(found.weights, expected.weights)
    assert masking.by(None) is masking
