"""Sequences of any lengths as the inputs of an engine's graph: no padding but in attention.

Shapes: as in `distil.engines.graph`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.inference.packing import TOKENS_AT_ONCE
from distil.engines.graph import MASK

# What attention costs a sequence of s tokens is s / _EVEN of what everything else does; and a call
# costs, besides its tokens, as much as some more of them.  Both measured on two cores.
_EVEN = 2048
_TOKENS_OF_A_CALL = 64

# Far below every score, and a number that bfloat16 has.
_HIDDEN = np.float32(-1e30)


@dataclass(frozen=True)
class Feed:
    """Some of the sequences as inputs of a graph.

    Attributes:
        rows: Which of the given sequences these are, (n).
        inputs: Arrays by name, see `distil.engines.graph.INDEXES`.
        counts: How many tokens are scored of each, (n).
    """

    rows: Array
    inputs: dict[str, Array]
    counts: Array


def feeds(
    sequences: Sequence[Any],
    *,
    positions: Sequence[Any] | None = None,
    wanted: Sequence[Any] | None = None,
    budget: int = TOKENS_AT_ONCE,
) -> Iterator[Feed]:
    """All of the sequences, some at a time, longest first.

    Args:
        sequences: Token ids of each; none is empty.
        positions: Of the tokens of each; None counts from 0.
        wanted: Which tokens of each are to be scored; None scores all.
        budget: Tokens at once.
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    for rows in _portions(lengths, budget):
        inputs = {
            "ids": _joined([sequences[row] for row in rows]),
            "positions": _joined(
                [np.arange(lengths[row]) for row in rows]
                if positions is None
                else [positions[row] for row in rows]
            ),
        }
        own = lengths[rows]
        shown, inputs["laid_out"], inputs["taken_back"] = _grid(own)
        inputs[MASK] = np.where(shown, np.float32(0), _HIDDEN)[:, None, None]
        counts = own
        if wanted is None:
            inputs["scored"] = np.arange(own.sum(), dtype=np.int32)
            inputs["asked"], inputs["answered"] = inputs["laid_out"], inputs["taken_back"]
        else:
            counts = np.array([len(wanted[row]) for row in rows])
            starts = np.repeat(np.cumsum(own) - own, counts)
            inputs["scored"] = (_joined([wanted[row] for row in rows]) + starts).astype(np.int32)
            _, inputs["asked"], inputs["answered"] = _grid(counts)
        yield Feed(rows, inputs, counts)


def _portions(lengths: Array, budget: int) -> Iterator[Array]:
    """Numbers of the sequences to take at once.

    A portion ends where it is full, or where padding would cost attention more than another call.
    """
    order = np.argsort(-lengths, kind="stable")
    # As many portions as needed, all of about the same size: a small one would waste its turn.
    share = lengths.sum() / max(1, -(-lengths.sum() // budget))
    begin = tokens = padding = 0
    for end, row in enumerate(order):
        length, longest = lengths[row], lengths[order[begin]]
        more = longest**2 - length**2
        full = tokens and (tokens + length / 2 > share or tokens + length > budget)
        if full or padding + more > _EVEN * _TOKENS_OF_A_CALL:
            yield order[begin:end]
            begin, tokens, padding, more = end, 0, 0, 0
        tokens, padding = tokens + length, padding + more
    if len(order):
        yield order[begin:]


def _joined(parts: Sequence[Any]) -> Array:
    return np.concatenate([np.asarray(part, np.int32) for part in parts])


def _grid(counts: Array) -> tuple[Array, Array, Array]:
    """Items that stand in a row, laid out with one owner a line.

    Args:
        counts: How many items each owner has, (n); not all are 0.

    Returns:
        Which places hold an item (n, most); the item at each place, where there is none any of
        them (n, most); and the place of each item.
    """
    column = np.arange(counts.max())
    shown = column < counts[:, None]
    starts = (np.cumsum(counts) - counts)[:, None]
    last = np.maximum(starts + counts[:, None] - 1, 0)
    return (
        shown,
        np.minimum(starts + column, last).astype(np.int32),
        np.flatnonzero(shown).astype(np.int32),
    )
