"""From text to word pieces: the one thing that the two tokenizers do differently.

A pipeline never changes once it is made (adding a token makes a new one), so that threads can
share it and an encoding can ask it again later for what it did not need at first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from distil.common.tokenizer.added_tokens import AddedToken
from distil.errors import TokenizerError

Words = Sequence[str]


class Details(Protocol):
    """All that is known of the pieces of one text; lists of one length."""

    @property
    def ids(self) -> list[int]:
        """Vocabulary ids."""

    @property
    def tokens(self) -> list[str]:
        """The pieces as text."""

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """First character and the one after the last, in the text (or the given word)."""

    @property
    def word_ids(self) -> list[int | None]:
        """Which word of the text (or which given word) each piece belongs to."""


class Pipeline(Protocol):
    """Cuts texts into pieces, without special tokens, truncation or padding."""

    def ids(self, texts: Sequence[str] | Sequence[Words], *, split: bool) -> list[list[int]]:
        """Return the ids of the pieces of each text; `split`: each text is a list of words."""

    def details(self, texts: Sequence[str] | Sequence[Words], *, split: bool) -> Sequence[Details]:
        """Return all that is known of the pieces of each text."""


def check_content(token: AddedToken, normalized: str) -> None:
    """Refuse an added token that normalisation leaves empty: it could not be found in any text."""
    if not normalized:
        raise TokenizerError(
            "normalisation leaves nothing of an added token", found=repr(token.content),
            fix="AddedToken(..., normalized=False) looks for it in the text as written",
        )  # fmt: skip
