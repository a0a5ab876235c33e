"""Question answering: the part of a context that answers a question, or that there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, log
from sys import float_info
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.rules import is_number
from distil.common.windows import USUAL_STRIDE, no_room, windows_of
from distil.errors import InputError, shown
from distil.pipelines import base
from distil.pipelines.checks import check_count, warn
from distil.pipelines.encoding import MOST_CHARACTERS, Encoded, as_arrays
from distil.pipelines.rows import as_list, check_fields, check_text
from distil.pipelines.spans import best_spans

_SPECIALS = 3  # [CLS] question [SEP] context [SEP]
_FIELDS = ("question", "context")
_LEAST = float_info.min


@dataclass(frozen=True, kw_only=True)
class Options(base.Options):
    """Options of question answering.

    Attributes:
        top_k: Answers to give; more than one come in a list.
        doc_stride: Tokens that the windows of a long context share; None for 128, or half a
            window if that is less.
        max_answer_len: Tokens of the longest answer.
        max_seq_len: Tokens of a window, with the question; None for 384, or what the model takes.
        max_question_len: Tokens of the longest question; a longer one is cut.
        handle_impossible_answer: Whether "" may be an answer: that there is none.
        null_score_diff_threshold: How far the null odds have to be above 0 for that.  They are
            the log of the score of "" less that of the best answer; run_squad's option of this
            name is the same for a context of one window.
        return_null_odds: Give every answer with the null odds, as "null_odds".
        align_to_words: Whether an answer is made of whole words.
    """

    top_k: int = 1
    doc_stride: int | None = None
    max_answer_len: int = 15
    max_seq_len: int | None = None
    max_question_len: int = 64
    handle_impossible_answer: bool = False
    null_score_diff_threshold: float = 0.0
    return_null_odds: bool = False
    align_to_words: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("top_k", "max_answer_len", "max_seq_len", "max_question_len"):
            if getattr(self, name) is not None:
                check_count(getattr(self, name), name)
        if self.doc_stride is not None:
            check_count(self.doc_stride, "doc_stride", least=0)
        threshold = self.null_score_diff_threshold
        if not is_number(threshold) and threshold != inf:
            raise InputError(
                "not a threshold", expected="a number", found=shown(threshold),
                where="null_score_diff_threshold",
            )  # fmt: skip
        for name, is_given in (
            ("null_score_diff_threshold", threshold != 0),
            ("return_null_odds", self.return_null_odds),
        ):
            if is_given and not self.handle_impossible_answer:
                raise InputError(
                    "this has no effect where every question has an answer",
                    expected="handle_impossible_answer=True", where=name,
                )  # fmt: skip


class QuestionAnsweringPipeline(base.Pipeline):
    """Answers questions from contexts of any length.

    A result is `{"score", "start", "end", "answer"}`, or with `top_k` a list of such; `start` and
    `end` are characters of the context.  As in transformers, equal answers of several places or
    windows are one, with the sum of their scores.  Unlike there, `max_question_len` has an effect
    with the fast tokenizer too, and no answer is empty unless it was asked for.
    """

    task = "question-answering"
    options_type = Options

    def __call__(self, *inputs: Any, question: Any = None, context: Any = None, **rest: Any) -> Any:
        """Answer questions.

        Args:
            *inputs: A row, a list of rows or a stream of them (see `read`), or two strings.
            question: One or several; with `context`, instead of `inputs`.
            context: One for all questions, or one for each.
            **rest: As for every pipeline; see `Options`.

        Returns:
            As every pipeline; but a list of one row gives the result of that row.

        Raises:
            InputError: As for every pipeline; also where questions and contexts differ in number.
        """
        if len(inputs) == 2:
            (question, context), inputs = inputs, ()
        rows = as_list(*inputs) if inputs else _rows(as_list(question), as_list(context))
        if isinstance(rows, list | tuple) and len(rows) == 1:
            (rows,) = rows
        return super().__call__(rows, **rest)

    def read(self, row: Any, where: str, options: Options) -> tuple[str, str]:
        """A row is a table of "question" and "context"."""
        row = check_fields(row, _FIELDS, where)
        question, context = (check_text(row[name], f"{where}.{name}") for name in _FIELDS)
        size = len(question) + len(context)
        if size > MOST_CHARACTERS:
            raise InputError(
                "this context is too long to be tokenized in one piece",
                expected=f"at most {MOST_CHARACTERS:,} characters with the question",
                found=f"{size:,}", where=where, fix="split it",
            )  # fmt: skip
        return question, context

    def encoder(self, options: Options) -> Callable[[Sequence[Any], Sequence[str]], Encoded]:
        """Windows of the context, each with the whole question."""
        limit = self.limit_of(options)
        limit = min(limit, 384) if options.max_seq_len is None else min(limit, options.max_seq_len)
        stride = options.doc_stride

        def encode(items: Sequence[Any], places: Sequence[str]) -> Encoded:
            found = Encoded()
            texts: list[tuple[int, str, int, int]] = []  # row, question, its tokens, the stride
            for row, question, length in self._questions(items, found, options):
                room = limit - _SPECIALS - length
                wanted = min(limit // 2, USUAL_STRIDE) if stride is None else stride
                if room < 1 or (stride is not None and stride >= room):
                    found.problems[row] = no_room(
                        length, places[row], limit=limit, stride=wanted, option="doc_stride",
                        beside="question", text="context",
                    )  # fmt: skip
                    continue
                # A long question leaves little to share.
                texts.append((row, question, length, wanted if wanted < room else room // 2))
            rows, questions, lengths, strides = zip(*texts, strict=True) if texts else ((),) * 4
            windows = windows_of(
                self.tokenizer, [items[row][1] for row in rows], before=questions, limit=limit,
                stride=strides, lengths=lengths, detailed=True,
            )  # fmt: skip
            has_context = [1 in encoding.sequence_ids for encoding in windows.encodings]
            found.rows = np.array(rows, np.int64)[windows.owners]
            found.encodings = windows.encodings
            found.sequences = as_arrays(windows.ids)
            found.keep(has_context)
            for row, item in enumerate(items):
                if item is not None and row not in found.problems and row not in found.rows:
                    found.problems[row] = InputError(
                        "no token is in this context", found=repr(item[1][:60]), where=places[row]
                    )
            return found

        return encode

    def _questions(
        self, items: Sequence[Any], found: Encoded, options: Options
    ) -> Iterator[tuple[int, str, int]]:
        """Rows with their questions, cut where too long, and how many tokens these have."""
        rows = [row for row, item in enumerate(items) if item is not None]
        batch = self.tokenizer(
            [items[row][0] for row in rows], add_special_tokens=False, return_offsets_mapping=True
        )
        most = options.max_question_len
        for row, ids, offsets in zip(
            rows, batch["input_ids"], batch["offset_mapping"], strict=True
        ):
            question = items[row][0]
            if len(ids) > most:
                found.cut.append(row)
                question = question[: offsets[most - 1][1]]
            yield row, question, min(len(ids), most)

    def results(
        self, items: Sequence[Any], encoded: Encoded, scores: Sequence[Array], options: Options
    ) -> Iterator[Any]:
        """Row by row."""
        for row, part in encoded.by_row():
            _, context = items[row]
            answers: dict[str, dict[str, Any]] = {}
            nothing = 1.0
            for encoding, logits in zip(encoded.encodings[part], scores[part], strict=True):
                found, none = self._answers_in(encoding, logits, context, options)
                nothing = min(nothing, none)
                for answer in found:
                    known = answers.setdefault(answer["answer"].lower(), answer)
                    if known is not answer:
                        known["score"] += answer["score"]
            ranked = sorted(answers.values(), key=lambda answer: -answer["score"])
            if options.handle_impossible_answer:
                ranked = _with_none(ranked, nothing, options)
            yield ranked[0] if len(ranked) == 1 or options.top_k == 1 else ranked[: options.top_k]

    def _answers_in(
        self, encoding: Any, logits: Array, context: str, options: Options
    ) -> tuple[list[dict[str, Any]], float]:
        """The likeliest answers in one window, and the score of none."""
        sequences, words, offsets = encoding.sequence_ids, encoding.word_ids, encoding.offsets
        begin = sequences.index(1)
        part = slice(begin, begin + sequences.count(1))
        align = options.align_to_words
        spans, none = best_spans(
            logits, part, most_tokens=options.max_answer_len,
            # Several of them may be the same once they are whole words.
            count=2 * options.top_k + 10 if align else options.top_k,
        )  # fmt: skip
        answers = []
        for first, last, score in spans:
            if align:
                while first > part.start and words[first - 1] == words[first]:
                    first -= 1  # noqa: PLW2901
                while last + 1 < part.stop and words[last + 1] == words[last]:
                    last += 1  # noqa: PLW2901
            start, end = offsets[first][0], offsets[last][1]
            answers.append(
                {"score": score, "start": start, "end": end, "answer": context[start:end]}
            )
        return answers, none

    def _warn_of_cut(self, where: str, options: Any) -> None:
        warn(
            f"the question of {where} is longer than max_question_len, {options.max_question_len} "
            "tokens, and is cut there, as are others like it"
        )


def _with_none(
    answers: Sequence[dict[str, Any]], nothing: float, options: Options
) -> list[dict[str, Any]]:
    """Answers, the best first, with "" where its score puts it among them."""
    with np.errstate(over="ignore", invalid="ignore"):
        factor = np.exp(options.null_score_diff_threshold)
        ahead = [answer for answer in answers if not answer["score"] * factor < nothing]
    none = {"score": nothing, "start": 0, "end": 0, "answer": ""}
    ranked = [*ahead, none, *answers[len(ahead) :]]
    if options.return_null_odds:
        best = answers[0]["score"] if answers else 0.0
        # Scores may be too small for floats.
        odds = log(max(nothing, _LEAST)) - log(max(best, _LEAST))
        ranked = [{**answer, "null_odds": odds} for answer in ranked]
    return ranked


def _rows(questions: Any, contexts: Any) -> Any:
    """Rows of questions and contexts that are given side by side."""
    if questions is None or contexts is None:
        raise InputError(
            "a question needs a context", expected="question=... and context=...",
            found=f"{'no question' if questions is None else 'no context'}",
        )  # fmt: skip
    if not isinstance(questions, list | tuple):
        questions = [questions]
    if not isinstance(contexts, list | tuple):
        contexts = [contexts] * len(questions)
    if len(questions) != len(contexts):
        raise InputError(
            "expected one context for each question, or one for all",
            expected=f"one context, or one for each of {len(questions)} questions",
            found=len(contexts), where="context",
        )  # fmt: skip
    return [
        {"question": question, "context": context}
        for question, context in zip(questions, contexts, strict=True)
    ]
