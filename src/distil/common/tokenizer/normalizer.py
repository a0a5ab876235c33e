"""BERT's text normalisation in Python, with the origin of every character.

It follows the Rust `BertNormalizer` (Hugging Face tokenizers, normalizers/bert.rs) step by step:
clean, set ideographs apart, decompose and drop accents, lower-case.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from distil.common.tokenizer.unicode_tables import (
    CONTROLS,
    IDEOGRAPHS,
    NEW_DECOMPOSITIONS,
    NONSPACING_MARKS,
    SURVIVING_MARKS,
    WHITE_SPACE,
    character_set,
)

_CONTROLS = character_set(CONTROLS)
_IDEOGRAPHS = character_set(IDEOGRAPHS)
_NEW_DECOMPOSITIONS = character_set(NEW_DECOMPOSITIONS)
_NONSPACING_MARKS = character_set(NONSPACING_MARKS)
_ORDERED_MARKS = _NONSPACING_MARKS | character_set(SURVIVING_MARKS)
_WHITE_SPACE = character_set(WHITE_SPACE)


@dataclass(frozen=True, kw_only=True)
class NormalizerOptions:
    """What BERT's normaliser does to a text before it is split into words.

    Attributes:
        lowercase: Lower-case every character.
        strip_accents: Drop accents; None follows `lowercase`.
        tokenize_chinese_chars: Put spaces around CJK ideographs.
        clean_text: Remove control characters and make all white space a plain space.
    """

    lowercase: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True
    clean_text: bool = True

    @property
    def strips_accents(self) -> bool:
        """Whether accents are dropped, `strip_accents=None` resolved."""
        return self.lowercase if self.strip_accents is None else self.strip_accents


class NormalizedText(NamedTuple):
    """A normalised text and, for each of its characters, the index of the one it comes from."""

    text: str
    origins: Sequence[int]


class _Memo(dict[int, str]):
    """A function of one character, worked out once for each met; a table for `str.translate`."""

    def __init__(self, function: Callable[[str], str]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, code: int) -> str:
        value = self[code] = self._function(chr(code))
        return value


class Normalizer:
    """Normalises texts and remembers where each character came from."""

    def __init__(self, options: NormalizerOptions) -> None:
        self.options = options
        # The reordering of combining marks is the only step that looks at neighbours.  What comes
        # before it and what comes after it are functions of one character; `_whole` is both.
        self._expand = _Memo(self._expanded)
        self._finish = _Memo(self._finished)
        self._whole = _Memo(lambda character: self._expanded(character).translate(self._finish))

    def __reduce__(self) -> tuple[type[Normalizer], tuple[NormalizerOptions]]:
        return Normalizer, (self.options,)

    def normalize(self, text: str) -> NormalizedText:
        """Normalise a text that has no lone surrogates."""
        if self.options.strips_accents and not text.isascii():
            expanded = text.translate(self._expand)
            if not unicodedata.is_normalized("NFD", expanded):
                return self._normalize_with_reordering(text)
        whole = self._whole
        normalized = text.translate(whole)
        if all(len(whole[ord(character)]) == 1 for character in set(text)):
            return NormalizedText(normalized, range(len(text)))
        origins = [index for index, character in enumerate(text) for _ in whole[ord(character)]]
        return NormalizedText(normalized, origins)

    def _normalize_with_reordering(self, text: str) -> NormalizedText:
        expansions = [self._expand[ord(character)] for character in text]
        origins = [index for index, expansion in enumerate(expansions) for _ in expansion]
        characters, origins = _canonical_order("".join(expansions), origins)
        finished = [self._finish[ord(character)] for character in characters]
        origins = [origin for origin, piece in zip(origins, finished, strict=True) for _ in piece]
        return NormalizedText("".join(finished), origins)

    def _expanded(self, character: str) -> str:
        """Clean, set apart and decompose one character."""
        options = self.options
        if options.clean_text:
            if character in _CONTROLS:
                return ""
            if character in _WHITE_SPACE:
                return " "
        separate = options.tokenize_chinese_chars and character in _IDEOGRAPHS
        if options.strips_accents:
            character = _decompose(character)
        return f" {character} " if separate else character

    def _finished(self, character: str) -> str:
        """Drop an accent, or lower-case.

        Rust lower-cases each character by itself: a capital sigma becomes the ordinary small
        one at the end of a word too, which `str.lower` on the whole word would not do.
        """
        if self.options.strips_accents and character in _NONSPACING_MARKS:
            return ""
        return character.lower() if self.options.lowercase else character


def _decompose(character: str) -> str:
    """Return the canonical decomposition that the crate knows."""
    if character in _NEW_DECOMPOSITIONS:
        return character
    return unicodedata.normalize("NFD", character)


def _combining_class(character: str) -> int:
    """Return the canonical combining class that the crate knows: 0 for younger marks."""
    return unicodedata.combining(character) if character in _ORDERED_MARKS else 0


def _canonical_order(characters: str, origins: list[int]) -> tuple[str, list[int]]:
    """Put runs of combining marks in canonical order, as the second half of NFD does.

    The crate moves the marks but deals out the origins by position: each character that stood for
    itself takes the next origin in turn, and each that a decomposition added shares the origin
    before it (in `origins`, equal neighbours).  Offsets match only if this is done the same way.
    """
    added = [index > 0 and origin == origins[index - 1] for index, origin in enumerate(origins)]
    sources = [origin for origin, is_added in zip(origins, added, strict=True) if not is_added]
    classes = [_combining_class(character) for character in characters]

    order: list[int] = []
    start = 0
    for index, combining_class in enumerate([*classes, 0]):
        if combining_class == 0:
            order += sorted(range(start, index), key=classes.__getitem__)
            if index < len(characters):
                order.append(index)
            start = index + 1

    position = -1
    ordered_origins = []
    for index in order:
        position += not added[index]
        ordered_origins.append(sources[max(position, 0)])
    return "".join(characters[index] for index in order), ordered_origins
