"""Features of each task: the numbers that its rows become, and what else its metrics need.

A task's builder takes rows and gives `distil.training.examples.Examples`.

Shapes: t tokens of all sequences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.labels import IGNORED
from distil.common.windows import Windows, first_windows, most_inside
from distil.errors import shown
from distil.reading import Row
from distil.training.examples import NONE, Examples, Reader, Sequences, in_blocks
from distil.training.questions import question_answering

# Shorter sequences of masked-LM are left out.
_FEWEST = 11


@dataclass(frozen=True, kw_only=True)
class TaggedWords:
    """What entity metrics need.

    Attributes:
        tags: Of every word, for each sentence.
        words: For each token (t) the number of the word that it begins, or `NONE`; a word counts
            in one window.
        rows: Number of the sentence that each window is of (n).
    """

    tags: list[list[str]]
    words: Array
    rows: Array


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What metrics of whole texts need where texts are read in windows.

    Attributes:
        rows: Which text each example is of, ascending (n).
        scores: Of pairs of texts, how alike they are (p); None of other texts.
    """

    rows: Array
    scores: Array | None = None


class Owners:
    """Collects which row each example is of."""

    def __init__(self) -> None:
        self._parts = [np.zeros(0, np.int64)]
        self._rows = 0

    def add(self, owners: Array, rows: int) -> None:
        """Append the owners of further examples, as numbers among so many further rows."""
        self._parts.append(owners + self._rows)
        self._rows += rows

    @property
    def rows(self) -> Array:
        """Of each example the number of its row (n)."""
        return np.concatenate(self._parts)

    @property
    def details(self) -> Texts | None:
        """What metrics of whole rows need: nothing where every row is one example."""
        return Texts(rows=self.rows) if len(self.rows) > self._rows else None


def classification(rows: Iterable[Row], reader: Reader) -> Examples:
    """Texts, or pairs of them, with a class each; with a number each where there are no classes.

    Where a text may have several labels, or none, targets are 1 where one applies, else 0 (n c).
    Every window of a long text has the label of the text.
    """
    sequences, owners = Sequences(reader.ids_path), Owners()
    labels: list[Any] = []
    for block in in_blocks(rows):
        texts = [reader.text(row, "text") for row in block]
        pairs = None
        if reader.has("text_pair", block[0]):
            pairs = [reader.text(row, "text_pair") for row in block]
        found = reader.windows(block, texts, pairs)
        sequences.add(found.ids)
        owners.add(found.owners, len(block))
        labels += [_target(row, reader) for row in block]
    kind = np.int32 if reader.labels and not reader.several else np.float32
    targets = {"labels": np.array(labels, kind)[owners.rows]}
    return Examples(features=sequences.finish(targets=targets), details=owners.details)


def _target(row: Row, reader: Reader) -> Any:
    if reader.several:
        target = np.zeros(len(reader.labels), np.float32)
        target[[reader.number(row, label) for label in reader.labels_in(row)]] = 1
        return target
    label = reader.value(row, "label")
    return reader.number(row, label) if reader.labels else _score(row, label)


def multiple_choice(rows: Iterable[Row], reader: Reader) -> Examples:
    """Texts with several endings each, one of them right; all have as many.

    Every window of a long text has all the endings.
    """
    sequences, labels, owners = Sequences(reader.ids_path), [], Owners()
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
            texts.append(reader.text(row, "text"))
            endings.append(given)
            names = [str(number) for number in range(choices)]
            labels.append(reader.number(row, reader.value(row, "label"), names))
        found = reader.windows_of_choices(block, texts, endings)
        sequences.add(found.ids)
        owners.add(found.owners[::choices], len(block))
    targets = {"labels": np.array(labels, np.int32)[owners.rows]}
    return Examples(
        features=sequences.finish(choices=max(1, choices), targets=targets),
        details=owners.details,
    )


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
    """Sentences of words with a tag each; the first token of a word learns its tag.

    A word that several windows have learns it in the one in which it stands most inside.
    """
    sequences, owners = Sequences(reader.ids_path), Owners()
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
        found = reader.windows(block, sentences, words=True)
        sequences.add(found.ids)
        owners.add(found.owners, len(block))
        numbers = [
            np.array([reader.number(row, tag) for tag in reader.value(row, "tags")])
            for row in block
        ]
        tags_of += [[reader.labels[one] for one in row] for row in numbers]
        for owner, words in zip(found.owners.tolist(), _words_begun(found), strict=True):
            words_of.append(words)
            labels.append(np.where(words == NONE, IGNORED, numbers[owner][words]))
    token_targets = {"labels": np.concatenate([np.zeros(0, np.int32), *labels]).astype(np.int32)}
    words = np.concatenate([np.zeros(0, np.int32), *words_of])
    return Examples(
        features=sequences.finish(token_targets=token_targets),
        details=TaggedWords(tags=tags_of, words=words, rows=owners.rows),
    )


def _words_begun(found: Windows) -> list[Array]:
    """For each token of each window the word that it begins, if that counts there."""
    result = []
    starts = first_windows(found.owners).tolist()
    for begin, end in pairwise([*starts, len(found.owners)]):
        word_ids = [encoding.word_ids for encoding in found.encodings[begin:end]]
        for ids, inside in zip(word_ids, most_inside(word_ids), strict=True):
            words = np.array([NONE if word is None else word for word in ids], np.int32)
            first = np.ones(len(words), bool)
            first[1:] = words[1:] != words[:-1]
            result.append(np.where(first & inside, words, NONE).astype(np.int32))
    return result


def sentence_embeddings(rows: Iterable[Row], reader: Reader) -> Examples:
    """Texts, of which a row may have several columns; each window of a long one is a text.

    Dev rows with a score are pairs of texts, one after the other.
    """
    sequences, owners = Sequences(reader.ids_path), Owners()
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
        windows = reader.windows(block, texts)
        sequences.add(windows.ids)
        owners.add(windows.owners, len(texts))
    details = None if scores is None else Texts(rows=owners.rows, scores=np.array(scores))
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
