"""Weights stored in int8: matrices as signed bytes, with a scale for each row.

Source: compressed-tensors 0.20, weights alone in the format "naive-quantized", symmetric, a scale
for each output channel.  transformers reads it by that library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.inference.quantization import quantized
from distil.common.spec import SCALE, WEIGHT, ZERO_POINT
from distil.errors import CheckpointError, ConfigError, WeightsError, shorten, shown
from distil.storage.tensors import BFLOAT16, INT8, StoredTensor

# What config.json says of weights that are stored otherwise than a model computes with them.
QUANTIZATION_KEY = "quantization_config"
_FORMATS = ("naive-quantized", "int-quantized")
_SCHEME = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False}
QUANTIZATION: Mapping[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": _FORMATS[0],
    "quantization_status": "compressed",
    "config_groups": {
        "group_0": {
            "targets": ["Linear", "Embedding"], "weights": _SCHEME,
            "input_activations": None, "output_activations": None, "format": _FORMATS[0],
        },
    },
    "ignore": [],
}  # fmt: skip
# What else would change values, or compute otherwise: absent, or nothing.
_NOTHING = ("kv_cache_scheme", "sparsity_config", "transform_config")

_SCALES = (np.dtype(np.float32), np.dtype(np.float16), BFLOAT16)
_TINY = np.finfo(np.float32).tiny
# All but the last seven bits of a float32: 17 of the significand's 24.
_SIGNIFICANT = np.uint32(0xFFFFFF80)


def without_quantization(table: Mapping[str, Any]) -> dict[str, Any]:
    """A config.json's content without what it says of stored weights: that is of files.

    Raises:
        ConfigError: They are stored in another way than is read here.
    """
    rest = dict(table)
    if (found := rest.pop(QUANTIZATION_KEY, None)) is not None:
        check_quantization(found)
    return rest


def check_quantization(found: Any) -> None:
    """Refuse all ways to store weights but the one that is read.

    Raises:
        ConfigError: `found` says another, or what would compute otherwise than its weights.
    """
    for name, value, allowed in _says(found if isinstance(found, Mapping) else {}):
        if value not in allowed:
            raise ConfigError(
                "the weights are stored in a way that is not read",
                expected=f"{name}: {' or '.join(map(shown, allowed))}", found=shown(value),
                where=QUANTIZATION_KEY, fix="convert the checkpoint that it was made of",
            )  # fmt: skip


def _says(table: Mapping[str, Any]) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Names, values and what these may be, of all that says how weights are stored."""
    yield "quant_method", table.get("quant_method"), (QUANTIZATION["quant_method"],)
    yield "format", table.get("format"), _FORMATS
    yield "quantization_status", table.get("quantization_status"), ("compressed",)
    for name in _NOTHING:
        yield name, table.get(name), (None, {})
    groups = table.get("config_groups")
    if not isinstance(groups, Mapping) or not groups:
        yield "config_groups", groups, ("a table of groups",)
        return
    for group in groups.values():
        own = group if isinstance(group, Mapping) else {}
        weights = own.get("weights")
        for name, value in _SCHEME.items():
            found = weights.get(name) if isinstance(weights, Mapping) else None
            # True counts as 1, and 8.0 as 8, but nobody means that.
            yield f"weights.{name}", found if type(found) is type(value) else shown(found), (value,)
        yield "input_activations", own.get("input_activations"), (None,)
        yield "output_activations", own.get("output_activations"), (None,)
        yield "format of a group", own.get("format"), (None, *_FORMATS)


def parts(name: str, weight: Array) -> dict[str, Array]:
    """What is stored of a weight: of a matrix two tensors, of anything else one, in float32.

    Raises:
        WeightsError: A value of a matrix is not finite.
    """
    weight = weight.astype(np.float32, copy=False)
    if weight.ndim != 2:
        return {name: weight}
    if not np.isfinite(weight).all():
        raise WeightsError(
            f"{shorten(name)} holds values that are not finite", expected="finite numbers",
            where="dtype", fix="int8 has no bytes for others: keep the stored type",
        )  # fmt: skip
    values, scales = packed(weight)
    return {name: values, name + SCALE: scales}


def packed(weight: Array) -> tuple[Array, Array]:
    """A matrix (o i) in signed bytes (o i), and the scales of its rows (o 1), in float32.

    Scales are cut to 17 bits.  With a byte's seven these fit into the 24 of float32, so that
    products are exact, and what was unpacked is packed into the same bytes and scales again.
    """
    values, scales = quantized(weight)
    scales = (scales.view(np.uint32) & _SIGNIFICANT).view(np.float32)
    small = scales < _TINY  # rows below 1.5e-36: their scale has no 17 bits
    values[small[:, 0]] = 0
    scales[small] = 1
    return values, scales


def unpacked(values: Array, scales: Array) -> Array:
    """The matrix (o i) of bytes and scales, in float32; scales in fewer bits are exact there."""
    with np.errstate(over="ignore"):  # as infinite as a float32 that says so
        return np.multiply(values, scales.astype(np.float32), dtype=np.float32)


def as_stored(weight: Array) -> Array:
    """What is read of a weight that is stored in int8, in float32."""
    return unpacked(*packed(weight)) if weight.ndim == 2 else weight


def unpacked_tensors(tensors: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """The tensors of a file by PyTorch's names, those in int8 as float32, without their scales.

    Raises:
        CheckpointError: A weight in int8 and its scales do not fit together, or one of the two is
            not there.
    """
    found = dict(tensors)
    for name, tensor in tensors.items():
        if tensor.dtype == INT8 and name.endswith(WEIGHT):
            scales = found.pop(name + SCALE, None)
            check_pair(tensor, scales)
            assert scales is not None
            found[name] = _joined(tensor, scales)
    check_alone(found)
    return found


def check_pair(tensor: StoredTensor, scales: StoredTensor | None) -> None:
    """Refuse a weight in int8 without scales that are its own.

    Raises:
        CheckpointError: There are none, or not one for each row.
    """
    rows = tensor.shape[:1]
    if scales is None or len(tensor.shape) != 2 or scales.shape != (*rows, 1):
        raise CheckpointError(
            f"{shorten(tensor.name)} is stored in int8, and its rows have no scales",
            expected=f"{shorten(tensor.name + SCALE)} of shape {(*rows, 1)}",
            found="none" if scales is None else scales.shape, where=tensor.file,
        )  # fmt: skip
    if scales.dtype not in _SCALES:
        raise CheckpointError(
            f"{shorten(scales.name)} has a type that scales do not have",
            expected=", ".join(dtype.name for dtype in _SCALES), found=scales.dtype.name,
            where=scales.file,
        )  # fmt: skip


def check_alone(tensors: Mapping[str, StoredTensor]) -> None:
    """Refuse what is left of weights in int8 once they are joined with their scales.

    Raises:
        CheckpointError: There are scales of a weight that is not in int8, or zero points.
    """
    for name, tensor in tensors.items():
        if name.endswith((WEIGHT + SCALE, WEIGHT + ZERO_POINT)):
            raise CheckpointError(
                "a tensor belongs to no weight in int8", expected="int8 with a scale for each row, "
                "and no zero points", found=shorten(name), where=tensor.file,
                fix="convert the checkpoint that it was made of",
            )  # fmt: skip


def check_scales(scales: Array, tensor: StoredTensor) -> None:
    """Refuse scales that no row of numbers has.

    Raises:
        WeightsError: One is not finite, or not above 0.
    """
    wrong = ~(np.isfinite(scales) & (scales > 0))
    if wrong.any():
        raise WeightsError(
            f"{shorten(tensor.name)} holds scales that are none", expected="finite numbers above 0",
            found=f"{np.count_nonzero(wrong)} others", where=tensor.file,
            fix="the checkpoint is damaged: download or save it again",
        )  # fmt: skip


def _joined(tensor: StoredTensor, scales: StoredTensor) -> StoredTensor:
    return replace(
        tensor, dtype=np.dtype(np.float32), kept=tensor.dtype,
        load=partial(_read, tensor, scales), let_go=partial(_release, tensor, scales),
    )  # fmt: skip


def _read(tensor: StoredTensor, scales: StoredTensor) -> Array:
    factors = scales.read()
    check_scales(factors, scales)
    return unpacked(tensor.read(), factors)


def _release(tensor: StoredTensor, scales: StoredTensor) -> None:
    tensor.release()
    scales.release()
