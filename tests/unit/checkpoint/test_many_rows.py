"""What is looked at a few rows at a time is looked at to the last row."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distil.storage.tensors import StoredTensor, not_finite, same_values

ROWS = 2500  # three looks, the last of them at fewer rows


def tensor(values: np.ndarray[Any, Any], released: list[str], name: str = "one") -> StoredTensor:
    load, let_go = partial(np.asarray, values), partial(released.append, name)
    return StoredTensor(name, Path("file"), values.shape, values.dtype, load, let_go)


@pytest.mark.parametrize("row", [0, 1023, 1024, 2047, 2048, ROWS - 1])
def test_each_row_counts(row: int) -> None:
    values = np.zeros((ROWS, 2), np.float32)
    other = values.copy()
    other[row, 1] = -0.0  # equal, and not the same bytes
    assert same_values(tensor(values, []), tensor(values.copy(), []))
    assert not same_values(tensor(values, []), tensor(other, []))
    assert not_finite(values) is None
    other[row] = np.nan, -np.inf
    start = row // 1024 * 1024
    assert not_finite(other) == f"2 in rows {start} to {min(start + 1023, ROWS - 1)}"


def test_other_shapes_and_types_are_not_the_same() -> None:
    values = np.zeros((4, 2), np.float32)
    assert not same_values(tensor(values, []), tensor(values.reshape(2, 4), []))
    assert not same_values(tensor(values, []), tensor(values.view(np.int32), []))
    assert same_values(tensor(np.float32(3)[()], []), tensor(np.float32(3)[()], []))


def test_what_was_read_is_let_go_of() -> None:
    values, released = np.zeros((ROWS, 2), np.float32), list[str]()
    assert same_values(tensor(values, released), tensor(values.copy(), released, "other"))
    assert released == ["one", "other"] * 3
    # One place in memory is not read at all.
    assert same_values(tensor(values, released), tensor(values, released))
    assert len(released) == 6
