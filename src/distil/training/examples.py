"""What rows become: examples as numbers, tokenized once, by all cores.

A row that lacks something, or has a label that is unknown, is an error that names its file and
line: nothing is trained on by accident.

Shapes: n examples, t tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress, islice
from pathlib import Path
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.config_rules import MOST_LABELS
from distil.common.steps.batching import Features
from distil.common.steps.recipe_data import FORMATS, DataSection
from distil.common.windows import Windows, no_room, windows_of, windows_of_choices
from distil.errors import InputError, shown
from distil.reading import Row, RowFile, data_set, format_of, labels_in, rows_of, sound
from distil.training.cache import IdsFile

# In place of a word or an offset, for tokens that have none.
NONE = -1

# Rows tokenized at once: enough for all cores, few enough to be no burden on memory.
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Examples of a split.

    Attributes:
        features: As numbers.
        details: What else the task's metrics need.
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
        several: Whether a text may have several labels, or none.
        ids_path: File for the token ids; None keeps them in memory.
        split: Which rows these are: "train" or "dev".
    """

    data: DataSection
    tokenizer: Any
    labels: tuple[str, ...] = ()
    several: bool = False
    ids_path: Path | None = None
    split: str = "train"

    def value(self, row: Row, need: str) -> Any:
        """What a row has for a need, in the column that the recipe names for it.

        Raises:
            InputError: The row has no such column, or nothing in it.
        """
        column = self.data.columns.get(need, need)
        names = (column,) if isinstance(column, str) else column
        for name in names:
            if name in row.values and row.values[name] is None:
                raise row.problem(
                    f"row has nothing in {name!r}", expected=f"a value for {need!r}",
                    fix="fill it in, or leave the row out",
                )  # fmt: skip
            if name not in row.values:
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

    def labels_in(self, row: Row) -> list[str]:
        """The labels of a text that may have several: names, or numbers as texts."""
        try:
            return labels_in(row.values, self.data.columns.get("label", "label"))
        except InputError as error:
            raise error.at(row.place) from None

    def number(self, row: Row, label: Any, names: Sequence[str] | None = None) -> int:
        """The number of a label given by its name, or by its number."""
        names = self.labels if names is None else names
        if isinstance(label, list):
            raise _is_list(row, label)
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

    def windows(
        self, rows: Sequence[Row], texts: Any, pairs: Any = None, *, words: bool = False
    ) -> Windows:
        """The windows of texts, or of pairs; a text each where the recipe has no stride.

        Args:
            rows: What the texts are of, for errors.
            texts: The texts, or lists of words.
            pairs: Second texts.
            words: Whether texts are lists of words; then encodings are there.

        Raises:
            InputError: The first text of a pair leaves no room for the second one.
        """
        limit, stride = self.data.max_length, self.data.stride
        if stride is None:
            batch = self.tokenizer(
                texts, pairs, return_attention_mask=False, truncation=True, max_length=limit,
                is_split_into_words=words,
            )  # fmt: skip
            return Windows(
                ids=batch["input_ids"], owners=np.arange(len(texts)),
                encodings=batch.encodings if words else [],
            )  # fmt: skip
        found = windows_of(
            self.tokenizer, texts if pairs is None else pairs, limit=limit, stride=stride,
            before=None if pairs is None else texts, words=words, detailed=words,
        )  # fmt: skip
        self.check_room(found, rows, beside="first text", text="second text")
        return found

    def windows_of_choices(
        self, rows: Sequence[Row], texts: Sequence[str], choices: Sequence[Sequence[str]]
    ) -> Windows:
        """Likewise of texts with their choices: window by window, and in each choice by choice."""
        limit, stride = self.data.max_length, self.data.stride
        if stride is None:
            first = [text for text, own in zip(texts, choices, strict=True) for _ in own]
            cut = self.windows(rows, first, [choice for own in choices for choice in own])
            return replace(cut, owners=np.repeat(np.arange(len(texts)), list(map(len, choices))))
        found = windows_of_choices(self.tokenizer, texts, choices, limit=limit, stride=stride)
        self.check_room(found, rows, beside="choice", text="text")
        return found

    def check_room(self, found: Windows, rows: Sequence[Row], *, beside: str, text: str) -> None:
        """See that all texts have windows.

        Args:
            found: The windows.
            rows: What the texts are of.
            beside: What stands beside a text.
            text: What the text is called.

        Raises:
            InputError: One has none.
        """
        for number, length in found.without_room.items():
            raise no_room(
                length, rows[number].place, limit=self.data.max_length,
                stride=self.data.stride or 0, option="data.stride", beside=beside, text=text,
            )  # fmt: skip


def read_split(data: DataSection, split: str, held: Array | None = None) -> Iterator[Row]:
    """The rows of a split, "train" or "dev"; none where the recipe has no such split.

    Args:
        data: Of the recipe.
        split: Which.
        held: Which of the training rows are dev rows; None for none of them.

    Raises:
        InputError: A file is missing or of an unknown format, or a row cannot be read.
        FrameworkError: The package that reads them is not installed.
    """
    if held is not None:
        wanted = held if split == "dev" else ~held
        rows = compress(read_split(data, "train"), wanted.tolist())
        return islice(rows, data.max_dev_rows if split == "dev" else None)
    limit = {"train": data.max_train_rows, "dev": data.max_dev_rows}[split]
    return islice(sound(_rows(data, split)), limit)


def _rows(data: DataSection, split: str) -> Iterator[Row]:
    if data.hub is not None:
        name = {"train": data.train_split, "dev": data.dev_split}[split]
        if name is not None:
            yield from data_set(data.hub, data.subset, name)
        return
    for name in {"train": data.train, "dev": data.dev}[split] or ():
        path = Path(data.folder) / name
        kind = data.format or format_of(name)
        if kind is None:
            raise InputError(
                "unknown kind of file", expected=", ".join(FORMATS), found=shown(name),
                where="data", fix="name the format with data.format",
            )  # fmt: skip
        # Rows are read more than once, which a pipe does not allow.
        if not path.is_file():
            raise InputError(
                "data file is missing", where=path, fix="set data.folder to the folder it is in"
            )
        yield from rows_of(
            RowFile(path, kind, header=data.header, quoting=data.quoting, unit=data.unit)
        )


def labels_of(rows: Iterable[Row], reader: Reader, column: str) -> dict[str, int]:
    """The classes that training rows have, and how often: sorted, numbers by their values.

    Args:
        rows: Of the training.
        reader: Knows the names of columns.
        column: What holds the classes: "label", or "tags" for a list of them.
    """
    found: Counter[str] = Counter()
    for row in rows:
        found.update(reader.labels_in(row) if reader.several else _classes_in(row, reader, column))
        if len(found) > MOST_LABELS:
            raise row.problem(
                f"{column} has a class for almost every row", expected=f"{MOST_LABELS:,} at most",
                fix="name the column of the classes with data.columns",
            )  # fmt: skip
    are_numbers = all(name.isascii() and name.isdigit() for name in found)
    return {name: found[name] for name in sorted(found, key=int if are_numbers else None)}


def _classes_in(row: Row, reader: Reader, column: str) -> list[str]:
    value = reader.value(row, column)
    if value == "":  # an empty cell of a table
        raise row.problem("row has an empty label", fix="fill it in, or leave the row out")
    if not isinstance(value, list):
        return [str(value)]
    if column == "label":
        raise _is_list(row, value)
    return list(map(str, value))


def _is_list(row: Row, label: Any) -> InputError:
    return row.problem(
        "label is a list", expected="one label", found=shown(label),
        fix="if a text may have several, set problem_type in model.config to "
        "multi_label_classification",
    )  # fmt: skip


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


def check_some(examples: Examples, split: str) -> Examples:
    """`examples`, if there are any.

    Raises:
        InputError: There are none.
    """
    if not len(examples.features):
        raise InputError("no examples", found=f"no {split} rows", where="data")
    return examples
