"""Packing: whole sequences end to end, without padding, as many as a budget of tokens allows.

Linear layers, norms and activations treat every token alike, so they take a pack as one long
row.  Attention does not: it is computed within each sequence, and sequences of equal length
are adjacent in a pack so that one product serves them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

# Past this, products get no faster, and what a layer computes leaves the cache.
TOKENS_AT_ONCE = 2048


@dataclass(frozen=True)
class Group:
    """Sequences of equal length that are adjacent in a pack.

    Attributes:
        first: Number of the first of them in the pack.
        count: How many there are.
        start: Their first token in the pack.
        length: Tokens in each.
    """

    first: int
    count: int
    start: int
    length: int

    @property
    def tokens(self) -> slice:
        """Where their tokens are in the pack."""
        return slice(self.start, self.start + self.count * self.length)


@dataclass(frozen=True)
class Pack:
    """Some of the sequences, longest first.

    Attributes:
        rows: Which of the given sequences these are, (n).
        ids: Their tokens, one sequence after another, (t).
        positions: Position of each token in its sequence, (t).
        groups: The sequences by length.
    """

    rows: Integers
    ids: Integers
    positions: Integers
    groups: tuple[Group, ...]

    @property
    def lengths(self) -> Integers:
        """Tokens in each sequence, (n)."""
        return np.repeat(
            [group.length for group in self.groups], [group.count for group in self.groups]
        )

    @property
    def starts(self) -> Integers:
        """The first token of each sequence, (n)."""
        return np.cumsum(self.lengths) - self.lengths


def portions(
    lengths: Integers, budget: int = TOKENS_AT_ONCE, *, most_padding: float | None = None
) -> Iterator[Integers]:
    """Numbers of the sequences to compute at once, longest first.

    As many portions as needed, all of about the same size: a small one would waste its turn.

    Args:
        lengths: Tokens in each sequence, (n).
        budget: Tokens in a portion; a longer sequence gets a portion of its own.
        most_padding: Of attention, if it is computed padded to the longest of a portion: how many
            pairs of tokens may be padding.  None pads nothing.
    """
    order = np.argsort(-lengths, kind="stable")
    total = int(lengths.sum())
    share = total / max(1, -(-total // budget))
    begin = tokens = padding = 0
    for end, length in enumerate(lengths[order].tolist()):
        longest = int(lengths[order[begin]])
        more = longest**2 - length**2
        full = tokens and (tokens + length / 2 > share or tokens + length > budget)
        if full or (most_padding is not None and padding + more > most_padding):
            yield order[begin:end]
            begin, tokens, padding, more = end, 0, 0, 0
        tokens, padding = tokens + length, padding + more
    if len(order):
        yield order[begin:]


def packs(
    sequences: Sequence[Any],
    *,
    positions: Sequence[Any] | None = None,
    budget: int = TOKENS_AT_ONCE,
    most_padding: float | None = None,
) -> Iterator[Pack]:
    """All of the sequences, in packs of about equal size.

    Args:
        sequences: Token ids of each; none is empty.
        positions: Of the tokens of each; None counts from 0.
        budget: See `portions`.
        most_padding: See `portions`.
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    for rows in portions(lengths, budget, most_padding=most_padding):
        yield _pack(sequences, positions, rows)


def _pack(sequences: Sequence[Any], positions: Sequence[Any] | None, rows: Integers) -> Pack:
    lengths = [len(sequences[row]) for row in rows]
    groups = []
    first, start = 0, 0
    for length, same in groupby(lengths):
        count = len(list(same))
        groups.append(Group(first, count, start, length))
        first, start = first + count, start + count * length
    return Pack(
        rows=rows,
        ids=np.concatenate([np.asarray(sequences[row], np.int64) for row in rows]),
        positions=np.concatenate(
            [np.arange(length) for length in lengths]
            if positions is None
            else [np.asarray(positions[row], np.int64) for row in rows]
        ),
        groups=tuple(groups),
    )
