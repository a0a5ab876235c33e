"""From rows of text to numbers: what each task needs of a row, tokenized once, by all cores.

A task's builder takes rows and gives `distil.common.steps.batching.Features`, with what its metrics
need besides.  A row that lacks something, or has a label that is none, is an error that names
its file and line: nothing is trained on by accident.

Shapes: n examples, t tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from distil.common.steps.batching import Features
from distil.common.steps.recipe import DataSection
from distil.errors import InputError, shown
from distil.training.cache import IdsFile
from distil.training.reading import Row

# Rows tokenized at once: enough for all cores, few enough to be no burden on memory.
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Examples of a split.

    Attributes:
        features: As numbers.
        details: What the task's metrics need besides them.
        left_out: Rows that give no example.
    """

    features: Features
    details: Any = None
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What turns rows into examples.

    Attributes:
        data: Of the recipe.
        tokenizer: Of the model.
        labels: Names of the classes; none where a task has none, or for regression.
        ids_path: File for the token ids; None keeps them in memory.
    """

    data: DataSection
    tokenizer: Any
    labels: tuple[str, ...] = ()
    ids_path: Path | None = None

    def value(self, row: Row, need: str) -> Any:
        """What a row has for a need, in the column that the recipe names for it.

        Raises:
            InputError: The row has no such column, or nothing in it.
        """
        column = self.data.columns.get(need, need)
        names = (column,) if isinstance(column, str) else column
        for name in names:
            if row.values.get(name) is None:
                raise row.problem(
                    f"row has no {name!r}",
                    expected=f"a column for {need!r}", found=", ".join(map(str, row.values)),
                    fix=f"name the column with data.columns.{need}",
                )  # fmt: skip
        return row.values[column] if isinstance(column, str) else [row.values[n] for n in names]

    def text(self, row: Row, need: str) -> str:
        """Likewise, a text."""
        value = self.value(row, need)
        if not isinstance(value, str):
            raise row.problem(f"{need} is not a text", found=shown(value))
        return value

    def number(self, row: Row, label: Any, names: Sequence[str] | None = None) -> int:
        """The number of a label given by its name, or by its number."""
        names = self.labels if names is None else names
        text = str(label)
        if text in names:
            return names.index(text)
        if not isinstance(label, float) and text.isascii() and text.isdigit():
            number = int(text)
            if number < len(names):
                return number
        raise row.problem("label is unknown", expected=", ".join(names), found=shown(label))

    def has(self, need: str, row: Row) -> bool:
        """Whether the recipe, or the row itself, has a column for something optional."""
        return need in self.data.columns or need in row.values

    def tokenize(self, texts: Any, pairs: Any = None, **options: Any) -> Any:
        """Tokenize a batch to rows of at most `data.max_length` tokens."""
        options = {"truncation": True, "max_length": self.data.max_length} | options
        return self.tokenizer(texts, pairs, return_attention_mask=False, **options)


def labels_of(rows: Iterable[Row], reader: Reader, task: str) -> tuple[str, ...]:
    """The classes that training rows have, sorted; numbers in the order of their values."""
    need = "tags" if task == "token-classification" else "label"
    found: set[str] = set()
    for row in rows:
        value = reader.value(row, need)
        found.update(map(str, value) if need == "tags" else [str(value)])
    if all(name.isdigit() for name in found):
        return tuple(sorted(found, key=int))
    return tuple(sorted(found))


def in_blocks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows a few thousand at a time."""
    source = iter(rows)
    while block := list(islice(source, _ROWS_AT_ONCE)):
        yield block


class Sequences:
    """Collects token ids of sequences, end to end.

    Args:
        path: File for them; None keeps them in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else IdsFile(path)
        self._ids = [np.zeros(0, np.int32)]
        self._lengths = [np.zeros(1, np.int64)]

    def add(self, sequences: Sequence[Sequence[int]]) -> None:
        """Append sequences."""
        self._lengths.append(np.fromiter(map(len, sequences), np.int64, len(sequences)))
        ids = np.fromiter(chain.from_iterable(sequences), np.int32)
        if self._file is None:
            self._ids.append(ids)
        else:
            self._file.add(ids)

    def finish(self, **parts: Any) -> Features:
        """All of them, as features with other `parts`."""
        ids = np.concatenate(self._ids) if self._file is None else self._file.finish()
        return Features(ids=ids, starts=np.cumsum(np.concatenate(self._lengths)), **parts)


def classification(rows: Iterable[Row], reader: Reader) -> Examples:
    """Texts, or pairs of them, with a class each; with a number each where there are no classes."""
    sequences, labels = Sequences(reader.ids_path), []
    for block in in_blocks(rows):
        texts = [reader.text(row, "text") for row in block]
        pairs = None
        if reader.has("text_pair", block[0]):
            pairs = [reader.text(row, "text_pair") for row in block]
        sequences.add(reader.tokenize(texts, pairs)["input_ids"])
        for row in block:
            label = reader.value(row, "label")
            labels.append(reader.number(row, label) if reader.labels else _score(row, label))
    kind = np.int32 if reader.labels else np.float32
    return Examples(features=sequences.finish(targets={"labels": np.array(labels, kind)}))


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


_FEWEST = 11


def _score(row: Row, label: Any) -> float:
    try:
        number = math.nan if isinstance(label, bool) else float(label)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise row.problem("label is not a number", found=shown(label))
    return number


Builder = Callable[[Iterable[Row], Reader], Examples]


def check_some(examples: Examples, split: str) -> Examples:
    """`examples`, if there are any.

    Raises:
        InputError: There are none.
    """
    if not len(examples.features):
        raise InputError("there are no examples", found=f"{split} rows: 0", where="data")
    return examples


BUILDERS: Mapping[str, Builder] = {
    "sequence-classification": classification,
    "multiple-choice": multiple_choice,
    "masked-lm": masked_lm,
}
