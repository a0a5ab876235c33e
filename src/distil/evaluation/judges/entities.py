"""Tagged words, judged by entity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from distil.errors import InputError, shown
from distil.evaluation.judges.base import (
    Asked,
    Judge,
    Judged,
    label_of,
)
from distil.measures import metrics
from distil.measures.metrics import Metric
from distil.training.metrics import entity_counts


class Entities(Judge):
    """Token classification: tagged words, judged by whole entities as in CoNLL-2003."""

    fields = ("words", "tags")
    options: ClassVar[Mapping[str, Any]] = {"ignore_labels": ()}
    metrics: ClassVar[Mapping[str, Metric]] = metrics.ENTITIES
    main = "f1"
    needs: ClassVar[Mapping[str, str]] = {"seqeval": "judge entities"}

    def asked(self, fields: Mapping[str, Any]) -> Asked:  # noqa: D102
        words, tags = (fields[name] for name in self.fields)
        if not (isinstance(words, list) and isinstance(tags, list) and len(words) == len(tags)):
            raise InputError(
                "words and tags do not match", expected="two lists of the same length",
                found=f"{shown(words)} and {shown(tags)}",
            )  # fmt: skip
        labels = [label_of(tag, self.config) for tag in tags]
        text = " ".join(map(str, words))
        return Asked(questions=(text,), expected=(words, labels), text=text)

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        (tokens,) = answers
        words, labels = asked.expected
        ends = np.cumsum([len(word) + 1 for word in words])
        # A word's tag is that of its first token; words that were cut off are outside.
        outside = "O" if "O" in self.config.label2id else self.config.id2label[0]
        predicted: list[str | None] = [None] * len(words)
        for token in tokens:
            word = int(np.searchsorted(ends, token["start"], side="right"))
            if predicted[word] is None:
                predicted[word] = token["entity"]
        tags = [outside if tag is None else tag for tag in predicted]
        numbers = entity_counts(tags, labels)
        return Judged(
            expected=labels,
            predicted=tags,
            numbers={**numbers, "score": numbers["tags_right"] / max(1, len(labels))},
        )
