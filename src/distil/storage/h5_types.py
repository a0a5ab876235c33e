"""The types of numbers in HDF5 files, bit by bit, as their numpy types.

Source: HDF5 File Format Specification 3.0, IV.A.2.d (the datatype message).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from distil.errors import CheckpointError, shorten
from distil.storage.tensors import BFLOAT16

_INTEGER, _FLOAT = 0, 1
_SIGNED = 0x08
_IMPLIED_BIT = 0x20  # the mantissa's first bit is 1, and is not stored

# How many bits the exponent has, and the mantissa.
_FLOATS = {
    np.dtype(np.float32): (8, 23),
    np.dtype(np.float64): (11, 52),
    np.dtype(np.float16): (5, 10),
    BFLOAT16: (8, 7),
}
_INTEGERS = (np.dtype(np.int32), np.dtype(np.int64))


def _message(dtype: np.dtype[Any]) -> bytes:
    """The datatype message of `dtype`, little-endian, with 0 for its version."""
    bits = 8 * dtype.itemsize
    if dtype in _INTEGERS:
        return struct.pack("<4BL2H", _INTEGER, _SIGNED, 0, 0, dtype.itemsize, 0, bits)
    exponent, mantissa = _FLOATS[dtype]
    head = struct.pack("<4BL", _FLOAT, _IMPLIED_BIT, bits - 1, 0, dtype.itemsize)
    bias = (1 << (exponent - 1)) - 1
    return head + struct.pack("<2H4BL", 0, bits, mantissa, exponent, 0, mantissa, bias)


_TYPES: dict[bytes, np.dtype[Any]] = {_message(dtype): dtype for dtype in (*_FLOATS, *_INTEGERS)}


def dtype_of(message: bytes, *, name: str, where: Path) -> np.dtype[Any]:
    """The numpy type of the same bits as an HDF5 type.

    Raises:
        CheckpointError: No weight has such a type.
    """
    # The versions differ in types that are made of others; padding may follow.
    plain = bytes([message[0] & 0x0F]) + message[1:] if message else b""
    for known, dtype in _TYPES.items():
        if plain.startswith(known) and not any(plain[len(known) :]):
            return dtype
    raise CheckpointError(
        f"type of {shorten(name)} is not supported",
        expected=", ".join(dtype.name for dtype in _TYPES.values()), where=where,
    )  # fmt: skip
