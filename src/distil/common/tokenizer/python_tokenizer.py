"""The tokenizer without compiled code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from distil.common.tokenizer.added_tokens import AddedToken, Match, Matcher
from distil.common.tokenizer.compatibility import TransformersNames
from distil.common.tokenizer.normalizer import NormalizedText, Normalizer
from distil.common.tokenizer.pipeline import Pipeline, Words, check_content
from distil.common.tokenizer.vocabulary import Vocabulary
from distil.common.tokenizer.wordpiece import WordPiece, split_words


class DistilBertTokenizer(TransformersNames):
    """DistilBERT's tokenizer in Python: the same pieces as `DistilBertTokenizerFast`, slower.

    Unlike transformers' tokenizer of this name it knows offsets and words, and agrees with the
    fast one on every character and in every way of truncating.  Arguments: see `TokenizerBase`.
    """

    @property
    def ids_to_tokens(self) -> dict[int, str]:
        """Tokens by id, without those added later."""
        return {token_id: token for token, token_id in self._vocabulary.base.items()}

    def _make_pipeline(self, vocabulary: Vocabulary, *, split_special_tokens: bool) -> Pipeline:
        definition = self._definition
        return PythonPipeline(
            Normalizer(definition.normalizer) if definition.basic else None,
            WordPiece(
                vocabulary.base,
                vocabulary.unknown,
                prefix=definition.prefix,
                longest_word=definition.longest_word,
            ),
            vocabulary.added_ids,
            never_split=self.never_split if definition.basic else (),
            split_special_tokens=split_special_tokens,
        )


class PythonDetails(NamedTuple):
    """`Details` as plain lists."""

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]
    word_ids: list[int | None]


class _Word(NamedTuple):
    """One word with its pieces; `start` is where it begins in the normalised text."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    ends: tuple[int, ...]
    start: int


class PythonPipeline:
    """BERT's tokenisation without compiled code.

    Without a normalizer there is no basic tokenisation: the text stays as it is, and only white
    space separates words.  The other arguments are those of the tokenizer.

    Raises:
        TokenizerError: Normalisation leaves nothing of an added token.
    """

    def __init__(
        self,
        normalizer: Normalizer | None,
        word_piece: WordPiece,
        added_tokens: Mapping[AddedToken, int],
        *,
        never_split: Sequence[str] = (),
        split_special_tokens: bool = False,
    ) -> None:
        self._normalizer = normalizer
        self._word_piece = word_piece
        self._ids = {token.content: token_id for token, token_id in added_tokens.items()}
        self._kept = Matcher(
            {word: AddedToken(content=word) for word in never_split}, between_spaces=True
        )
        looked_for = [
            token for token in added_tokens if not (token.special and split_special_tokens)
        ]
        self._plain = Matcher(
            {token.content: token for token in looked_for if not token.normalized}
        )
        normalized: dict[str, AddedToken] = {}
        for token in sorted(looked_for, key=lambda token: not token.special):
            if token.normalized:
                content = self._normalize(token.content).text
                check_content(token, content)
                # Of two that look alike a special one wins, else the first: as in Rust.
                normalized.setdefault(content, token)
        self._normalized = Matcher(normalized)

    def ids(self, texts: Sequence[str] | Sequence[Words], *, split: bool) -> list[list[int]]:
        """Return the ids of the pieces of each text."""
        return [
            [
                piece
                for part in _parts(text, split=split)
                for words, _ in self._stretches(part)
                for word in words
                for piece in word.ids
            ]
            for text in texts
        ]

    def details(
        self, texts: Sequence[str] | Sequence[Words], *, split: bool
    ) -> list[PythonDetails]:
        """Return ids, tokens, offsets and word indices of the pieces of each text."""
        return [self._details(text, split=split) for text in texts]

    def _details(self, text: str | Words, *, split: bool) -> PythonDetails:
        details = PythonDetails([], [], [], [])
        word_index = 0
        for part_index, part in enumerate(_parts(text, split=split)):
            for words, origins in self._stretches(part):
                for word in words:
                    begin = word.start
                    for end in word.ends:
                        stop = word.start + end
                        details.offsets.append((origins[begin], origins[stop - 1] + 1))
                        begin = stop
                    details.ids.extend(word.ids)
                    details.tokens.extend(word.tokens)
                    details.word_ids.extend([part_index if split else word_index] * len(word.ids))
                    word_index += 1
        return details

    def _stretches(self, text: str) -> Iterator[tuple[Iterable[_Word], Sequence[int]]]:
        """Cut a text at added tokens, and what lies between them into words.

        Yields:
            Words, and the index in `text` of each of the characters that they are counted in.
        """
        for start, stop, token in self._as_written(text):
            if token is not None:
                yield (self._token(token, text, start, stop),), range(len(text))
                continue
            normalized, origins = self._normalize(text[start:stop])
            if start:
                origins = [origin + start for origin in origins]
            for first, last, inner in self._normalized.split(normalized):
                if inner is None:
                    yield self._words(normalized[first:last], first), origins
                else:
                    yield (self._token(inner, normalized, first, last),), origins

    def _as_written(self, text: str) -> Iterator[Match]:
        """Cut a text at what is looked for before normalising."""
        for match in self._plain.split(text):
            if match.token is None:
                for start, stop, token in self._kept.split(text[match.start : match.stop]):
                    yield Match(match.start + start, match.start + stop, token)
            else:
                yield match

    def _normalize(self, text: str) -> NormalizedText:
        if self._normalizer is None:
            return NormalizedText(text, range(len(text)))
        return self._normalizer.normalize(text)

    def _words(self, text: str, shift: int) -> Iterator[_Word]:
        """Yield the words of a normalised stretch that begins at `shift`."""
        cut = self._word_piece.cut
        for start, stop in split_words(text, punctuation=self._normalizer is not None):
            yield _Word(*cut(text[start:stop]), shift + start)

    def _token(self, token: AddedToken, text: str, start: int, stop: int) -> _Word:
        """Return an added token, or a word never split, found at `start:stop` of `text`."""
        vocabulary = self._word_piece.vocabulary
        unknown = vocabulary[self._word_piece.unknown_token]
        token_id = self._ids.get(token.content, vocabulary.get(token.content, unknown))
        return _Word((token_id,), (text[start:stop],), (stop - start,), start)


def _parts(text: str | Words, *, split: bool) -> Words:
    """Return the given words; a text that was not split is one."""
    return text if split or not isinstance(text, str) else (text,)
