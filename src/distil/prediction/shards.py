"""Shards: several processes that share a job without knowing of each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from distil.errors import InputError


def read_shard(text: str | None) -> tuple[int, int]:
    """Number, from 0, and count of "3/16", the third of sixteen; None is the whole job.

    Raises:
        InputError: It is not that.
    """
    if text is None:
        return 0, 1
    parts = str(text).split("/")
    if len(parts) != 2 or not all(one.isascii() and one.isdigit() for one in parts):
        raise InputError("not a shard", expected='as "3/16"', found=repr(text), where="shard")
    number, count = map(int, parts)
    if not 1 <= number <= count:
        raise InputError(
            "there is no such shard", expected=f"1/{count} to {count}/{count}", found=text,
            where="shard",
        )  # fmt: skip
    return number - 1, count


class Share:
    """The parts that are a shard's.

    Of files whose parts can be counted, each shard has neighbouring ones.  Of others it takes
    turns: by file, or by part where there are fewer files than shards.

    Args:
        number: Of the shard, from 0.
        count: Of shards.
        parts: Of each file; None where that is not known before it is read.
    """

    def __init__(self, number: int, count: int, parts: Sequence[int | None]) -> None:
        self._number, self._count = number, count
        counted = [one for one in parts if one is not None]
        self._starts = [0, *accumulate(counted)] if len(counted) == len(parts) else None
        self._by_file = len(parts) >= count

    def owns(self, file: int, part: int) -> bool:
        """Whether a part of a file is its own."""
        if self._starts is not None:
            place = (self._starts[file] + part) * self._count // self._starts[-1]
        else:
            place = (file if self._by_file else file + part) % self._count
        return place == self._number

    def may_own(self, file: int) -> bool:
        """Whether any part of a file may be its own."""
        return self._starts is not None or not self._by_file or self.owns(file, 0)
