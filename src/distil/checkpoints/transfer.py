"""Copying weights from one checkpoint to another, one at a time, and comparing the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from distil.arrays import Array
from distil.checkpoints import Checkpoint
from distil.checkpoints.matching import Source, match_weights
from distil.common.config import DistilBertConfig
from distil.common.stored_int8 import as_stored
from distil.errors import CheckpointError, WeightsError, shorten
from distil.storage.tensors import INT8, not_finite, same_bytes

# Called with the bytes processed and the total; reading back counts, too.
Progress = Callable[[int, int], None]


class Transfer:
    """The weights being copied.

    Args:
        sources: Where each comes from, by canonical name.
        dtype: Type to write, None to keep each one's own.
        check_finite: Refuse infinity and NaN.
        progress: Told how far it is, or None.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        dtype: np.dtype[Any] | None,
        check_finite: bool,
        progress: Progress | None,
    ) -> None:
        self._sources = sources
        self._packs = dtype == INT8
        self._dtype = np.dtype(np.float32) if self._packs else dtype
        self._check_finite = check_finite
        self._progress = progress
        self._done = 0
        self._all = 2 * sum(map(_bytes_of, sources.values()))

    def weights(self) -> Iterator[tuple[str, Array]]:
        """Names and values, each to be used before the next one is asked for.

        Raises:
            WeightsError: A value is not finite, or is not once it is in its new type.
        """
        for name, source in self._sources.items():
            # A value too large for its new type is said below, with the weight's name.
            with np.errstate(over="ignore"):
                values = source.read(dtype=self._dtype, check_finite=self._check_finite)
            if self._check_finite:
                _check_range(source, values)
            yield name, values
            source.tensor.release()
            self._advance(source)

    def verify(self, written: Checkpoint, config: DistilBertConfig, task: str) -> None:
        """Compare what was written with where it came from.

        Raises:
            CheckpointError: They differ.
        """
        match = match_weights(written, config, task)
        strangers = [finding.name for finding in match.report.unexpected]
        for name, source in self._sources.items():
            copy = match.sources.get(name)
            if strangers or copy is None or not self._is_same(source, copy):
                raise CheckpointError(
                    "what was written is not what is read back",
                    found=shorten(", ".join(strangers) or name), where=written.folder,
                    fix="nothing was replaced; check the disk, and try again",
                )  # fmt: skip
            self._advance(source)

    def _is_same(self, source: Source, copy: Source) -> bool:
        with np.errstate(over="ignore"):
            expected = source.read(dtype=self._dtype)
        if self._packs:
            expected = as_stored(expected)
        found = copy.read()
        if (expected.shape, expected.dtype) != (found.shape, found.dtype):
            return False
        return same_bytes(expected, found, of=(source.tensor, copy.tensor))

    def _advance(self, source: Source) -> None:
        self._done += _bytes_of(source)
        if self._progress is not None:
            self._progress(self._done, self._all)


def _bytes_of(source: Source) -> int:
    return prod(source.shape) * source.dtype.itemsize


def _check_range(source: Source, values: Array) -> None:
    """Refuse values that a sum or a cast has made infinite."""
    if source.added is None and values.dtype == source.dtype:
        return  # as stored, and looked at already
    found = not_finite(values)
    if found is not None:
        largest = float(ml_dtypes.finfo(values.dtype).max)  # type: ignore[no-untyped-call]
        raise WeightsError(
            f"{source.name} has values too large for {values.dtype.name}",
            expected=f"at most {largest:.6g}", found=found, where=source.tensor.file,
            fix="choose bfloat16, or keep the stored type",
        )  # fmt: skip
