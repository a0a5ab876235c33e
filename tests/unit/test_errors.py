"""Errors' texts: safe to print whatever a file has put into them."""

from __future__ import annotations

import pickle
from collections.abc import Iterable

import pytest

from distil.errors import CheckpointError, listed, printable, shorten, shown

CLIPBOARD = "\x1b]52;c;cHduZWQ=\x07"


@pytest.mark.parametrize(
    "character",
    ["\x1b", "\x9b", "\x07", "\r", "\x00", "\x7f", "\u202e", "\u2066", "\u2028", "\ud800"],
)
def test_what_acts_on_a_terminal_is_not_printed(character: str) -> None:
    for part in ("expected", "found", "where", "fix"):
        error = CheckpointError("problem", **{part: f"a{character}b"})
        assert "a?b" in str(error)
        assert "a?b" in error.args[0]
        assert getattr(error, part) == f"a{character}b"  # for programs, as it is
    assert "a?b" in str(CheckpointError(f"a{character}b"))
    assert shorten(f"a{character}b") == "a?b"
    str(CheckpointError(f"a{character}b")).encode()


def test_lines_tabs_and_letters_stay() -> None:
    assert printable("é\tü\n  日本 👍") == "é\tü\n  日本 👍"


def test_numbers_without_end_are_shown() -> None:
    assert shown(10**5000) == "an integer of 16610 bits"
    assert shown({"a": [10**5000]}) == "{'a': [an integer of 16610 bits]}"
    assert shown(12) == "12"


def test_errors_survive_pickling() -> None:
    error = CheckpointError("problem", found=CLIPBOARD)
    assert "\x1b" not in str(pickle.loads(pickle.dumps(error)))


@pytest.mark.parametrize(
    ("names", "text"),
    [((), ""), ("ab", "a, b"), ("abcde", "a, b, c, d, e"), ("abcdef", "a, b, c, d, e and 1 more")],
)
def test_a_list_of_names_is_cut(names: Iterable[str], text: str) -> None:
    assert listed(iter(names)) == text
