"""Tags of words, judged by whole entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from distil.errors import InputError, shown
from distil.evaluation import metrics
from distil.evaluation.judges.base import (
    Asked,
    Judge,
    Judged,
    label_of,
)
from distil.evaluation.metrics import Metric


class Entities(Judge):
    """Token classification: words and their tags, judged by whole entities as CoNLL-2003 does."""

    fields = ("words", "tags")
    options: ClassVar[Mapping[str, Any]] = {"ignore_labels": ()}
    metrics: ClassVar[Mapping[str, Metric]] = {
        "f1": metrics.f1_of_sums("right", "found", "expected"),
        "precision": metrics.ratio("right", "found"),
        "recall": metrics.ratio("right", "expected"),
        "accuracy": metrics.ratio("tags_right", "tags"),
    }
    main = "f1"

    def asked(self, fields: Mapping[str, Any]) -> Asked:  # noqa: D102
        words, tags = (fields[name] for name in self.fields)
        if not (isinstance(words, list) and isinstance(tags, list) and len(words) == len(tags)):
            raise InputError(
                "words and tags do not belong together", expected="two lists of the same length",
                found=f"{shown(words)} and {shown(tags)}",
            )  # fmt: skip
        labels = [label_of(tag, self.config) for tag in tags]
        text = " ".join(map(str, words))
        return Asked(questions=(text,), expected=(words, labels), text=text)

    def judge(self, asked: Asked, answers: Sequence[Any]) -> Judged:  # noqa: D102
        from seqeval.metrics.sequence_labeling import get_entities  # noqa: PLC0415 - optional

        (tokens,) = answers
        words, labels = asked.expected
        ends = np.cumsum([len(word) + 1 for word in words])
        # The tag of a word is that of its first token; a word that was cut off is outside.
        outside = "O" if "O" in self.config.label2id else self.config.id2label[0]
        predicted: list[str | None] = [None] * len(words)
        for token in tokens:
            word = int(np.searchsorted(ends, token["start"], side="right"))
            if predicted[word] is None:
                predicted[word] = token["entity"]
        tags = [outside if tag is None else tag for tag in predicted]
        expected, found = set(get_entities(labels)), set(get_entities(tags))
        same = sum(map(str.__eq__, tags, labels))
        return Judged(
            expected=labels,
            predicted=tags,
            numbers={
                "right": len(expected & found),
                "found": len(found),
                "expected": len(expected),
                "tags_right": same,
                "tags": len(labels),
                "score": same / max(1, len(labels)),
            },
        )
