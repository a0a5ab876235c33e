"""Question answering: the part of a context that answers a question, or that there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.errors import InputError
from distil.pipelines import base
from distil.pipelines.checks import check_count, warn
from distil.pipelines.encoding import MOST_CHARACTERS, Encoded, as_arrays
from distil.pipelines.rows import as_list, check_fields, check_text
from distil.pipelines.spans import best_spans

_SPECIALS = 3  # [CLS] question [SEP] context [SEP]
_FIELDS = ("question", "context")


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
        align_to_words: Whether an answer is made of whole words.
    """

    top_k: int = 1
    doc_stride: int | None = None
    max_answer_len: int = 15
    max_seq_len: int | None = None
    max_question_len: int = 64
    handle_impossible_answer: bool = False
    align_to_words: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("top_k", "max_answer_len", "max_seq_len", "max_question_len"):
            if getattr(self, name) is not None:
                check_count(getattr(self, name), name)
        if self.doc_stride is not None:
            check_count(self.doc_stride, "doc_stride", least=0)


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
            # Rows by the stride of their windows: a long question leaves little to share.
            by_stride: dict[int, list[tuple[int, str, str]]] = {}
            for row, question, length in self._questions(items, found, options):
                room = limit - _SPECIALS - length
                wanted = min(limit // 2, 128) if stride is None else stride
                if room < 1 or (stride is not None and stride >= room):
                    found.problems[row] = InputError(
                        "a window has no room for more of the context",
                        expected=f"question and shared tokens below {limit - _SPECIALS}",
                        found=f"a question of {length} tokens, doc_stride={wanted}",
                        where=places[row],
                        fix="lower doc_stride=, or shorten the question",
                    )  # fmt: skip
                    continue
                shared = wanted if wanted < room else room // 2
                by_stride.setdefault(shared, []).append((row, question, items[row][1]))
            parts = []
            for shared, texts in by_stride.items():
                rows, questions, contexts = zip(*texts, strict=True)
                batch = self.tokenizer(
                    list(questions), list(contexts), truncation="only_second", max_length=limit,
                    stride=shared, return_overflowing_tokens=True, return_offsets_mapping=True,
                )  # fmt: skip
                owners = batch["overflow_to_sample_mapping"]
                for owner, encoding in zip(owners, batch.encodings, strict=True):
                    if 1 in encoding.sequence_ids:  # something of the context is there
                        parts.append((rows[owner], encoding))
            parts.sort(key=lambda part: part[0])
            found.rows = np.array([row for row, _ in parts], np.int64)
            found.encodings = [encoding for _, encoding in parts]
            found.sequences = as_arrays([encoding.ids for encoding in found.encodings])
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
            ranked = list(answers.values())
            if options.handle_impossible_answer:
                ranked.append({"score": nothing, "start": 0, "end": 0, "answer": ""})
            ranked.sort(key=lambda answer: -answer["score"])
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
            "there must be one context for each question, or one for all",
            expected=f"one context, or one for each of {len(questions)} questions",
            found=len(contexts), where="context",
        )  # fmt: skip
    return [
        {"question": question, "context": context}
        for question, context in zip(questions, contexts, strict=True)
    ]
