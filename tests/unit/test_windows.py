"""Windows of long texts: where a word counts, and what a text has of its windows."""

import numpy as np
import pytest

from distil.common.windows import mean_of_windows, most_inside, windows_of
from support.folders import make_tokenizer


@pytest.mark.parametrize(
    ("words", "counted"),
    [
        ([[None, 0, 1, None]], [[0, 1]]),
        # The word with more around it, on the side that has less.
        ([[0, 1, 2, 3], [1, 2, 3, 4, 5]], [[0, 1, 2], [3, 4, 5]]),
        # Of equals the first.
        ([[0, 1, 2], [1, 2, 3]], [[0, 1], [2, 3]]),
        ([[0, 1], [1, 2]], [[0, 1], [2]]),
        # A whole word at a border goes before a part of it, wherever windows are cut.
        ([[0, 1, 1], [1, 1, 1, 2]], [[0], [1, 1, 1, 2]]),
        ([[1, 1, 1, 2], [0, 1, 1]], [[1, 1, 1, 2], [0]]),
        # A word that no window has whole counts where most of it is.
        ([[0, 1, 1], [1, 1, 1, 1], [1, 2]], [[0], [1, 1, 1, 1], [2]]),
    ],
)
def test_where_a_word_counts(words, counted):
    found = most_inside(words)
    assert [
        [word for word, here in zip(window, inside, strict=True) if here]
        for window, inside in zip(words, found, strict=True)
    ] == counted


def test_means_are_weighted_by_tokens():
    values = np.array([[1.0], [4.0], [7.0], [0.0]])
    found = mean_of_windows(values, np.array([0, 0, 1, 1]), [10, 20, 5, 30])
    assert found.tolist() == [[3.0], [1.0]]
    assert mean_of_windows(values, np.arange(4), [1, 2, 3, 4]) is values


@pytest.mark.parametrize("other", ["before", "after"])
def test_what_stands_beside_a_text_is_never_cut(other):
    """Also where it is the longer part of a window."""
    tokenizer = make_tokenizer()
    beside, text = "who was born in paris ?", "it is a good film . " * 3
    found = windows_of(tokenizer, [text], limit=12, stride=1, **{other: [beside]})
    own = tokenizer(beside, add_special_tokens=False)["input_ids"]
    parts = [ids[1:-1] for ids in found.ids]
    assert len(parts) == 9  # of three tokens each, of which one is shared
    for part in parts:
        kept = part[: len(own)] if other == "before" else part[-len(own) :]
        assert kept == own
