"""Scoring sequences, each one once, and a bounded number of tokens at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.inference.model import InferenceModel

# What Python adds to a key and its value, about.
_OVERHEAD = 250


class Memory:
    """What was computed for the sequences seen last, up to a number of bytes.

    Args:
        most_bytes: To be kept, about.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        # Two generations: when the young one has half of the bytes, the old one is forgotten.
        self._young: dict[bytes, Array] = {}
        self._old: dict[bytes, Array] = {}

    def get(self, key: bytes) -> Array | None:
        """What was kept for a key; None if nothing is."""
        found = self._young.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: bytes, value: Array) -> None:
        """Keep a value."""
        size = len(key) + value.nbytes + _OVERHEAD
        if self._bytes + size > self._most_bytes // 2:
            self._young, self._old, self._bytes = {}, self._young, 0
        self._young[key] = value
        self._bytes += size


class Scorer:
    """Scores sequences for one stream of texts.

    Args:
        model: Computes.
        digest: Makes of the scores of a sequence what is kept of them.
        tokens_at_once: Tokens to be scored before scores are digested; None for any number.
        memory: Bytes of results to keep for sequences that come again later.
    """

    def __init__(
        self,
        model: InferenceModel,
        digest: Callable[[Array], Any] | None,
        *,
        tokens_at_once: int | None,
        memory: int,
    ) -> None:
        self._model = model
        self._digest = digest
        self._tokens_at_once = tokens_at_once
        self._memory = Memory(memory) if memory else None

    def __call__(self, sequences: Sequence[Array], wanted: Sequence[Array] | None) -> list[Any]:
        """What the model says of sequences, digested.

        Args:
            sequences: Token ids of each, of one integer type.
            wanted: As in `InferenceModel.score`; equal sequences want equal tokens.
        """
        found: list[Any] = [None] * len(sequences)
        places: dict[bytes, list[int]] = {}
        for place, sequence in enumerate(sequences):
            key = sequence.tobytes()
            known = self._memory.get(key) if self._memory else None
            if known is not None:
                found[place] = known
            elif key in places:
                places[key].append(place)
            else:
                places[key] = [place]
        keys = list(places)
        firsts = [same[0] for same in places.values()]
        for part in self._parts([len((wanted or sequences)[place]) for place in firsts]):
            scores = self._model.score(
                [sequences[place] for place in firsts[part]],
                wanted=None if wanted is None else [wanted[place] for place in firsts[part]],
            )
            for key, score in zip(keys[part], scores, strict=True):
                # A copy: a view would keep alive what was computed along with it.
                value = np.array(score) if self._digest is None else self._digest(score)
                for place in places[key]:
                    found[place] = value
                if self._memory:
                    self._memory.put(key, value)
        return found

    def _parts(self, tokens: Sequence[int]) -> Iterator[slice]:
        """Stretches of sequences that have about as many tokens as are scored at once."""
        if self._tokens_at_once is None:
            if tokens:
                yield slice(0, len(tokens))
            return
        begin, size = 0, 0
        for end, count in enumerate(tokens):
            if size and size + count > self._tokens_at_once:
                yield slice(begin, end)
                begin, size = end, 0
            size += count
        if size:
            yield slice(begin, len(tokens))
