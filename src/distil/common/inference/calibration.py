"""Calibration: finding the activation ranges for int8, the same way in every framework and engine.

Ranges are taken from the first of these that has them: the checkpoint (unless the user gave texts),
the user's cache, a measurement on the texts.  An inference form only measures: it
runs the model in float32 and reports the inputs of the linear layers.

Engines' graphs are not cached.  Building one from the weights takes less time than checking that a
cached one still belongs to them (0.2 s against 0.3 s for DistilBERT-base), and a graph that someone
planted in the cache is never run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from distil.common.config import DistilBertConfig
from distil.common.inference.ranges import (
    ActivationRanges,
    fingerprint,
    linear_layers,
    load_ranges,
    read_ranges,
)
from distil.common.spec import KEY, QUERY, VALUE
from distil.errors import DistilError, InputError
from distil.storage.files import read_json, write_json

# Name of a linear layer, lowest and highest input, for one group of sequences after another.
# Of layers that share an input only the first is reported.
Observations = Iterable[tuple[str, float, float]]


def default_cache() -> Path:
    """The folder of the user's cache: $XDG_CACHE_HOME/distil/ranges, by default in ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "distil" / "ranges"


def sample_texts() -> list[str]:
    """Sentences of many kinds, to calibrate on when the user gives no texts."""
    file = resources.files("distil.common.inference").joinpath("calibration_sample.txt")
    return file.read_text(encoding="utf-8").splitlines()


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What int8 is calibrated on, and where earlier measurements are kept.

    Attributes:
        sequences: Gives token ids like those of later inputs; called only if needed.
        checkpoint: A folder whose own ranges are used, if it has them; None does not look.
        cache: Where ranges that were measured are kept; None does not keep them.
    """

    sequences: Callable[[], Sequence[Any]]
    checkpoint: Path | None = None
    cache: Path | None = field(default_factory=default_cache)

    def ranges(
        self,
        weights: Mapping[str, Any],
        config: DistilBertConfig,
        task: str,
        *,
        by: str,
        observe: Callable[[Sequence[Any]], Observations],
    ) -> ActivationRanges:
        """The ranges for a model.

        Args:
            weights: By canonical name, in PyTorch's orientation.
            config: Of the model.
            task: Of the model.
            by: Which form measures.  Each keeps its own ranges: their last bits differ, and a
                result must not depend on what was run before.
            observe: Measures.

        Raises:
            InputError: There are no sequences to measure on.
            CheckpointError: The checkpoint's own ranges are damaged.
        """
        encoder = fingerprint(weights, config, task)
        if self.checkpoint is not None:
            found = load_ranges(self.checkpoint, config, fingerprint=encoder)
            if found is not None:
                return found
        sequences = self.sequences()
        if not len(sequences):
            raise InputError(
                "no texts to calibrate on", expected="at least one text", found="none",
                where="calibration",
            )  # fmt: skip
        if self.cache is None:
            return _merged(observe(sequences), config)
        path = self.cache / f"{_key(encoder, by, sequences)}.json"
        with suppress(DistilError):  # missing or damaged: written again
            return read_ranges(read_json(path), config, where=path)
        ranges = _merged(observe(sequences), config)
        with suppress(OSError):  # a cache that cannot be written to is no reason to fail
            self.cache.mkdir(parents=True, exist_ok=True)
            write_json(path, {name: list(ends) for name, ends in ranges.items()})
        return ranges


def _merged(observations: Observations, config: DistilBertConfig) -> ActivationRanges:
    """The lowest and highest input of every linear layer of the encoder."""
    found: dict[str, tuple[float, float]] = {}
    for name, low, high in observations:
        before = found.get(name, (low, high))
        found[name] = (min(low, before[0]), max(high, before[1]))
    for layer in range(config.n_layers):
        for row in (KEY, VALUE):
            found[row.at(layer)] = found[QUERY.at(layer)]
    return {name: found[name] for name in linear_layers(config)}


def _key(encoder: str, by: str, sequences: Sequence[Any]) -> str:
    """A digest of everything that the ranges depend on."""
    digest = hashlib.sha256(f"{encoder} {by}\n".encode())
    for sequence in sequences:
        digest.update(np.asarray([len(sequence), *sequence], np.int64).tobytes())
    return digest.hexdigest()
