"""Question answering: contexts in windows, and answers read out of them, as for SQuAD.

Questions without an answer are those of SQuAD 2 (Rajpurkar et al. 2018): every window of such a
question, and every other window without the whole answer, learns to point at [CLS], as in BERT's
own run_squad.

Shapes: t tokens of all sequences, w tokens of a window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from distil.arrays import Array
from distil.common.windows import count_tokens, usual_stride, windows_of
from distil.errors import InputError, shown
from distil.reading import Row, right_answers
from distil.training.examples import NONE, Examples, Reader, Sequences, in_blocks

# As for BERT's and DistilBERT's results on SQuAD.
_N_BEST = 20
_LONGEST_ANSWER = 30  # tokens
_SPECIALS = 3  # [CLS] question [SEP] context [SEP]


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What is needed to read answers out of windows.

    Attributes:
        rows: Number of the question that each window belongs to.
        offsets: For each token (t 2) its first character in the context and the one after its
            last, or `NONE` outside of the context.
        contexts: Of each question.
        answers: Right answers to each question; none where there is none.
    """

    rows: Array
    offsets: Array
    contexts: list[str]
    answers: list[list[str]]

    @property
    def some_impossible(self) -> bool:
        """Whether a question has no answer: SQuAD 2's rules apply."""
        return not all(self.answers)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best answer to a question.

    Attributes:
        text: The answer; empty where no window has one.
        null_odds: How much likelier no answer is: the least score of that in any window, less the
            score of the best answer, both as sums of logits.
    """

    text: str
    null_odds: float


def question_answering(rows: Iterable[Row], reader: Reader) -> Examples:
    """Questions with the answer in a context, or without one; long contexts in windows."""
    sequences = Sequences(reader.ids_path)
    number = 0
    starts, ends, rows_of = [], [], []
    offsets: list[Array] = []
    contexts: list[str] = []
    answers: list[list[str]] = []
    for block in in_blocks(rows):
        spans = [_answer(row, reader) for row in block]
        texts = [reader.text(row, "question") for row in block]
        lengths = count_tokens(reader.tokenizer, texts)
        limit, stride = reader.data.max_length, reader.data.stride
        found = windows_of(
            reader.tokenizer, [reader.text(row, "context") for row in block], before=texts,
            limit=limit, lengths=lengths, detailed=True,
            stride=[usual_stride(limit - _SPECIALS - n) for n in lengths]
            if stride is None else stride,
        )  # fmt: skip
        reader.check_room(found, block, beside="question", text="context")
        sequences.add(found.ids)
        for owner, encoding in zip(found.owners.tolist(), found.encodings, strict=True):
            in_context = np.array([one == 1 for one in encoding.sequence_ids], bool)
            here = np.asarray(encoding.offsets, np.int32)
            here = np.where(in_context[:, None], here, NONE).astype(np.int32)  # tokens 2
            span, _ = spans[owner]
            start, end = (0, 0) if span is None else _tokens_of(here, *span)
            starts.append(start)
            ends.append(end)
            rows_of.append(number + owner)
            offsets.append(here)
        number += len(block)
        contexts += [reader.text(row, "context") for row in block]
        answers += [texts for _, texts in spans]
    targets = {
        "start_positions": np.array(starts, np.int32), "end_positions": np.array(ends, np.int32)
    }  # fmt: skip
    details = Questions(
        rows=np.array(rows_of, np.int64),
        offsets=np.concatenate([np.zeros((0, 2), np.int32), *offsets]),
        contexts=contexts,
        answers=answers,
    )
    return Examples(features=sequences.finish(targets=targets), details=details)


def _answer(row: Row, reader: Reader) -> tuple[tuple[int, int] | None, list[str]]:
    """Characters of the first answer, None where there is none, and the texts of all."""
    context, columns = reader.text(row, "context"), reader.data.columns
    column, flag = (columns.get(name, name) for name in ("answers", "is_impossible"))
    if column not in row.values and flag not in row.values:
        reader.value(row, "answers")  # which says how to name the column
    try:
        found = right_answers(row.values.get(column), row.values.get(flag))
    except InputError as error:
        raise error.at(row.place) from None
    if not found.texts:
        return None, []
    if not found.starts:
        raise row.problem(
            "an answer has no answer_start", expected="the first character of each answer",
            found=shown(row.values.get(column)),
        )  # fmt: skip
    text, begin = found.texts[0], found.starts[0]
    there = context[begin : begin + len(text)] if begin >= 0 else ""
    if there != text or not text:
        raise row.problem(
            "answer does not occur at answer_start", expected=shown(text), found=shown(there)
        )
    return (begin, begin + len(text)), list(found.texts)


def _tokens_of(offsets: Array, begin: int, end: int) -> tuple[int, int]:
    """First and last token of the characters from `begin` to `end`; (0, 0) if not all are there."""
    context = np.flatnonzero(offsets[:, 0] != NONE)
    inside = context[(offsets[context, 1] > begin) & (offsets[context, 0] < end)]
    whole = len(inside) > 0 and offsets[inside[0], 0] <= begin and offsets[inside[-1], 1] >= end
    return (int(inside[0]), int(inside[-1])) if whole else (0, 0)


def read_answers(
    start_logits: Sequence[Array], end_logits: Sequence[Array], starts: Array, questions: Questions
) -> list[Found]:
    """The best span of all windows of each question, as for SQuAD, and how likely none is.

    Args:
        start_logits: Scores of each window's tokens (w) as the start of the answer.
        end_logits: Likewise, as its end.
        starts: Where each window's tokens begin among all tokens, and the end of the last.
        questions: The questions they belong to.
    """
    best = np.full(len(questions.contexts), -inf)
    none = np.full(len(questions.contexts), inf)
    found = [""] * len(questions.contexts)
    for number, row in enumerate(questions.rows.tolist()):
        begin, end = start_logits[number], end_logits[number]
        offsets = questions.offsets[starts[number] : starts[number + 1]]  # w 2
        none[row] = min(none[row], begin[0] + end[0])
        score, first, last = _best_span(begin, end, offsets)
        if score > best[row]:
            best[row] = score
            found[row] = questions.contexts[row][offsets[first, 0] : offsets[last, 1]]
    odds = (none - best).tolist()
    return [Found(text=text, null_odds=x) for text, x in zip(found, odds, strict=True)]


def _best_span(start_logits: Array, end_logits: Array, offsets: Array) -> tuple[float, int, int]:
    """Score, first and last token of the best span among the best starts and ends."""
    in_context = offsets[:, 0] != NONE
    starts = np.argsort(-start_logits, kind="stable")[:_N_BEST]
    ends = np.argsort(-end_logits, kind="stable")[:_N_BEST]
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
