"""The ranges that int8 needs: measured by the engine itself, and kept for the next time.

They are kept in the user's cache rather than beside the checkpoint, under a digest of what they
were measured on: whoever hands out a checkpoint has no say in them, and the folder may be one that
cannot be written to.  `common/inference/quantization.py` reads those that a checkpoint comes with.

Graphs themselves are not kept.  Making one from the weights takes less time than making sure that
a kept one is still that of these weights (0.2 s against 0.3 s for DistilBERT-base), and no graph is
ever run that somebody else has put there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from distil.common.config import DistilBertConfig
from distil.common.inference.quantization import ActivationRanges, check_ranges, linear_layers
from distil.engines.feeding import feeds
from distil.engines.model import Session
from distil.errors import DistilError, InputError
from distil.storage.files import read_json, write_json

_FORMAT = "distil ranges 1"

# Rows of a weight that tell it from others: training changes every one.
_ROWS_LOOKED_AT = 8


def default_cache() -> Path:
    """The folder of the user's cache: $XDG_CACHE_HOME/distil/ranges, by default in ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "distil" / "ranges"


def measured(
    observer: Callable[[], Session], sequences: Sequence[Any], config: DistilBertConfig
) -> ActivationRanges:
    """The lowest and highest input of every linear layer of the encoder.

    Args:
        observer: Gives a session whose outputs are those of a graph's `to_observer`.
        sequences: Token ids like those that will come.
        config: Of the model.

    Raises:
        InputError: There are no sequences.
    """
    if not len(sequences):
        raise InputError(
            "there is nothing to calibrate on", expected="at least one sequence", found="none",
            where="calibration",
        )  # fmt: skip
    found: dict[str, list[float]] = {}
    for outputs in observer().run(feed.inputs for feed in feeds(sequences)):
        for name, (low, high) in outputs.items():
            ends = found.setdefault(name, [float(low), float(high)])
            ends[:] = [min(ends[0], float(low)), max(ends[1], float(high))]
    # Queries, keys and values of a layer have one input, which stands under one of their names.
    ranges = {}
    for name in linear_layers(config):
        place = name if name in found else name.replace("k_lin", "q_lin").replace("v_lin", "q_lin")
        ranges[name] = (found[place][0], found[place][1])
    return ranges


def kept(
    folder: Path | None,
    weights: Mapping[str, Any],
    config: DistilBertConfig,
    sequences: Sequence[Any],
    measure: Callable[[], ActivationRanges],
) -> ActivationRanges:
    """Ranges from the cache, or measured now and put there.

    A file that is damaged, or not of this model, is replaced.

    Args:
        folder: Of the cache; None keeps nothing.
        weights: Of the model, by canonical name.
        config: Of the model.
        sequences: That are measured on.
        measure: Does it.
    """
    if folder is None:
        return measure()
    path = folder / f"{_key(weights, config, sequences)}.json"
    with suppress(DistilError):
        table = read_json(path)
        check_ranges(table, config, where=path)
        return {name: (float(low), float(high)) for name, (low, high) in table.items()}
    ranges = measure()
    with suppress(OSError):  # a cache that cannot be written to is no reason to fail
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, {name: list(ends) for name, ends in ranges.items()})
    return ranges


def _key(weights: Mapping[str, Any], config: DistilBertConfig, sequences: Sequence[Any]) -> str:
    """A digest of all that ranges follow from."""
    digest = hashlib.sha256(f"{_FORMAT}\n{config.to_json_string()}".encode())
    for name in sorted(weights):
        array = np.atleast_1d(weights[name])
        rows = np.ascontiguousarray(array[:: max(1, len(array) // _ROWS_LOOKED_AT)], np.float32)
        digest.update(f"{name} {array.shape}\n".encode())
        digest.update(rows.tobytes())
    for sequence in sequences:
        digest.update(np.asarray([len(sequence), *sequence], np.int64).tobytes())
    return digest.hexdigest()
