"""The sections of a recipe on data: where the data are, and how they become batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from distil.common.rules import (
    AMOUNT,
    COUNT,
    FLAG,
    NATURAL,
    PROBABILITY,
    SHARE,
    TEXT,
    one_of,
    or_none,
)
from distil.common.steps.recipe_rules import COLUMNS, FILES, NAMES, Section, refused, setting
from distil.errors import ConfigError, shown

FORMATS = ("tsv", "csv", "jsonl", "parquet", "text", "conll", "squad")
UNITS = ("line", "paragraph")
# What tasks read, each from the column of its name, or from the one that `data.columns` names.
FIELDS = (
    "text", "text_pair", "choices", "words", "tags", "label", "id", "question", "context",
    "answers", "is_impossible", "sentence1", "sentence2", "score",
)  # fmt: skip
# Tokens around a text, which are [CLS] and [SEP].
_SPECIALS = 2


@dataclass(frozen=True, kw_only=True)
class DataSection(Section):
    """The data: local files, or a data set on the hub.

    Attributes:
        folder: Folder of the files.
        train: Training files.
        dev: Files to evaluate on.
        dev_share: Fraction of the training rows to hold out and evaluate on, where there are no
            other rows for it: drawn by `seed`, with every class's share.
        format: Format of the files; None goes by their names (.tsv, .csv, .jsonl, .parquet,
            .txt, .conll, .json for SQuAD), with or without .gz.
        hub: Name of a data set on the hub, instead of files; needs the package `datasets`.
        subset: Which of its configurations to use.
        train_split: Its split to train on.
        dev_split: Its split to evaluate on, or null.
        columns: Names of columns in the files, where they differ from the usual ones: text,
            text_pair, choices, words, tags, label, id, question, context, answers,
            is_impossible; sentence1, sentence2 and score of the dev rows of
            sentence-embeddings.  Where a text may have several labels, `label` may be a list: a
            column of 0 and 1 for each of them.
        header: Names of the columns of a tsv or csv file without a header row.
        quoting: Whether quotation marks enclose values in tsv and csv files.
        labels: Names of the classes, in order; None takes those in the training rows, sorted.
        unit: What counts as one text in a text file: a line, or a paragraph (up to a blank line).
        max_length: Longest sequence, in tokens.
        stride: Read a longer text in windows that share so many tokens; of a pair the second
            text, of multiple choice the first, of a question its context.  None cuts texts, and
            reads contexts of questions in windows that share 128, or half of their room.
        max_train_rows: Use only the first so many rows.
        max_dev_rows: Likewise.
        cache: Folder that keeps the tokenized data, which is memory-mapped from there; needed for
            data larger than memory.
    """

    folder: str = setting(TEXT, ".")
    train: tuple[str, ...] | None = setting(or_none(FILES), None)
    dev: tuple[str, ...] | None = setting(or_none(FILES), None)
    dev_share: float | None = setting(or_none(PROBABILITY), None)
    format: str | None = setting(one_of(FORMATS, or_none=True), None)
    hub: str | None = setting(or_none(TEXT), None)
    subset: str | None = setting(or_none(TEXT), None)
    train_split: str = setting(TEXT, "train")
    dev_split: str | None = setting(or_none(TEXT), "validation")
    columns: dict[str, Any] = field(default_factory=dict, metadata={"rule": COLUMNS})
    header: tuple[str, ...] | None = setting(or_none(NAMES), None)
    quoting: bool = setting(FLAG, True)
    labels: tuple[str, ...] | None = setting(or_none(NAMES), None)
    unit: str = setting(one_of(UNITS), "line")
    max_length: int = setting(COUNT, 128)
    stride: int | None = setting(or_none(NATURAL), None)
    max_train_rows: int | None = setting(or_none(COUNT), None)
    max_dev_rows: int | None = setting(or_none(COUNT), None)
    cache: str | None = setting(or_none(TEXT), None)

    def check_together(self) -> None:  # noqa: D102
        if (self.train is None) == (self.hub is None):
            raise refused("train", "either files to train on, or `hub`", self.train)
        if self.dev_share is not None and (self.dev or (self.hub and self.dev_split)):
            raise refused("dev_share", "null, as there are dev rows", self.dev_share)
        if self.stride is not None and self.stride >= self.max_length - _SPECIALS:
            raise refused("stride", "null, or less than max_length has room for", self.stride)
        for name in self.columns:
            if name not in FIELDS:
                near = get_close_matches(name, FIELDS, n=1)
                raise ConfigError(
                    "columns has an unknown field", expected=", ".join(FIELDS), found=shown(name),
                    where="columns", fix=f"did you mean {near[0]}?" if near else None,
                )  # fmt: skip

    @property
    def has_dev(self) -> bool:
        """Whether there are rows to evaluate on."""
        return bool(self.dev or self.dev_share or (self.hub and self.dev_split))

    @property
    def columns_read(self) -> frozenset[str]:
        """The columns that a task may read."""
        found: set[str] = set()
        for field_name in FIELDS:
            column = self.columns.get(field_name, field_name)
            found |= {column} if isinstance(column, str) else {*column}
        return frozenset(found)


@dataclass(frozen=True, kw_only=True)
class BatchSection(Section):
    """Batch size, as either `examples` or `tokens`.

    Attributes:
        examples: Rows in a batch.
        tokens: Tokens in a batch, padding included; as many rows as fit.
        accumulation: Batches whose gradients are accumulated for one step.
        window: Batches cut from one run of rows sorted by length; 1 does not sort.
    """

    examples: int | None = setting(or_none(COUNT), None)
    tokens: int | None = setting(or_none(COUNT), None)
    accumulation: int = setting(COUNT, 1)
    window: int = setting(COUNT, 100)

    def check_together(self) -> None:  # noqa: D102
        if (self.examples is None) == (self.tokens is None):
            raise refused("examples", "either examples or tokens", (self.examples, self.tokens))


@dataclass(frozen=True, kw_only=True)
class MaskingSection(Section):
    """Masking for masked-LM, drawn again for each batch.

    Attributes:
        share: Fraction of the tokens to predict.
        word_mask: Fraction of these that is replaced by [MASK].
        word_keep: Fraction that is kept as it is.
        word_random: Fraction that is replaced by a random token.
        smoothing: A token that occurs n times in the data is drawn with weight n^-smoothing.
    """

    share: float = setting(SHARE, 0.15)
    word_mask: float = setting(SHARE, 0.8)
    word_keep: float = setting(SHARE, 0.1)
    word_random: float = setting(SHARE, 0.1)
    smoothing: float = setting(AMOUNT, 0.7)

    def check_together(self) -> None:  # noqa: D102
        total = self.word_mask + self.word_keep + self.word_random
        if abs(total - 1) > 1e-6:
            raise refused("word_mask", "word_mask + word_keep + word_random = 1", total)
