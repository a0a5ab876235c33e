"""Sentence embeddings: similarity of pairs, and retrieval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from distil.errors import InputError
from distil.evaluation.judges.base import (
    Asked,
    Judge,
    Judged,
    joined,
    judged_number,
    number_of,
)
from distil.measures import metrics
from distil.measures.metrics import Metric
from distil.pipelines.base import Pipeline

# Lower ranks score 0.
_RANKS = 10

# So that dot products are cosines, whatever length the model gives its vectors.
_COSINES = {"normalize": True}


class Similarities(Judge):
    """Sentence embeddings: how well the cosine of two texts correlates with people's scores."""

    fields = ("text", "text_pair", "label")
    options: ClassVar[Mapping[str, Any]] = _COSINES
    metrics: ClassVar[Mapping[str, Metric]] = {
        "pearson": metrics.pearson(),
        "spearman": metrics.spearman(),
    }
    main = "spearman"

    def asked(self, fields: Mapping[str, Any]) -> Asked:  # noqa: D102
        texts = (fields["text"], fields["text_pair"])
        return Asked(questions=texts, expected=number_of(fields["label"]), text=joined(texts))

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        first, second = answers
        return judged_number(asked.expected, float(first @ second))


class Retrieval(Judge):
    """Sentence embeddings: whether a query finds its text among all texts.

    All vectors are kept: 1.5 kB for each row of a model that is 384 wide.
    """

    fields = ("text", "text_pair")
    options: ClassVar[Mapping[str, Any]] = _COSINES
    metrics: ClassVar[Mapping[str, Metric]] = {
        "mrr@10": metrics.mean("score"),
        "recall@1": metrics.share("at_1"),
        "recall@10": metrics.share("at_10"),
    }
    main = "mrr@10"

    def asked(self, fields: Mapping[str, Any]) -> Asked:  # noqa: D102
        texts = tuple(fields[name] for name in self.fields)
        return Asked(questions=texts, expected=texts[1], text=str(texts[0]))

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:
        """The two vectors, which `stream` replaces by their rank."""
        return Judged(expected=asked.expected, predicted=np.stack(answers), numbers={"score": 0.0})

    def stream(  # noqa: D102
        self, pipeline: Pipeline, rows: Iterable[tuple[int, Asked | InputError]]
    ) -> Iterator[tuple[int, Judged | InputError]]:
        found = list(super().stream(pipeline, rows))
        judged = [one for _, one in found if isinstance(one, Judged)]
        if not judged:
            yield from found
            return
        # Equal texts are one document.
        texts = list(dict.fromkeys(one.expected for one in judged))
        places = {text: place for place, text in enumerate(texts)}
        documents = np.empty((len(texts), len(judged[0].predicted[1])), np.float32)
        for one in judged:
            documents[places[one.expected]] = one.predicted[1]
        for number, vectors in found:
            if isinstance(vectors, InputError):
                yield number, vectors
            else:
                similarities = documents @ vectors.predicted[0]
                right = similarities[places[vectors.expected]]
                # Ties rank below: a model that embeds all texts alike, or as NaN, finds nothing.
                rank = int((~(similarities < right)).sum())
                yield number, _found(vectors.expected, texts[int(similarities.argmax())], rank)


def _found(expected: str, predicted: str, rank: int) -> Judged:
    """A query whose text has this rank, from 1."""
    within = rank <= _RANKS
    numbers = {"score": within / rank, "at_1": float(rank == 1), "at_10": float(within)}
    return Judged(expected=expected, predicted=predicted, numbers=numbers)
