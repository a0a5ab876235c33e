"""Sequences of any length as the inputs of an engine's graph: padded only for attention.

Shapes: as in `distil.engines.graph`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.inference.packing import TOKENS_AT_ONCE, Pack, packs
from distil.engines.graph import HIDDEN, MASK

# What attention costs a sequence of s tokens is s / _EVEN of what everything else does; and a call
# costs, besides its tokens, as much as some more of them.  Both measured on two cores.
_EVEN = 2048
_TOKENS_OF_A_CALL = 64


@dataclass(frozen=True)
class Feed:
    """Some of the sequences as inputs of a graph.

    Attributes:
        pack: The sequences.
        inputs: Arrays by name, see `distil.engines.graph.INDEXES`.
        counts: How many tokens are scored of each, (n).
    """

    pack: Pack
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
    padding = _EVEN * _TOKENS_OF_A_CALL
    for pack in packs(sequences, positions=positions, budget=budget, most_padding=padding):
        shown, laid_out, taken_back = _grid(pack.lengths)
        inputs = {
            "ids": pack.ids.astype(np.int32),
            "positions": pack.positions.astype(np.int32),
            "laid_out": laid_out,
            "taken_back": taken_back,
            MASK: np.where(shown, np.float32(0), HIDDEN)[:, None, None],
        }
        counts = pack.lengths
        if wanted is None:
            inputs["scored"] = np.arange(len(pack.ids), dtype=np.int32)
            inputs["asked"], inputs["answered"] = laid_out, taken_back
        else:
            counts = np.array([len(wanted[row]) for row in pack.rows])
            places = [np.asarray(wanted[row], np.int64) for row in pack.rows]
            scored = np.concatenate(places) + np.repeat(pack.starts, counts)
            inputs["scored"] = scored.astype(np.int32)
            _, inputs["asked"], inputs["answered"] = _grid(counts)
        yield Feed(pack, inputs, counts)


def _grid(counts: Array) -> tuple[Array, Array, Array]:
    """Concatenated items, laid out with one row per owner.

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
