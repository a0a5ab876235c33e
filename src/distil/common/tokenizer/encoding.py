"""One encoded row: its pieces, and how they relate to words and characters of the text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple


class CharSpan(NamedTuple):
    """A stretch of characters: the first, and the one after the last."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """A stretch of pieces: the first, and the one after the last."""

    start: int
    end: int


class Columns(NamedTuple):
    """What is known of each piece of a row; lists as long as the row.

    Attributes:
        tokens: The piece as text.
        offsets: First character and the one after the last; (0, 0) for special tokens.
        word_ids: Index of its word in the text; None for special tokens.
        sequence_ids: 0 in the first text, 1 in the second; None for special tokens.
        type_ids: 0 up to the first separator, 1 after it; 0 for padding.
        special_tokens_mask: 1 for special tokens and padding.
        attention_mask: 0 for padding.
    """

    tokens: list[str]
    offsets: list[tuple[int, int]]
    word_ids: list[int | None]
    sequence_ids: list[int | None]
    type_ids: list[int]
    special_tokens_mask: list[int]
    attention_mask: list[int]


class Encoding:
    """One row of a batch.  All but the ids is worked out when it is first asked for.

    Look-ups return None for special tokens, and for what the row does not contain.

    Args:
        ids: Vocabulary ids, special tokens and padding included.
        explain: Works out the other columns.
        n_sequences: 1 for a text, 2 for a pair of texts.
    """

    tokens: list[str]
    offsets: list[tuple[int, int]]
    word_ids: list[int | None]
    sequence_ids: list[int | None]
    type_ids: list[int]
    special_tokens_mask: list[int]
    attention_mask: list[int]

    def __init__(
        self, ids: list[int], explain: Callable[[], Columns], *, n_sequences: int = 1
    ) -> None:
        self.ids = ids
        self.n_sequences = n_sequences
        self._explain = explain

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Encoding({len(self)} pieces of {self.n_sequences} text(s))"

    def __getstate__(self) -> dict[str, object]:
        # Without this a pickled row would take the whole vocabulary with it.
        return {"ids": self.ids, "n_sequences": self.n_sequences, "columns": self.columns}

    @cached_property
    def columns(self) -> Columns:
        """Everything that is known of the pieces."""
        return self._explain()

    def __getattr__(self, name: str) -> Any:
        if name in Columns._fields:
            return getattr(self.columns, name)
        raise AttributeError(f"an encoding has no {name!r}")

    def token_to_sequence(self, token: int) -> int | None:
        """Return which of the texts a piece is from: 0 or 1."""
        return self.sequence_ids[token] if -len(self) <= token < len(self) else None

    def token_to_chars(self, token: int) -> CharSpan | None:
        """Return the span of characters that a piece covers in its text."""
        found = self.token_to_sequence(token) is not None
        return CharSpan(*self.offsets[token]) if found else None

    def token_to_word(self, token: int) -> int | None:
        """Return the index of the word that a piece belongs to."""
        return self.word_ids[token] if -len(self) <= token < len(self) else None

    def word_to_tokens(self, word: int, sequence: int = 0) -> TokenSpan | None:
        """Return the half-open span of the pieces of a word."""
        found = [
            index
            for index, pair in enumerate(zip(self.word_ids, self.sequence_ids, strict=True))
            if pair == (word, sequence)
        ]
        return TokenSpan(found[0], found[-1] + 1) if found else None

    def word_to_chars(self, word: int, sequence: int = 0) -> CharSpan | None:
        """Return the span of characters that a word covers in its text."""
        span = self.word_to_tokens(word, sequence)
        if span is None:
            return None
        return CharSpan(self.offsets[span.start][0], self.offsets[span.end - 1][1])

    def char_to_token(self, char: int, sequence: int = 0) -> int | None:
        """Return the first piece that covers a character of a text."""
        for index, (start, stop) in enumerate(self.offsets):
            if start <= char < stop and self.sequence_ids[index] == sequence:
                return index
        return None

    def char_to_word(self, char: int, sequence: int = 0) -> int | None:
        """Return the word that covers a character of a text."""
        token = self.char_to_token(char, sequence)
        return None if token is None else self.word_ids[token]
