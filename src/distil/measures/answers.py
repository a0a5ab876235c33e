"""Answers to questions, judged by SQuAD's rules: evaluate-v1.1.py, and evaluate-v2.0.py.

SQuAD 2 has questions without an answer.  A model gives each question its best answer and its null
odds, and says that there is no answer where these are above a threshold.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from distil.arrays import Array
from distil.measures.metrics import Columns, Metric, mean, quotient, share

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def answer_scores(predicted: str, labels: Sequence[str]) -> dict[str, float]:
    """Of one answer, whether it is `exact`, and its F1, `score`: of the nearest right answer."""
    return {
        "exact": max(float(normalised(predicted) == normalised(right)) for right in labels),
        "score": max(overlap_of_words(predicted, right) for right in labels),
    }


def answer_numbers(
    predicted: str,
    null_odds: float,
    labels: Sequence[str],
    *,
    number: int,
    threshold: float = 0.0,
) -> dict[str, float]:
    """Of one answer by the rules of SQuAD 2, the numbers that `POSSIBLE_ANSWERS` need.

    Args:
        predicted: The best answer, whether or not there seems to be none.
        null_odds: How much likelier it is that there is none.
        labels: Right answers; none of a question without an answer.
        number: Of the question: the official script takes questions of equal odds in their order.
        threshold: Above which there is no answer.
    """
    right = [label for label in labels if normalised(label)] or [""]
    raw = {"exact": 0.0, "f1": 0.0}
    for label in right:
        equal = float(normalised(predicted) == normalised(label))
        # Where one of the two has no words, F1 is 1 if the other has none either.
        empty = not label or not normalised(predicted)
        f1 = equal if empty else overlap_of_words(predicted, label)
        raw = {"exact": max(raw["exact"], equal), "f1": max(raw["f1"], f1)}
    impossible = float(not labels)
    judged = dict.fromkeys(raw, impossible) if null_odds > threshold else raw
    # What a question adds once the threshold has passed its odds, and it has an answer.
    gains = dict.fromkeys(raw, -float(bool(predicted))) if impossible else raw
    return {
        "exact": judged["exact"], "score": judged["f1"],
        "answerable": 1 - impossible, "impossible": impossible,
        "gain_exact": gains["exact"], "gain_f1": gains["f1"],
        "null_odds": null_odds, "number": number,
    }  # fmt: skip


def normalised(answer: str) -> str:
    """An answer in lower case, without punctuation, articles and surplus white space."""
    without_articles = _ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION))
    return " ".join(without_articles.split())


def overlap_of_words(predicted: str, label: str) -> float:
    """F1 of the words of two answers."""
    found, right = normalised(predicted).split(), normalised(label).split()
    common = sum((Counter(found) & Counter(right)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(found), common / len(right)
    return 2 * precision * recall / (precision + recall)


def best_score(gain: str) -> Metric:
    """The mean score at the threshold that is best for it.

    Args:
        gain: What each question adds, as in `answer_numbers`.
    """

    def of(columns: Columns) -> Callable[[Array], Array]:
        totals, _ = _by_threshold(columns, gain)
        return lambda weights: quotient(totals(weights).max(axis=1), weights.sum(axis=1))

    return Metric(columns=("null_odds", gain, "impossible", "number"), of=of)


def best_threshold(gain: str) -> Metric:
    """The threshold at which it is best; 0 where it is best to answer nothing."""

    def of(columns: Columns) -> Callable[[Array], Array]:
        totals, odds = _by_threshold(columns, gain)
        thresholds = np.concatenate([[0.0], odds])
        return lambda weights: thresholds[totals(weights).argmax(axis=1)]

    return Metric(columns=("null_odds", gain, "impossible", "number"), of=of)


def _by_threshold(columns: Columns, gain: str) -> tuple[Callable[[Array], Array], Array]:
    """The sum of scores (r, 1 + n) below all thresholds and at each, and the thresholds (n)."""
    order = np.lexsort((columns["number"], columns["null_odds"]))
    gains = columns[gain][order]

    def totals(weights: Array) -> Array:
        nothing = weights @ columns["impossible"]
        found: Array = np.cumsum(np.c_[nothing, weights[:, order] * gains], axis=1)
        return found

    return totals, columns["null_odds"][order]


# By the rules of 1.1, and of 2 with the names of its script; shares, not percent.
ANSWERS: Mapping[str, Metric] = {"f1": mean("score"), "exact_match": share("exact")}
POSSIBLE_ANSWERS: Mapping[str, Metric] = {
    **ANSWERS,
    "HasAns_f1": mean("score", among="answerable"),
    "HasAns_exact": share("exact", among="answerable"),
    "NoAns_f1": mean("score", among="impossible"),
    "NoAns_exact": share("exact", among="impossible"),
    "best_f1": best_score("gain_f1"),
    "best_f1_thresh": best_threshold("gain_f1"),
    "best_exact": best_score("gain_exact"),
    "best_exact_thresh": best_threshold("gain_exact"),
}
# Those of them that SQuAD 1.1 has not, and those that are no shares.
OF_IMPOSSIBLE = tuple(name for name in POSSIBLE_ANSWERS if name not in ANSWERS)
THRESHOLDS = ("best_f1_thresh", "best_exact_thresh")
