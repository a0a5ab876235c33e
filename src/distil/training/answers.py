"""From the scores of windows to an answer to each question, as for SQuAD.

Shapes: w tokens of a window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distil.arrays import Array
from distil.training.spans import NONE, Windows

# As for BERT's and DistilBERT's results on SQuAD.
N_BEST = 20
_LONGEST_ANSWER = 30  # tokens


def read_answers(
    start_logits: Sequence[Array], end_logits: Sequence[Array], starts: Array, windows: Windows
) -> list[str]:
    """The best span of all windows of each question; empty where there is none.

    Args:
        start_logits: Scores of each window's tokens (w) as the start of the answer.
        end_logits: Likewise, as its end.
        starts: Where each window's tokens begin among all tokens, and the end of the last.
        windows: The questions they belong to.
    """
    best = np.full(len(windows.contexts), -np.inf)
    found = [""] * len(windows.contexts)
    for number, row in enumerate(windows.rows.tolist()):
        offsets = windows.offsets[starts[number] : starts[number + 1]]  # w 2
        score, first, last = _best_span(start_logits[number], end_logits[number], offsets)
        if score > best[row]:
            best[row] = score
            found[row] = windows.contexts[row][offsets[first, 0] : offsets[last, 1]]
    return found


def _best_span(start_logits: Array, end_logits: Array, offsets: Array) -> tuple[float, int, int]:
    """Score, first and last token of the best span among the best starts and ends."""
    in_context = offsets[:, 0] != NONE
    starts = np.argsort(-start_logits, kind="stable")[:N_BEST]
    ends = np.argsort(-end_logits, kind="stable")[:N_BEST]
    starts, ends = starts[in_context[starts]], ends[in_context[ends]]
    length = ends[None, :] - starts[:, None] + 1
    scores = np.where(
        (length >= 1) & (length <= _LONGEST_ANSWER),
        start_logits[starts][:, None] + end_logits[ends][None, :],
        -np.inf,
    )
    if not scores.size:
        return -np.inf, 0, 0
    first, last = np.unravel_index(scores.argmax(), scores.shape)
    return float(scores[first, last]), int(starts[first]), int(ends[last])
