"""What int8 has to know of a model: the ranges of the numbers that go into its linear layers.

Weights are quantised by their own values; what they are multiplied with is known only once the
model has seen some text.  `ActivationRanges` says, for the input of every linear layer of the
encoder, the lowest and the highest value to be expected.  A framework measures them on a sample
(`distil.pt.inference.calibration`), every framework and engine can use them, and they are kept in
a small file beside the checkpoint, bound to its weights.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distil.common.config import DistilBertConfig
from distil.common.spec import ENCODER_PREFIX, LAYER
from distil.errors import CheckpointError, CheckpointWarning
from distil.storage.files import read_json, write_json

# By the module's name in the encoder ("transformer.layer.0.ffn.lin1"), whatever head is on it:
# the lowest and the highest input.  q_lin, k_lin and v_lin of a layer have the same input.
ActivationRanges = Mapping[str, tuple[float, float]]

FILE_NAME = "activation_ranges.json"

# An unsigned byte holds 0 to 255.
_LEVELS = 255


def linear_layers(config: DistilBertConfig) -> tuple[str, ...]:
    """Names of the encoder's linear layers: those that ranges are for."""
    return tuple(
        row.name.format(layer)
        for layer in range(config.n_layers)
        for row in LAYER
        if row.kind == "linear"
    )


def scale_and_zero_point(low: float, high: float) -> tuple[float, int]:
    """How a range is laid over unsigned bytes: value = scale * (byte - zero_point).

    0 is always met exactly, so that what is cut off to 0 stays 0.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / _LEVELS or 1.0  # an input that is always 0 has no range at all
    return scale, round(-low / scale)


def sample_texts() -> list[str]:
    """Sentences of many kinds, to calibrate on where the user's own texts are not at hand."""
    file = resources.files("distil.common.inference").joinpath("calibration_sample.txt")
    return file.read_text(encoding="utf-8").splitlines()


def check_ranges(ranges: Mapping[str, Any], config: DistilBertConfig, *, where: Any) -> None:
    """Refuse ranges that are not one pair of numbers for each of the model's linear layers.

    Raises:
        CheckpointError: A layer has none, there is none of that name, or it is no range.
    """
    expected = linear_layers(config)
    if set(ranges) != set(expected):
        missing = [f"- {name}" for name in expected if name not in ranges]
        unexpected = [f"+ {name[:200]!r}" for name in ranges if name not in expected]
        raise CheckpointError(
            "ranges of activations are not those of this model",
            expected=f"one for each of {len(expected)} linear layers",
            found=", ".join((missing + unexpected)[:10]), where=where,
            fix="calibrate again",
        )  # fmt: skip
    for name, values in ranges.items():
        if not _is_range(values):
            raise CheckpointError(
                "not a range of activations", expected="[low, high], both finite numbers",
                found=repr(values)[:200], where=f"{where}: {name}", fix="calibrate again",
            )  # fmt: skip


def _is_range(values: Any) -> bool:
    return (
        isinstance(values, (list, tuple))
        and len(values) == 2
        and all(type(value) in (int, float) and math.isfinite(value) for value in values)
        and values[0] <= values[1]
    )


def fingerprint(weights: Iterable[tuple[str, NDArray[Any]]]) -> str:
    """A digest that tells a model's encoder from others, the same in both frameworks.

    Of the biases and norms alone: every step of training changes them, and they are a
    hundredth of the weights.

    Args:
        weights: Names and arrays, as a model's `named_arrays` gives them.
    """
    digest = hashlib.sha256()
    for name, array in weights:
        # A model without a head has no prefix; what belongs to a head has no part in it.
        inner = name.removeprefix(f"{ENCODER_PREFIX}.")
        if array.ndim == 1 and inner.startswith(("embeddings.", "transformer.")):
            digest.update(inner.encode())
            digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()


def save_ranges(folder: str | Path, ranges: ActivationRanges, *, fingerprint: str) -> None:
    """Write ranges beside a checkpoint, for `load_ranges`.

    Args:
        folder: Where config.json is.
        ranges: By name of the linear layer.
        fingerprint: Of the model that they were measured on.
    """
    table = {name: list(values) for name, values in ranges.items()}
    write_json(Path(folder) / FILE_NAME, {"fingerprint": fingerprint, "ranges": table})


def load_ranges(
    folder: str | Path, config: DistilBertConfig, *, fingerprint: str
) -> ActivationRanges | None:
    """Ranges that were kept beside a checkpoint.

    Args:
        folder: Where config.json is.
        config: Of the model.
        fingerprint: Of the model that they are wanted for.

    Returns:
        None where there are none, and, with a warning, where they are those of other weights.

    Raises:
        CheckpointError: The file is damaged, or not for this architecture.
    """
    path = Path(folder) / FILE_NAME
    if not path.exists():
        return None
    stored = read_json(path)
    if stored.get("fingerprint") != fingerprint:
        warnings.warn(
            f"{path} was measured on other weights and is not used: calibrate again",
            CheckpointWarning,
            stacklevel=2,
        )
        return None
    table = stored.get("ranges")
    if not isinstance(table, dict):
        raise CheckpointError(
            "no ranges of activations in the file", expected='{"ranges": {name: [low, high]}}',
            found=type(table).__name__, where=path, fix="calibrate again",
        )  # fmt: skip
    check_ranges(table, config, where=path)
    return {name: (float(low), float(high)) for name, (low, high) in table.items()}
