"""Features of each task: the numbers that its rows become, and what else its metrics need.

A task's builder takes rows and gives `distil.training.examples.Examples`.

Shapes: t tokens of all sequences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.labels import IGNORED
from distil.errors import shown
from distil.reading import Row
from distil.training.examples import Examples, Reader, Sequences, in_blocks

# Shorter sequences of masked-LM are left out.
_FEWEST = 11

# In place of a word or an offset, for tokens that have none.
NONE = -1


@dataclass(frozen=True, kw_only=True)
class TaggedWords:
    """What entity metrics need.

    Attributes:
        tags: Of every word, for each sentence.
        words: For each token (t) the number of the word that it begins, or `NONE`.
    """

    tags: list[list[str]]
    words: Array


@dataclass(frozen=True, kw_only=True)
class Windows:
    """What is needed to read answers out of windows.

    Attributes:
        rows: Number of the question that each window belongs to.
        offsets: For each token (t 2) its first character in the context and the one after its
            last, or `NONE` outside of the context.
        contexts: Of each question.
        answers: Right answers to each question.
    """

    rows: Array
    offsets: Array
    contexts: list[str]
    answers: list[list[str]]


def classification(rows: Iterable[Row], reader: Reader) -> Examples:
    """Texts, or pairs of them, with a class each; with a number each where there are no classes.

    Where a text may have several labels, or none, targets are 1 where one applies, else 0 (n c).
    """
    sequences = Sequences(reader.ids_path)
    labels: list[Any] = []
    for block in in_blocks(rows):
        texts = [reader.text(row, "text") for row in block]
        pairs = None
        if reader.has("text_pair", block[0]):
            pairs = [reader.text(row, "text_pair") for row in block]
        sequences.add(reader.tokenize(texts, pairs)["input_ids"])
        labels += [_target(row, reader) for row in block]
    kind = np.int32 if reader.labels and not reader.several else np.float32
    return Examples(features=sequences.finish(targets={"labels": np.array(labels, kind)}))


def _target(row: Row, reader: Reader) -> Any:
    if reader.several:
        target = np.zeros(len(reader.labels), np.float32)
        target[[reader.number(row, label) for label in reader.labels_in(row)]] = 1
        return target
    label = reader.value(row, "label")
    return reader.number(row, label) if reader.labels else _score(row, label)


def multiple_choice(rows: Iterable[Row], reader: Reader) -> Examples:
    """Texts with several endings each, one of them right; all have as many."""
    sequences, labels = Sequences(reader.ids_path), []
    choices = 0
    for block in in_blocks(rows):
        texts, endings = [], []
        for row in block:
            given = reader.value(row, "choices")
            choices = choices or len(given)
            if not isinstance(given, list) or len(given) != choices or choices < 2:
                raise row.problem(
                    "wrong number of choices", expected=choices or "2 or more", found=shown(given)
                )
            texts += [reader.text(row, "text")] * choices
            endings += given
            names = [str(number) for number in range(choices)]
            labels.append(reader.number(row, reader.value(row, "label"), names))
        sequences.add(reader.tokenize(texts, endings)["input_ids"])
    targets = {"labels": np.array(labels, np.int32)}
    return Examples(features=sequences.finish(choices=max(1, choices), targets=targets))


def masked_lm(rows: Iterable[Row], reader: Reader) -> Examples:
    """Texts; a long one is cut into sequences of the longest length.

    Left out, as the original does: sequences of at most 11 tokens, and those whose tokens are
    unknown by half or more.
    """
    tokenizer, sequences, left_out = reader.tokenizer, Sequences(reader.ids_path), 0
    room = reader.data.max_length - 2
    for block in in_blocks(rows):
        texts = [reader.text(row, "text") for row in block]
        encoded = tokenizer(
            texts, add_special_tokens=False, truncation=False, return_attention_mask=False,
            verbose=False,
        )["input_ids"]  # fmt: skip
        found = []
        for ids in encoded:
            for begin in range(0, len(ids), room):
                part = ids[begin : begin + room]
                if len(part) + 2 <= _FEWEST or 2 * part.count(tokenizer.unk_token_id) >= len(part):
                    left_out += 1
                else:
                    found.append(tokenizer.build_inputs_with_special_tokens(part))
        sequences.add(found)
    return Examples(features=sequences.finish(), left_out=left_out)


def _score(row: Row, label: Any, name: str = "label") -> float:
    try:
        number = math.nan if isinstance(label, bool) else float(label)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise row.problem(f"{name} is not a number", found=shown(label))
    return number


def token_classification(rows: Iterable[Row], reader: Reader) -> Examples:
    """Sentences of words with a tag each; the first token of a word learns its tag."""
    sequences = Sequences(reader.ids_path)
    labels: list[Array] = []
    words_of: list[Array] = []
    tags_of: list[list[str]] = []
    for block in in_blocks(rows):
        sentences = []
        for row in block:
            words, tags = reader.value(row, "words"), reader.value(row, "tags")
            if not isinstance(words, list) or not isinstance(tags, list) or not words:
                raise row.problem("words and tags are not lists", found=shown(words))
            if len(words) != len(tags):
                raise row.problem(
                    "words and tags differ in number",
                    expected=f"{len(words)} tags",
                    found=len(tags),
                )
            sentences.append(words)
        encoded = reader.tokenize(sentences, is_split_into_words=True)
        sequences.add(encoded["input_ids"])
        for number, row in enumerate(block):
            numbers = [reader.number(row, tag) for tag in reader.value(row, "tags")]
            tags_of.append([reader.labels[one] for one in numbers])
            words = _first_tokens(encoded.word_ids(number))
            words_of.append(words)
            labels.append(np.where(words == NONE, IGNORED, np.asarray(numbers)[words]))
    token_targets = {"labels": np.concatenate([np.zeros(0, np.int32), *labels]).astype(np.int32)}
    words = np.concatenate([np.zeros(0, np.int32), *words_of])
    return Examples(
        features=sequences.finish(token_targets=token_targets),
        details=TaggedWords(tags=tags_of, words=words),
    )


def question_answering(rows: Iterable[Row], reader: Reader) -> Examples:
    """Questions with the answer in a context; a long context is read through several windows.

    A window without the whole answer learns to point at its first token, as in BERT's own
    training on SQuAD.
    """
    sequences = Sequences(reader.ids_path)
    questions = 0
    starts, ends, rows_of = [], [], []
    offsets: list[Array] = []
    contexts: list[str] = []
    answers: list[list[str]] = []
    for block in in_blocks(rows):
        spans = [_answer(row, reader) for row in block]
        encoded = reader.tokenize(
            [reader.text(row, "question") for row in block],
            [reader.text(row, "context") for row in block],
            truncation="only_second",
            stride=reader.data.stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        sequences.add(encoded["input_ids"])
        for window, number in enumerate(encoded["overflow_to_sample_mapping"]):
            in_context = np.array(
                [sequence == 1 for sequence in encoded.sequence_ids(window)], bool
            )
            here = np.asarray(encoded["offset_mapping"][window], np.int32)
            here = np.where(in_context[:, None], here, NONE).astype(np.int32)  # tokens 2
            start, end = _tokens_of(here, *spans[number][0])
            starts.append(start)
            ends.append(end)
            rows_of.append(questions + number)
            offsets.append(here)
        questions += len(block)
        contexts += [reader.text(row, "context") for row in block]
        answers += [texts for _, texts in spans]
    targets = {
        "start_positions": np.array(starts, np.int32), "end_positions": np.array(ends, np.int32)
    }  # fmt: skip
    details = Windows(
        rows=np.array(rows_of, np.int64),
        offsets=np.concatenate([np.zeros((0, 2), np.int32), *offsets]),
        contexts=contexts,
        answers=answers,
    )
    return Examples(features=sequences.finish(targets=targets), details=details)


def _first_tokens(word_ids: list[int | None]) -> Array:
    """For each token the word that it begins."""
    words = np.array([NONE if word is None else word for word in word_ids], np.int32)
    again = np.zeros(len(words), bool)
    again[1:] = words[1:] == words[:-1]
    return np.where(again, NONE, words).astype(np.int32)


def _answer(row: Row, reader: Reader) -> tuple[tuple[int, int], list[str]]:
    """Characters of the first answer, and the texts of all."""
    context, answers = reader.text(row, "context"), reader.value(row, "answers")
    try:
        texts, begins = list(answers["text"]), list(answers["answer_start"])
        text, begin = texts[0], int(begins[0])
        found = context[begin : begin + len(text)]
    except (KeyError, TypeError, ValueError, IndexError):
        raise row.problem(
            "no answer",
            expected="texts and answer_starts, at least one", found=shown(answers),
            fix="questions without an answer (SQuAD 2) are not supported",
        ) from None  # fmt: skip
    if found != text or not text:
        raise row.problem(
            "answer does not occur at answer_start", expected=shown(text), found=shown(found)
        )
    return (begin, begin + len(text)), texts


def _tokens_of(offsets: Array, begin: int, end: int) -> tuple[int, int]:
    """First and last token of the characters from `begin` to `end`; (0, 0) if not all are there."""
    context = np.flatnonzero(offsets[:, 0] != NONE)
    inside = context[(offsets[context, 1] > begin) & (offsets[context, 0] < end)]
    whole = len(inside) > 0 and offsets[inside[0], 0] <= begin and offsets[inside[-1], 1] >= end
    return (int(inside[0]), int(inside[-1])) if whole else (0, 0)


def sentence_embeddings(rows: Iterable[Row], reader: Reader) -> Examples:
    """Texts, of which a row may have several columns; long ones are cut.

    Dev rows with a score are pairs of texts, one after the other; the scores are the details.
    """
    sequences = Sequences(reader.ids_path)
    scores: list[float] | None = None
    for number, block in enumerate(in_blocks(rows)):
        if number == 0 and reader.split == "dev" and reader.has("score", block[0]):
            scores = []
        texts: list[str] = []
        for row in block:
            if scores is not None:
                texts += [reader.text(row, "sentence1"), reader.text(row, "sentence2")]
                scores.append(_score(row, reader.value(row, "score"), "score"))
                continue
            found = reader.value(row, "text")
            for text in found if isinstance(found, list) else [found]:
                if not isinstance(text, str):
                    raise row.problem("text is not a text", found=shown(text))
                texts.append(text)
        sequences.add(reader.tokenize(texts)["input_ids"])
    details = None if scores is None else np.array(scores)
    return Examples(features=sequences.finish(), details=details)


Builder = Callable[[Iterable[Row], Reader], Examples]

BUILDERS: Mapping[str, Builder] = {
    "masked-lm": masked_lm,
    "sequence-classification": classification,
    "multiple-choice": multiple_choice,
    "token-classification": token_classification,
    "question-answering": question_answering,
    "sentence-embeddings": sentence_embeddings,
}
