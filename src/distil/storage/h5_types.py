"""The types of numbers in HDF5 files, bit by bit, as their numpy types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np

from distil.errors import CheckpointError, shorten
from distil.storage.tensors import BFLOAT16


def bfloat16_type() -> Any:
    """bfloat16 as an HDF5 type; other readers of the file get its numbers as float32.

    Source: H5T_FLOAT_BFLOAT16LE of HDF5 2.0, which is defined in this way.
    """
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)  # sign, exponent's place and size, mantissa's
    kind.set_size(2)
    kind.set_ebias(127)
    return kind


_TYPES: tuple[tuple[Any, np.dtype[Any]], ...] = (
    (h5py.h5t.IEEE_F32LE, np.dtype(np.float32)),
    (h5py.h5t.IEEE_F64LE, np.dtype(np.float64)),
    (h5py.h5t.IEEE_F16LE, np.dtype(np.float16)),
    (bfloat16_type(), BFLOAT16),
    (h5py.h5t.STD_I32LE, np.dtype(np.int32)),
    (h5py.h5t.STD_I64LE, np.dtype(np.int64)),
)


def type_of(dtype: np.dtype[Any]) -> Any:
    """The HDF5 type that `dtype` is stored as."""
    return next(kind for kind, known in _TYPES if known == dtype)


def dtype_of(kind: Any, *, name: str, where: Path) -> np.dtype[Any]:
    """The numpy type of the same bits as an HDF5 type.

    Raises:
        CheckpointError: No weight has such a type.
    """
    for known, dtype in _TYPES:
        if kind.equal(known):
            return dtype
    raise CheckpointError(
        f"type of {shorten(name)} is not supported",
        expected=", ".join(dtype.name for _, dtype in _TYPES), where=where,
    )  # fmt: skip
