"""Token classification: labels of tokens, words, and of what several words name together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, groupby
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from distil.arrays import Array
from distil.common.probabilities import softmax
from distil.common.windows import most_inside
from distil.pipelines import base
from distil.pipelines.checks import check_choice
from distil.pipelines.encoding import Encoded, Encoder
from distil.pipelines.rows import check_text

AGGREGATIONS = ("none", "simple", "first", "average", "max")


@dataclass(frozen=True, kw_only=True)
class Options(base.Options):
    """Options of token classification.

    Attributes:
        aggregation_strategy: "none" gives tokens; the others give groups of neighbours of one
            label.  "simple" takes each token by its own label; a whole word has the label of
            its first token ("first"), of the mean of its tokens' probabilities ("average"), or
            of its surest token ("max").
        ignore_labels: What is left out.
        stride: Read a long text in windows that share so many tokens, and take each word from
            the window in which it has most context.  None cuts the text.
    """

    aggregation_strategy: str = "none"
    ignore_labels: Sequence[str] = ("O",)
    stride: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.aggregation_strategy, AGGREGATIONS, "aggregation_strategy")


class Token(NamedTuple):
    """A token of a text, with what the model says of it.

    Attributes:
        text: As the vocabulary has it; where it has none, as it stands in the text.
        word: Which word of the text it belongs to.
        start: Its first character.
        end: The character after its last.
        label: Its likeliest label.
        score: The probability of that.
        probabilities: Of all labels.
    """

    text: str
    word: int
    start: int
    end: int
    label: str
    score: float
    probabilities: Array


class Unit(NamedTuple):
    """A token or a word, with one label.

    Attributes:
        label: The label.
        score: Its probability.
        tokens: The token, or those of the word.
    """

    label: str
    score: float
    tokens: Sequence[Token]


class TokenClassificationPipeline(base.Pipeline):
    """Labels the tokens of texts.

    A result is a list of `{"entity", "score", "index", "word", "start", "end"}`, a token each, or
    of `{"entity_group", "score", "word", "start", "end"}`, a group each, as in transformers, except
    that a score is a Python float, that tokens belong to one word if the tokenizer says so (there:
    if a token is shorter than what it stands for, as with a soft hyphen in it), and that
    the windows of a long text are put together before words are grouped, not after.
    """

    task = "token-classification"
    options_type = Options

    def read(self, row: Any, where: str, options: Options) -> str:
        """A row is a text."""
        return check_text(row, where)

    def encoder(self, options: Options) -> Encoder:
        """Knows where tokens are in the text."""
        limit = self.limit_of(options)
        return Encoder(self.tokenizer, limit, stride=options.stride, detailed=True)

    def results(
        self, items: Sequence[Any], encoded: Encoded, scores: Sequence[Array], options: Options
    ) -> Iterator[list[dict[str, Any]]]:
        """Row by row."""
        if not scores:
            return
        # All of a window at once: NumPy's calls cost more than a token's arithmetic.
        probabilities = softmax(np.concatenate(scores))  # tokens labels
        names = self.model.config.id2label
        labels = [names[label] for label in probabilities.argmax(axis=1).tolist()]
        best = probabilities.max(axis=1).tolist()
        ends = np.cumsum([len(one) for one in scores]).tolist()
        for row, part in encoded.by_row():
            windows = []
            for number in range(part.start, part.stop):
                here = slice(ends[number] - len(scores[number]), ends[number])
                said = zip(labels[here], best[here], probabilities[here], strict=True)
                windows.append(self._tokens(items[row], encoded.encodings[number], said))
            tokens = windows[0] if len(windows) == 1 else _merged(windows)
            yield self._entities(tokens, options)

    def _tokens(
        self, text: str, encoding: Any, said: Iterable[tuple[str, float, Array]]
    ) -> list[Token]:
        """The tokens of a sequence, without special ones, with what the model says of each."""
        unknown = self.tokenizer.unk_token
        columns = encoding.columns
        return [
            Token(text[start:end] if token == unknown else token, word, start, end, *scores)
            for token, word, (start, end), scores in zip(
                columns.tokens, columns.word_ids, columns.offsets, said, strict=True
            )
            if word is not None
        ]

    def _entities(self, tokens: Sequence[Token], options: Options) -> list[dict[str, Any]]:
        strategy, ignored = options.aggregation_strategy, options.ignore_labels
        if strategy == "none":
            return [
                {"entity": token.label, "score": token.score, "index": index,
                 "word": token.text, "start": token.start, "end": token.end}
                for index, token in enumerate(tokens, start=1) if token.label not in ignored
            ]  # fmt: skip
        if strategy == "simple":
            units = [Unit(token.label, token.score, (token,)) for token in tokens]
        else:
            words = groupby(tokens, key=attrgetter("word"))
            units = [self._word(list(word), strategy) for _, word in words]
        return [
            {"entity_group": _tag(group[0].label),
             "score": float(np.mean([unit.score for unit in group])),
             "word": self._join([self._join([token.text for token in unit.tokens])
                                 for unit in group]),
             "start": group[0].tokens[0].start, "end": group[-1].tokens[-1].end}
            for group in _groups(units) if _tag(group[0].label) not in ignored
        ]  # fmt: skip

    def _word(self, tokens: Sequence[Token], strategy: str) -> Unit:
        if strategy == "average" and len(tokens) > 1:
            mean = np.mean([token.probabilities for token in tokens], axis=0)
            best = int(mean.argmax())
            return Unit(self.model.config.id2label[best], float(mean[best]), tokens)
        chosen = max(tokens, key=attrgetter("score")) if strategy == "max" else tokens[0]
        return Unit(chosen.label, chosen.score, tokens)

    def _join(self, tokens: Sequence[str]) -> str:
        """Tokens as text, without spaces before punctuation, as transformers joins them."""
        clean, join = self.tokenizer.clean_up_tokenization, self.tokenizer.convert_tokens_to_string
        return tokens[0] + "".join(clean(join(["", token])) for token in tokens[1:])


def _merged(windows: Sequence[Sequence[Token]]) -> list[Token]:
    """The tokens of a text, each word from the window in which it stands most inside."""
    inside = most_inside([[token.word for token in window] for window in windows])
    tokens = [
        token
        for window, chosen in zip(windows, inside, strict=True)
        for token in compress(window, chosen)
    ]
    return sorted(tokens, key=attrgetter("word"))


def _groups(units: Sequence[Unit]) -> Iterator[list[Unit]]:
    """Neighbours of one label; "B-" begins a group even so."""
    group: list[Unit] = []
    for unit in units:
        if group and (unit.label.startswith("B-") or _tag(unit.label) != _tag(group[-1].label)):
            yield group
            group = []
        group.append(unit)
    if group:
        yield group


def _tag(label: str) -> str:
    """What a label names, without "B-" (it begins here) or "I-" (it goes on)."""
    return label[2:] if label.startswith(("B-", "I-")) else label
