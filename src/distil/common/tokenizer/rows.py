"""From the pieces of texts to the rows of a batch: windows, special tokens, padding."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distil.common.tokenizer.encoding import Columns, Encoding
from distil.common.tokenizer.inputs import Texts
from distil.common.tokenizer.padding import Padding
from distil.common.tokenizer.pipeline import Details, Pipeline
from distil.common.tokenizer.truncation import Truncation, Window


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The special tokens around texts, as text and as id.

    Attributes:
        special: Whether they are put there at all; padding is not affected.
        cls: First piece of a row.
        sep: Piece after each text.
        pad: Padding.
    """

    special: bool
    cls: tuple[str, int]
    sep: tuple[str, int]
    pad: tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What rows are to look like; without `truncation` they stay as long as they are."""

    frame: Frame
    truncation: Truncation | None
    padding: Padding


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which columns a batch has besides input_ids."""

    token_type_ids: bool = False
    attention_mask: bool = False
    special_tokens_mask: bool = False
    offset_mapping: bool = False
    length: bool = False
    overflow_to_sample_mapping: bool = False


class Source:
    """Texts, and the pipeline that cut them.

    Args:
        pipeline: Cuts texts into pieces.
        texts: The texts.
        detailed: Work out offsets at once rather than row by row when they are asked for.
    """

    def __init__(self, pipeline: Pipeline, texts: Texts, *, detailed: bool) -> None:
        self._pipeline = pipeline
        self._sequences = [texts.first] if texts.second is None else [texts.first, texts.second]
        self._split = texts.split
        self._detailed = detailed
        self._details: dict[tuple[int, int], Details] = {}

    def ids(self) -> list[list[list[int]]]:
        """Return the ids of the pieces: of the first texts and, for pairs, of the second."""
        if not self._detailed:
            return [self._pipeline.ids(texts, split=self._split) for texts in self._sequences]
        for sequence, texts in enumerate(self._sequences):
            for sample, details in enumerate(self._pipeline.details(texts, split=self._split)):
                self._details[sequence, sample] = details
        return [
            [self._details[sequence, sample].ids for sample in range(len(texts))]
            for sequence, texts in enumerate(self._sequences)
        ]

    def details(self, sequence: int, sample: int) -> Details:
        """Return all that is known of the pieces of one text."""
        if (sequence, sample) not in self._details:
            text: Any = self._sequences[sequence][sample]
            (details,) = self._pipeline.details([text], split=self._split)
            self._details[sequence, sample] = details
        return self._details[sequence, sample]


class Rows:
    """The rows that texts make.

    Args:
        first: Ids of the pieces of each first text.
        second: The same for second texts; None without.
        plan: Special tokens, truncation, padding.

    Attributes:
        ids: The rows, padded.
        lengths: Their lengths before padding.

    Raises:
        InputError: A row cannot be made to fit.
    """

    def __init__(
        self,
        first: Sequence[list[int]],
        second: Sequence[list[int]] | None,
        plan: Plan,
    ) -> None:
        self._frame = frame = plan.frame
        self._padding = padding = plan.padding
        truncation = plan.truncation
        self._samples: list[int] = []
        self._windows: list[Window] = []
        rows: list[list[int]] = []
        cls_id, sep_id = frame.cls[1], frame.sep[1]
        for sample, ids in enumerate(first):
            other = None if second is None else second[sample]
            count = None if other is None else len(other)
            if truncation is None:
                windows = [Window((0, len(ids)), None if count is None else (0, count))]
            else:
                windows = truncation.windows(sample, len(ids), count)
            for window in windows:
                row = ids[slice(*window.first)]
                if frame.special:
                    row = [cls_id, *row, sep_id]
                if other is not None and window.second is not None:
                    row += other[slice(*window.second)]
                    if frame.special:
                        row.append(sep_id)
                rows.append(row)
            self._windows += windows
            self._samples += [sample] * len(windows)
        self.lengths = list(map(len, rows))
        self._length = padding.length(max(self.lengths, default=0))
        self.ids = [padding.pad(row, self._length, frame.pad[1]) for row in rows]

    def data(self, wanted: Wanted, source: Source | None) -> dict[str, list[Any]]:
        """Return the columns of the batch.

        Args:
            wanted: Which of them.
            source: The texts; needed for offsets.

        Returns:
            Lists (b s) by name; offsets (b s 2); `length` and the sample mapping (b).
        """
        pad = functools.partial(self._padding.pad, length=self._length)
        data: dict[str, list[Any]] = {"input_ids": self.ids}
        if wanted.token_type_ids:
            data["token_type_ids"] = [
                pad(self._type_ids(window), value=0) for window in self._windows
            ]
        if wanted.attention_mask:
            data["attention_mask"] = [pad([1] * length, value=0) for length in self.lengths]
        if wanted.special_tokens_mask:
            data["special_tokens_mask"] = [
                pad(self._special_tokens_mask(window), value=1) for window in self._windows
            ]
        if wanted.offset_mapping and source is not None:
            rows = range(len(self.ids))
            data["offset_mapping"] = [self._columns(source, row).offsets for row in rows]
        if wanted.length:
            data["length"] = list(map(len, self.ids))
        if wanted.overflow_to_sample_mapping:
            data["overflow_to_sample_mapping"] = self._samples
        return data

    def encodings(self, source: Source) -> list[Encoding]:
        """Return what is known of each row, to be worked out when it is asked for."""
        return [
            Encoding(
                ids,
                functools.partial(self._columns, source, row),
                n_sequences=1 if self._windows[row].second is None else 2,
            )
            for row, ids in enumerate(self.ids)
        ]

    def _columns(self, source: Source, row: int) -> Columns:
        window = self._windows[row]
        tokens: list[str] = []
        offsets: list[tuple[int, int]] = []
        word_ids: list[int | None] = []
        sequence_ids: list[int | None] = []

        def add_special(token: str) -> None:
            if self._frame.special:
                tokens.append(token)
                offsets.append((0, 0))
                word_ids.append(None)
                sequence_ids.append(None)

        add_special(self._frame.cls[0])
        for sequence, span in enumerate(window):
            if span is None:
                continue
            details = source.details(sequence, self._samples[row])
            tokens += details.tokens[slice(*span)]
            offsets += details.offsets[slice(*span)]
            word_ids += details.word_ids[slice(*span)]
            sequence_ids += [sequence] * (span[1] - span[0])
            add_special(self._frame.sep[0])

        pad = functools.partial(self._padding.pad, length=self._length)
        return Columns(
            tokens=pad(tokens, value=self._frame.pad[0]),
            offsets=pad(offsets, value=(0, 0)),
            word_ids=pad(word_ids, value=None),
            sequence_ids=pad(sequence_ids, value=None),
            type_ids=pad(self._type_ids(window), value=0),
            special_tokens_mask=pad(self._special_tokens_mask(window), value=1),
            attention_mask=pad([1] * self.lengths[row], value=0),
        )

    def _type_ids(self, window: Window) -> list[int]:
        first, second = _sizes(window)
        special = self._frame.special
        return [0] * (first + 2 * special) + [1] * (second + (window.second is not None) * special)

    def _special_tokens_mask(self, window: Window) -> list[int]:
        first, second = _sizes(window)
        mark = [1] * self._frame.special
        return mark + [0] * first + mark + [0] * second + mark * (window.second is not None)


def _sizes(window: Window) -> tuple[int, int]:
    """Return how many pieces of the two texts a window holds."""
    first, second = window
    return first[1] - first[0], second[1] - second[0] if second else 0
