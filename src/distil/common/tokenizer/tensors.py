"""From lists of numbers to NumPy arrays and to the tensors of the two frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy

from distil.errors import InputError, not_installed

TensorKind = Literal["np", "pt", "tf"]


def tensor_maker(kind: TensorKind) -> Callable[[str, Any], Any]:
    """Return a function that makes tensors, importing the framework only now.

    It takes a name, for errors, and nested lists of numbers, equally long at each depth.  Whole
    numbers become int64 in NumPy and PyTorch and int32 in TensorFlow, as in transformers; arrays
    and tensors keep their type.

    Raises:
        FrameworkError: The framework is not installed.
    """
    if kind == "np":
        return _array
    framework = import_framework(kind, where="return_tensors")

    def to_torch(name: str, value: Any) -> Any:
        if isinstance(value, framework.Tensor):
            return value
        array = _array(name, value)
        if array.dtype == numpy.float64 and not isinstance(value, numpy.ndarray):
            array = array.astype(numpy.float32)
        return framework.from_numpy(array)

    def to_tensorflow(name: str, value: Any) -> Any:
        if framework.is_tensor(value):
            return value
        array = _array(name, value)
        if not isinstance(value, numpy.ndarray):
            narrower = {numpy.dtype("int64"): "int32", numpy.dtype("float64"): "float32"}
            array = array.astype(narrower.get(array.dtype, array.dtype))
        return framework.constant(array)

    return to_torch if kind == "pt" else to_tensorflow


def import_framework(kind: Literal["pt", "tf"], *, where: str) -> Any:
    """Import the framework whose tensors are asked for; `where` says by what, for the error.

    Tokenizing needs no framework.  This function is the one place of the neutral room `common`
    that imports any, and only for a caller who asks for its tensors.

    Raises:
        FrameworkError: It is not installed.
    """
    try:
        if kind == "pt":
            import torch  # noqa: PLC0415

            return torch
        import tensorflow  # noqa: PLC0415

        return tensorflow
    except ImportError as error:
        name = "PyTorch" if kind == "pt" else "TensorFlow"
        raise not_installed(name, where=where, extra=kind) from error


def to_lists(value: Any) -> Any:
    """Return arrays and tensors, or an iterable of such and of numbers, as numbers in lists.

    Anything else is returned as it is.
    """
    if hasattr(value, "numpy") and not hasattr(value, "tolist"):  # TensorFlow
        value = value.numpy()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return [item if type(item) is int else to_lists(item) for item in value]
    return value


def _array(name: str, value: Any) -> Any:
    if isinstance(value, numpy.ndarray):
        return value
    try:
        array = numpy.asarray(value)
    except ValueError:
        array = None
    if array is None or array.dtype.kind not in "biuf":
        raise InputError(
            "these rows cannot become a tensor", expected="numbers, in rows of one length",
            found=_lengths(value), where=name,
            fix="pass padding=True, and truncation=True for texts longer than the model allows",
        )  # fmt: skip
    # An empty list has no numbers to tell a type from, and NumPy would take float64.
    return array.astype(numpy.int64) if array.dtype.kind in "iu" or not array.size else array


def _lengths(value: Any) -> str:
    lengths = {len(row) for row in value if isinstance(row, list | tuple)}
    if len(lengths) > 1:
        return f"rows of {min(lengths)} to {max(lengths)}"
    return "something that is not a number"
