"""What an export is run on, and how its outputs are compared with the plain model's.

Shapes: b rows, s length; of multiple choice (b, choices, s).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.errors import DistilError
from distil.exporting.source import Source

GRID = ((1, 1), (1, 2), (2, 9), (7, 33), (3, 128), (1, 512))
TEXTS = "texts"

_CHOICES = 2
_ROWS_AT_ONCE = 8
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a type admits.

    Attributes:
        largest: The largest difference, relative to the largest magnitude of all outputs.
        typical: The root mean square of differences, relative to that of all outputs.
        pieces: The same, on the grid's pieces of text.
        labels: The least share of equal labels on texts.
    """

    largest: float
    typical: float
    pieces: float
    labels: float


# float32 allows for rounding, see `distil.parity.judging`; float16 for weights rounded to 2^-11 of
# their size.  int8 may be far off in single numbers where the model is undecided, but not in labels
# or on average.  A short piece of text as a whole can be such a case: of 4,000 embeddings of 1 to
# 32 tokens, 1 in 130 was off by more than 0.25, with either engine; no batch of the grid reached
# 0.4.  An export that gives zeros is off by 1.
LIMITS: Mapping[str, Limits] = {
    "float32": Limits(largest=2e-5, typical=1e-5, pieces=1e-5, labels=0.999),
    "float16": Limits(largest=2e-2, typical=5e-3, pieces=5e-3, labels=0.99),
    "int8": Limits(largest=float("inf"), typical=0.25, pieces=0.6, labels=0.95),
}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Inputs.

    Attributes:
        name: What tables call it.
        ids: Token ids (b, s) int64, 0 at padding.
        mask: 1 where there is a token, likewise.
    """

    name: str
    ids: Array
    mask: Array


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was compared.

    Attributes:
        name: The size of the batch, or "texts".
        rows: How many were compared.
        difference: The largest of any output where there is a token.
        largest: That, relative to the largest magnitude of all outputs.
        typical: The root mean square of differences, relative to that of all outputs.
        labels: The share of equal labels; None where there are none.
        seconds: That the runtime took.
    """

    name: str
    rows: int
    difference: float
    largest: float
    typical: float
    labels: float | None
    seconds: float

    def excesses(self, limits: Limits) -> Sequence[str]:
        """Which of "largest", "typical" and "labels" are beyond their limits, or not a number."""
        of_texts = self.name == TEXTS
        within = {
            "largest": self.largest <= limits.largest,
            "typical": self.typical <= (limits.typical if of_texts else limits.pieces),
            "labels": not of_texts or self.labels is None or self.labels >= limits.labels,
        }
        return [name for name, holds in within.items() if not holds]

    def holds(self, limits: Limits) -> bool:
        """Whether all of it is within limits."""
        return not self.excesses(limits)


def batches(source: Source, texts: Sequence[Any]) -> Iterator[Batch]:
    """What is run: the grid, then the texts as they come."""
    random = np.random.default_rng(_SEED)
    choices = _CHOICES if source.task.has_choices else 1
    limit = source.config.max_position_embeddings
    if len(texts):
        stream = np.concatenate(texts)
        stream = np.tile(stream, -(-limit // len(stream)))
    else:  # no tokenizer
        stream = random.integers(0, source.config.vocab_size, 4 * limit)
    for rows, length in GRID:
        size = min(length, limit)
        count = rows * choices
        starts = random.integers(0, len(stream) - size + 1, count)
        lengths = [max(1, size - row * size // count) for row in range(count)]
        pieces = [stream[start : start + n] for start, n in zip(starts, lengths, strict=True)]
        yield _batch(f"{rows}x{length}", pieces, choices)
    for start in range(0, len(texts), _ROWS_AT_ONCE):
        rows_here = list(texts[start : start + _ROWS_AT_ONCE])
        if len(rows_here) % choices:
            rows_here.append(rows_here[-1])
        yield _batch(TEXTS, rows_here, choices)


def _batch(name: str, sequences: Sequence[Any], choices: int) -> Batch:
    ids: Array = np.zeros((len(sequences), max(map(len, sequences))), np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    if choices > 1:
        ids, mask = (array.reshape(-1, choices, array.shape[1]) for array in (ids, mask))
    return Batch(name=name, ids=ids, mask=mask)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Sums over one batch, of which a `Finding` is made."""

    rows: int
    count: int
    difference: float
    magnitude: float
    squares: float
    own_squares: float
    equal: int
    labels: int


def compare(
    source: Source, batch: Batch, found: Mapping[str, Array], expected: Mapping[str, Array]
) -> Comparison:
    """Outputs against those of the plain model, where there is a token.

    Raises:
        DistilError: They have other names, types or shapes.
    """
    said = {name: (str(array.dtype), array.shape) for name, array in found.items()}
    wanted = {name: ("float32", array.shape) for name, array in expected.items()}
    if said != wanted:
        raise DistilError(
            "the export does not give what it should", expected=wanted, found=said,
            where=batch.name,
        )  # fmt: skip
    difference = magnitude = squares = own_squares = 0.0
    count = equal = labels = 0
    shown = batch.mask != 0
    by_token = not source.task.reads_first and source.encoding is None
    for name, own in expected.items():
        other = found[name].astype(np.float64)
        of_tokens = shown if by_token else ...
        ours, theirs = own[of_tokens], other[of_tokens]
        apart = ours - theirs
        count += ours.size
        difference = max(difference, _largest(apart))
        magnitude = max(magnitude, _largest(ours))
        squares += float(np.square(apart).sum())
        own_squares += float(np.square(ours).sum())
        ours, theirs = (labels_of(source, values, shown) for values in (own, other))
        labels += ours.size
        equal += int((ours == theirs).sum())
    return Comparison(
        rows=int(np.prod(shown.shape[:-1])), count=count, difference=difference,
        magnitude=magnitude, squares=squares, own_squares=own_squares, equal=equal, labels=labels,
    )  # fmt: skip


def _largest(values: Array) -> float:
    """The largest magnitude; infinite if one is not a number."""
    return float(np.abs(values).max()) if np.isfinite(values).all() else float("inf")


def labels_of(source: Source, scores: Array, shown: Array) -> Array:
    """What a model decides by its scores, in a row; nothing where it decides nothing."""
    task = source.task
    if source.encoding is not None or task.name == "base":
        return np.zeros(0, np.int64)
    if len(task.scores) > 1:  # a start, or an end
        return np.asarray(np.where(shown, scores, -np.inf).argmax(axis=-1))
    if task.has_problem_type and source.config.problem_type == "multi_label_classification":
        return (scores > 0).ravel()
    if scores.shape[-1] == 1:  # a number
        return np.zeros(0, np.int64)
    return np.ravel((scores if task.reads_first else scores[shown]).argmax(axis=-1))


def findings_of(
    found: Mapping[str, Sequence[tuple[Comparison, float]]],
) -> tuple[Finding, ...]:
    """What was found for each size and for the texts, of comparisons and seconds by batch."""
    every = [one for compared in found.values() for one, _ in compared]
    magnitude = max(one.magnitude for one in every) or 1.0
    scale = np.sqrt(sum(one.own_squares for one in every) / sum(one.count for one in every)) or 1.0

    def finding(name: str, compared: Sequence[tuple[Comparison, float]]) -> Finding:
        parts = [one for one, _ in compared]
        difference = max(one.difference for one in parts)
        mean = sum(one.squares for one in parts) / sum(one.count for one in parts)
        labels = sum(one.labels for one in parts)
        return Finding(
            name=name,
            rows=sum(one.rows for one in parts),
            difference=difference,
            largest=difference / magnitude,
            typical=float(np.sqrt(mean) / scale),
            labels=sum(one.equal for one in parts) / labels if labels else None,
            seconds=sum(seconds for _, seconds in compared),
        )

    return tuple(finding(name, compared) for name, compared in found.items())
