"""What the processor and this build of PyTorch can do, and what to do where they cannot."""

from __future__ import annotations

import platform
import warnings
from functools import cache

import torch

from distil.errors import FallbackWarning, InputError

INFERENCE_DTYPES = ("float32", "bfloat16", "float16", "int8")

# Rows that MKL packs weights for.  Packed for 2048, products of fewer rows take up to twice the
# time, packed for 16 those of more; packed for this, none takes longer than its own would.
MKL_ROWS = 256

# Where the one asked for is slow or missing.
_NEXT_BEST = {"int8": "bfloat16", "bfloat16": "float32"}


@cache
def has_onednn() -> bool:
    """Whether oneDNN computes linear layers from weights laid out for it."""
    return torch.backends.mkldnn.is_available() and platform.machine() in ("x86_64", "AMD64")


@cache
def has_bfloat16() -> bool:
    """Whether the processor itself multiplies bfloat16 (AVX512-BF16, AMX)."""
    return has_onednn() and torch.cpu._is_avx512_bf16_supported()


@cache
def has_int8() -> bool:
    """Whether the processor sums products of bytes without loss (VNNI), through oneDNN."""
    return has_onednn() and torch.cpu._is_vnni_supported()


@cache
def has_mkl(outputs: int, inputs: int) -> bool:
    """Whether MKL multiplies any number of rows with weights of this shape that it packed once.

    PyTorch's operator wants the number of rows in advance.  For MKL it is a hint when weights
    are packed: the packed matrix has no such axis, but its documentation does not say so in as
    many words.  So it is tried, for each shape, on rows fewer and more.
    """
    if not (has_onednn() and torch.backends.mkl.is_available()):
        return False
    weight = torch.linspace(-1, 1, outputs * inputs).view(outputs, inputs)
    packed = torch.ops.mkl._mkl_reorder_linear_weight(weight, MKL_ROWS)
    shape_alone = weight.new_empty(()).expand(weight.shape)
    for rows in (1, 17, MKL_ROWS, MKL_ROWS + 45):
        x = torch.linspace(-1, 1, rows * inputs).view(rows, inputs)
        found = torch.ops.mkl._mkl_linear(x, packed, shape_alone, None, rows)
        expected = x @ weight.T
        if (found - expected).abs().max() > 1e-4 * expected.abs().max():
            return False
    return True


def settle(dtype: str, device: torch.device) -> str:
    """The type to compute in: the one asked for, or, with a warning, the next best.

    Args:
        dtype: One of `INFERENCE_DTYPES`.
        device: Where to compute.

    Raises:
        InputError: There is no such form on this device.
    """
    on_cpu = device.type == "cpu"
    possible = ("float32", "bfloat16", "int8" if on_cpu else "float16")
    if dtype not in possible:
        raise InputError(
            f"no inference in this type on {device.type}", expected=", ".join(possible),
            found=repr(dtype), where="dtype",
        )  # fmt: skip
    if not on_cpu:
        return dtype
    able = {"float32": True, "bfloat16": has_bfloat16(), "int8": has_int8()}
    settled = dtype
    while not able[settled]:
        settled = _NEXT_BEST[settled]
    if settled != dtype:
        warnings.warn(
            f"this processor has no fast {dtype}: computing in {settled}",
            FallbackWarning,
            stacklevel=3,
        )
    return settled
