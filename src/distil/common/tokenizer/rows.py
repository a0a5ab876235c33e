"""From the pieces of texts to the rows of a batch: windows, special tokens, padding."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from distil.common.tokenizer.encoding import Columns, Encoding
from distil.common.tokenizer.inputs import Texts
from distil.common.tokenizer.padding import Padding
from distil.common.tokenizer.pipeline import Details, Pipeline
from distil.common.tokenizer.truncation import Span, Truncation, Window

T = TypeVar("T")


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

    def around(self, parts: Sequence[list[T]], cls: T, sep: T) -> list[T]:
        """Return what is known of a row's texts as one list, with that of special tokens."""
        if not self.special:
            return [value for part in parts for value in part]
        row = [cls]
        for part in parts:
            row += part
            row.append(sep)
        return row


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What rows are to look like; without `truncation` they stay as long as they are."""

    frame: Frame
    truncation: Truncation | None
    padding: Padding
    columns: frozenset[str]


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
        known = [self._pipeline.details(texts, split=self._split) for texts in self._sequences]
        for sequence, rows in enumerate(known):
            self._details |= {(sequence, sample): row for sample, row in enumerate(rows)}
        return [[row.ids for row in rows] for rows in known]

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
        plan: Special tokens, truncation, padding, columns.

    Attributes:
        ids: The rows, padded.
        lengths: Their lengths before padding.
    """

    def __init__(
        self, first: Sequence[list[int]], second: Sequence[list[int]] | None, plan: Plan
    ) -> None:
        self._frame = frame = plan.frame
        self._padding = padding = plan.padding
        self._wanted = plan.columns
        truncation = plan.truncation
        self._samples: list[int] = []
        self._windows: list[Window] = []
        rows: list[list[int]] = []
        for sample, ids in enumerate(first):
            other = None if second is None else second[sample]
            count = None if other is None else len(other)
            if truncation is None:
                windows = [Window((0, len(ids)), None if count is None else (0, count))]
            else:
                windows = truncation.windows(sample, len(ids), count)
            for window in windows:
                parts = [ids[slice(*window.first)]]
                if other is not None and window.second is not None:
                    parts.append(other[slice(*window.second)])
                rows.append(frame.around(parts, frame.cls[1], frame.sep[1]))
            self._windows += windows
            self._samples += [sample] * len(windows)
        self.lengths = list(map(len, rows))
        self._length = padding.length(max(self.lengths, default=0))
        self.ids = [padding.pad(row, self._length, frame.pad[1]) for row in rows]

    def data(self, source: Source | None) -> dict[str, list[Any]]:
        """Return the columns of the batch: lists (b s), offsets (b s 2), length and sample (b).

        Args:
            source: The texts, for offsets.
        """
        rows = range(len(self.ids))
        made: dict[str, Callable[[], list[Any]]] = {
            "token_type_ids": lambda: list(map(self._type_ids, rows)),
            "attention_mask": lambda: list(map(self._attention_mask, rows)),
            "special_tokens_mask": lambda: list(map(self._special_tokens_mask, rows)),
            "offset_mapping": lambda: [self._offsets(source, row) for row in rows],
            "length": lambda: list(map(len, self.ids)),
            "overflow_to_sample_mapping": lambda: self._samples,
        }
        wanted = {name: make() for name, make in made.items() if name in self._wanted}
        return {"input_ids": self.ids, **wanted}

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
        tokens: list[list[str]] = []
        word_ids: list[list[int | None]] = []
        sequence_ids: list[list[int | None]] = []
        for sequence, (start, stop) in enumerate(self._spans(row)):
            details = source.details(sequence, self._samples[row])
            tokens.append(details.tokens[start:stop])
            word_ids.append(details.word_ids[start:stop])
            sequence_ids.append([sequence] * (stop - start))
        frame = self._frame
        return Columns(
            tokens=self._pad(frame.around(tokens, frame.cls[0], frame.sep[0]), frame.pad[0]),
            offsets=self._offsets(source, row),
            word_ids=self._pad(frame.around(word_ids, None, None), None),
            sequence_ids=self._pad(frame.around(sequence_ids, None, None), None),
            type_ids=self._type_ids(row),
            special_tokens_mask=self._special_tokens_mask(row),
            attention_mask=self._attention_mask(row),
        )

    def _offsets(self, source: Source | None, row: int) -> list[tuple[int, int]]:
        assert source is not None, "offsets are of texts"
        offsets = []
        for sequence, (start, stop) in enumerate(self._spans(row)):
            details = source.details(sequence, self._samples[row])
            offsets.append(details.offsets[start:stop])
        return self._pad(self._frame.around(offsets, (0, 0), (0, 0)), (0, 0))

    def _type_ids(self, row: int) -> list[int]:
        second = self._windows[row].second
        count = 0 if second is None else second[1] - second[0] + self._frame.special
        return self._pad([0] * (self.lengths[row] - count) + [1] * count, 0)

    def _special_tokens_mask(self, row: int) -> list[int]:
        parts = [[0] * (stop - start) for start, stop in self._spans(row)]
        return self._pad(self._frame.around(parts, 1, 1), 1)

    def _attention_mask(self, row: int) -> list[int]:
        return self._pad([1] * self.lengths[row], 0)

    def _spans(self, row: int) -> list[Span]:
        return [span for span in self._windows[row] if span is not None]

    def _pad(self, values: list[T], value: T) -> list[T]:
        return self._padding.pad(values, self._length, value)


def without_batch_axis(data: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the first row of each column; a list of numbers has no batch axis to lose."""
    return {name: value[0] if isinstance(value[0], list) else value for name, value in data.items()}
