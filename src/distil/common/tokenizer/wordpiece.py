"""Words and word pieces: BERT's pre-tokeniser and model in Python.

They follow the Rust `BertPreTokenizer` and `WordPiece` (Hugging Face tokenizers,
pre_tokenizers/bert.rs and models/wordpiece).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from distil.common.tokenizer.unicode_tables import PUNCTUATION, WHITE_SPACE, character_class

_SPACE = character_class(WHITE_SPACE)
_PUNCTUATION = character_class(PUNCTUATION)
_BERT_WORD = re.compile(f"[{_PUNCTUATION}]|[^{_PUNCTUATION}{_SPACE}]+")
_SPACED_WORD = re.compile(f"[^{_SPACE}]+")

# Words met are remembered up to this many; most texts repeat a few thousand.
_MEMORY = 1 << 16


def split_words(text: str, *, punctuation: bool = True) -> Iterator[tuple[int, int]]:
    """Find the words of a normalised text: first index, and that after the last character.

    With `punctuation` each such character is a word; without, only white space separates.
    """
    pattern = _BERT_WORD if punctuation else _SPACED_WORD
    return (match.span() for match in pattern.finditer(text))


class WordPieces(NamedTuple):
    """The pieces of one word: ids, tokens, and where each token ends in the word."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    ends: tuple[int, ...]


class WordPiece:
    """Cuts a word into the longest pieces that the vocabulary has, from left to right.

    For the arguments see `Definition`.
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        unknown_token: str,
        *,
        prefix: str = "##",
        longest_word: int = 100,
    ) -> None:
        self.vocabulary = vocabulary
        self.unknown_token = unknown_token
        self.prefix = prefix
        self.longest_word = longest_word
        self._memory: dict[str, WordPieces] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_memory": {}}

    def cut(self, word: str) -> WordPieces:
        """Cut one word, not empty; one with a part that no piece spells is the unknown token."""
        pieces = self._memory.get(word)
        if pieces is None:
            pieces = self._longest_first(word)
            if len(self._memory) >= _MEMORY:
                # A new dictionary, not clear(): another thread may be looking into the old one.
                self._memory = {}
            self._memory[word] = pieces
        return pieces

    def _longest_first(self, word: str) -> WordPieces:
        length = len(word)
        unknown = WordPieces(
            (self.vocabulary[self.unknown_token],), (self.unknown_token,), (length,)
        )
        if length > self.longest_word:
            return unknown
        tokens: list[str] = []
        ends: list[int] = []
        start = 0
        while start < length:
            for end in range(length, start, -1):
                token = self.prefix + word[start:end] if start else word[start:end]
                if token in self.vocabulary:
                    break
            else:
                return unknown
            tokens.append(token)
            ends.append(end)
            start = end
        return WordPieces(
            tuple(self.vocabulary[token] for token in tokens), tuple(tokens), tuple(ends)
        )
