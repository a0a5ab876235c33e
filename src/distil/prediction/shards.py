"""Shards: several processes share a job without talking to each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from distil.errors import InputError


def read_shard(text: str | None) -> tuple[int, int]:
    """Index, from 0, and count of a shard such as "3/16", the third of sixteen.

    Raises:
        InputError: It is not of this form.
    """
    if text is None:
        return 0, 1
    parts = str(text).split("/")
    if len(parts) != 2 or not all(one.isascii() and one.isdigit() for one in parts):
        raise InputError("invalid shard", expected="K/N, as 3/16", found=repr(text), where="shard")
    number, count = map(int, parts)
    if not 1 <= number <= count:
        raise InputError(
            "no such shard", expected=f"1/{count} to {count}/{count}", found=text,
            where="shard",
        )  # fmt: skip
    return number - 1, count


class Share:
    """The parts that belong to a shard.

    If the parts of all files can be counted, each shard gets consecutive ones.  Otherwise shards
    take turns: by file, or by part if there are fewer files than shards.

    Args:
        number: Index of the shard, from 0.
        count: Number of shards.
        parts: Number of parts of each file; None if it is not known before reading it.
    """

    def __init__(self, number: int, count: int, parts: Sequence[int | None]) -> None:
        self._number, self._count = number, count
        counted = [one for one in parts if one is not None]
        self._starts = [0, *accumulate(counted)] if len(counted) == len(parts) else None
        self._by_file = len(parts) >= count

    def owns(self, file: int, part: int) -> bool:
        """Whether a part of a file belongs to this shard."""
        if self._starts is not None:
            place = (self._starts[file] + part) * self._count // self._starts[-1]
        else:
            place = (file if self._by_file else file + part) % self._count
        return place == self._number

    def may_own(self, file: int) -> bool:
        """Whether any part of a file may belong to this shard."""
        return self._starts is not None or not self._by_file or self.owns(file, 0)
