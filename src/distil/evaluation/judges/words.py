"""Masked words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from distil.arrays import Array
from distil.common.windows import most_inside
from distil.errors import InputError
from distil.evaluation.judges.base import (
    Asked,
    Judge,
    Judged,
)
from distil.measures import metrics
from distil.measures.metrics import Metric
from distil.pipelines.base import Pipeline
from distil.pipelines.encoding import Encoded, Encoder
from distil.pipelines.rows import check_text

# The share of tokens masked, and how many texts are tokenized or sequences scored at a time.
_HIDDEN = 0.15
_AT_ONCE = 32


class Words(Judge):
    """Masked language modelling: 15% of each text's tokens are masked.

    They are drawn with the text's token ids as the seed, so that all models with the same tokenizer
    have to find the same words, and equal texts are masked alike.  In a text that is read in
    windows, each window masks the words furthest from its edges, so that none is masked twice.
    """

    fields = ("text",)
    metrics: ClassVar[Mapping[str, Metric]] = {
        "perplexity": metrics.perplexity(),
        "loss": metrics.ratio("loss", "words"),
        "accuracy": metrics.ratio("right", "words"),
    }
    main = "loss"

    def asked(self, fields: Mapping[str, Any]) -> Asked:  # noqa: D102
        text = fields["text"]
        return Asked(questions=(check_text(text, "text"),), expected=None, text=text)

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        total = {name: sum(one[name] for one in answers) for name in answers[0]}
        score = total["right"] / max(1, total["words"])
        return Judged(expected=None, predicted=None, numbers={**total, "score": score})

    def stream(  # noqa: D102
        self, pipeline: Pipeline, rows: Iterable[tuple[int, Asked | InputError]]
    ) -> Iterator[tuple[int, Judged | InputError]]:
        waiting = iter(rows)
        while some := list(islice(waiting, _AT_ONCE)):
            texts = {number: row.questions[0] for number, row in some if isinstance(row, Asked)}
            encoded = self._encoded(pipeline, list(texts.values()))
            found: list[list[Mapping[str, float]]] = [[] for _ in texts]
            sequences = _hiding(encoded)
            while part := list(islice(sequences, _AT_ONCE)):
                for place, numbers in _scored(pipeline, part):
                    found[place].append(numbers)
            places = {number: place for place, number in enumerate(texts)}
            for number, asked in some:
                if isinstance(asked, InputError):
                    yield number, asked
                    continue
                place = places[number]
                yield number, encoded.problems.get(place) or self.judge(asked, found[place])

    def _encoded(self, pipeline: Pipeline, texts: Sequence[str]) -> Encoded:
        options: Any = pipeline.options
        encoder = Encoder(
            pipeline.tokenizer, pipeline.limit_of(options), stride=options.stride, detailed=True
        )
        return encoder(texts, [f"text {place}" for place in range(len(texts))])


def _hiding(encoded: Encoded) -> Iterator[tuple[int, Array, Array]]:
    """Of each sequence which text it is of, its ids and the places of the tokens to hide."""
    for row, part in encoded.by_row():
        words = [encoding.word_ids for encoding in encoded.encodings[part]]
        for ids, inside in zip(encoded.sequences[part], most_inside(words), strict=True):
            usual = np.flatnonzero(inside)
            if len(words) > 1 and not len(usual):
                continue
            chance = np.random.default_rng(ids)
            count = max(1, round(_HIDDEN * len(usual)))
            yield row, ids, np.sort(chance.permutation(usual)[:count])


def _scored(
    pipeline: Pipeline, sequences: Sequence[tuple[int, Array, Array]]
) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Of each sequence which text it is of, and how well its hidden words were guessed."""
    masked = []
    for _, ids, places in sequences:
        masked.append(ids.copy())
        masked[-1][places] = pipeline.tokenizer.mask_token_id
    scores = pipeline.model.score(masked, wanted=[places for *_, places in sequences])
    for (row, ids, places), logits in zip(sequences, scores, strict=True):
        hidden, each = ids[places], np.arange(len(places))
        highest = logits.max(axis=1)
        totals = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1, dtype=np.float64))
        numbers = {
            "loss": float((totals - logits[each, hidden]).sum()),
            "words": len(hidden),
            "right": int((logits.argmax(axis=1) == hidden).sum()),
        }
        yield row, numbers
