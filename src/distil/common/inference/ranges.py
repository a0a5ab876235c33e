"""Ranges of the inputs of linear layers: what int8 needs to know besides the weights.

They are kept in two places under the same kind of key, a fingerprint of the encoder's weights:
beside the checkpoint (`save_ranges`), and in the user's cache under what they were measured on
(`distil.common.inference.calibration`).
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distil.common.config import DistilBertConfig
from distil.common.spec import LAYER, parameters
from distil.errors import CheckpointError, CheckpointWarning, listed, shorten, shown
from distil.storage.files import read_json, write_json

# The lowest and the highest input, by the module's name in the encoder
# ("transformer.layer.0.ffn.lin1"), whatever the head.  q_lin, k_lin and v_lin share an input.
ActivationRanges = Mapping[str, tuple[float, float]]

FILE_NAME = "activation_ranges.json"

# Rows of a matrix that identify it: training changes every one.
_ROWS_LOOKED_AT = 8


def linear_layers(config: DistilBertConfig) -> tuple[str, ...]:
    """Names of the encoder's linear layers, each of which has a range."""
    return tuple(
        row.at(layer) for layer in range(config.n_layers) for row in LAYER if row.kind == "linear"
    )


def check_ranges(ranges: Mapping[str, Any], config: DistilBertConfig, *, where: Any) -> None:
    """Refuse ranges that are not one pair of numbers for each of the model's linear layers.

    Raises:
        CheckpointError: A layer has no range, a name is unknown, or a value is not a range.
    """
    expected = linear_layers(config)
    if set(ranges) != set(expected):
        missing = [f"- {name}" for name in expected if name not in ranges]
        unexpected = [f"+ {shorten(name)}" for name in ranges if name not in expected]
        raise CheckpointError(
            "these ranges of activations belong to another model",
            expected=f"one for each of {len(expected)} linear layers",
            found=listed(missing + unexpected, 10), where=where,
            fix="calibrate again",
        )  # fmt: skip
    for name, values in ranges.items():
        if not _is_range(values):
            raise CheckpointError(
                "not a range of activations", expected="[low, high], both finite numbers",
                found=shown(values), where=f"{where}: {name}", fix="calibrate again",
            )  # fmt: skip


def _is_range(values: Any) -> bool:
    return (
        isinstance(values, (list, tuple))
        and len(values) == 2
        and all(type(value) in (int, float) and math.isfinite(value) for value in values)
        and values[0] <= values[1]
    )


def fingerprint(weights: Mapping[str, Any], config: DistilBertConfig, task: str) -> str:
    """A digest that identifies a model's encoder, the same in every framework.

    It covers biases and norms in full and some rows of every matrix.  The head is left out:
    ranges do not depend on it.

    Args:
        weights: Arrays by canonical name, in PyTorch's orientation.
        config: Of the model.
        task: Of the model.
    """
    digest = hashlib.sha256(f"{config.activation} {config.n_heads}\n".encode())
    for weight in parameters(config, task):
        if weight.in_encoder:
            array = weights[weight.name]
            step = max(1, len(array) // _ROWS_LOOKED_AT) if array.ndim > 1 else 1
            digest.update(f"{weight.inner_name} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array[::step], "<f4").tobytes())
    return digest.hexdigest()


def save_ranges(folder: str | Path, ranges: ActivationRanges, *, fingerprint: str) -> None:
    """Write ranges beside a checkpoint, for `load_ranges`.

    Args:
        folder: Where config.json is.
        ranges: By name of the linear layer.
        fingerprint: Of the model on which they were measured.
    """
    table = {name: list(values) for name, values in ranges.items()}
    write_json(Path(folder) / FILE_NAME, {"fingerprint": fingerprint, "ranges": table})


def load_ranges(
    folder: str | Path, config: DistilBertConfig, *, fingerprint: str
) -> ActivationRanges | None:
    """Read the ranges beside a checkpoint.

    Args:
        folder: Where config.json is.
        config: Of the model.
        fingerprint: Of the model that needs them.

    Returns:
        None if there are none, or, with a warning, if they were measured on other weights.

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
            "not a file of activation ranges", expected='{"ranges": {name: [low, high]}}',
            found=type(table).__name__, where=path, fix="calibrate again",
        )  # fmt: skip
    return read_ranges(table, config, where=path)


def read_ranges(
    table: Mapping[str, Any], config: DistilBertConfig, *, where: Path
) -> ActivationRanges:
    """The ranges in a table from a JSON file.

    Raises:
        CheckpointError: They are not those of this model.
    """
    check_ranges(table, config, where=where)
    return {name: (float(low), float(high)) for name, (low, high) in table.items()}
