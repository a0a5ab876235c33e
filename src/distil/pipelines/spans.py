"""Spans: which stretches of a context are the likeliest answers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from distil.arrays import Array
from distil.common.probabilities import softmax


class Span(NamedTuple):
    """A stretch of tokens.

    Attributes:
        first: Its first token.
        last: Its last token.
        score: The probability of its start times that of its end.
    """

    first: int
    last: int
    score: float


def best_spans(
    logits: Array, context: slice, *, most_tokens: int, count: int
) -> tuple[list[Span], float]:
    """The likeliest answers in one window.

    Args:
        logits: Of starts and ends, (t, 2).
        context: The tokens that can be in an answer.
        most_tokens: Of an answer.
        count: Answers to give; fewer where there are not as many.

    Returns:
        The answers, the likeliest first, and the score of there being none, which the first
        token, [CLS], stands for: probabilities are over it and the context.
    """
    shown = np.concatenate([logits[:1], logits[context]])
    probabilities = softmax(shown.T)  # 2 c
    none = float(probabilities[:, 0].prod())
    starts, ends = probabilities[:, 1:]
    most_tokens = min(most_tokens, len(starts))
    if not most_tokens:
        return [], none
    # By start and length less one; an answer that would end past the context has score -1.
    ends = np.concatenate([ends, np.full(most_tokens - 1, -np.inf)])
    with np.errstate(invalid="ignore"):  # of a start too small for floats it is NaN
        scores = starts[:, None] * np.lib.stride_tricks.sliding_window_view(ends, most_tokens)
    scores = np.where(np.isfinite(scores), scores, -1.0).ravel()
    if count < len(scores):
        best = np.argpartition(-scores, count)[:count]
        best = best[np.argsort(-scores[best], kind="stable")]
    else:
        best = np.argsort(-scores, kind="stable")
    spans = []
    for place in best.tolist():
        first, more = divmod(place, most_tokens)
        if scores[place] >= 0:
            first += context.start
            spans.append(Span(first, first + more, float(scores[place])))
    return spans, none
