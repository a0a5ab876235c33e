"""A batch cut into slices, one for each worker or replica that computes it.

Shapes: b rows of a batch, s length, m tokens to be guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from distil.arrays import Array
from distil.common.steps.batching import Batch, count_labels
from distil.common.steps.masking import PLACES


def slice_of(batch: Batch, number: int, count: int) -> Batch:
    """One of `count` slices: every `count`-th row from row `number` on.

    Rows stand in order of length, so that all slices have about as many tokens.  A slice that
    would be empty has the first row as its input, so that there is something to be computed, but
    no `rows`, and nothing in it counts.

    Args:
        batch: With `input_ids` (b, s), or (b, choices, s).
        number: Of the slice, from 0.
        count: How many slices there are; a batch of one is its only slice.
    """
    if count == 1:
        return batch
    taken = np.arange(number, len(batch.rows), count)
    computed = taken if len(taken) else np.zeros(1, np.int64)
    if PLACES in batch.inputs:
        inputs = _guessed_in(batch.inputs, computed)
    else:
        inputs = {name: array[computed] for name, array in batch.inputs.items()}
    ids = inputs["input_ids"]
    shown = inputs["attention_mask"].sum() if "attention_mask" in inputs else ids.size
    return replace(
        batch,
        inputs=inputs,
        rows=batch.rows[taken],
        tokens=int(shown) if len(taken) else 0,
        size=ids.size,
        counted=count_labels(inputs, len(taken)) if len(taken) else 0,
    )


def _guessed_in(inputs: Mapping[str, Array], rows: Array) -> dict[str, Array]:
    """Inputs of masked-LM at some rows; its `labels` and `places` (m) are lists of all rows."""
    width = inputs["input_ids"].shape[1]
    where, columns = np.divmod(inputs[PLACES], width)  # m
    numbers = np.full(len(inputs["input_ids"]), -1)  # b
    numbers[rows] = np.arange(len(rows))
    mine = numbers[where] >= 0
    places = numbers[where[mine]] * width + columns[mine]
    listed = {"labels": inputs["labels"][mine], PLACES: places.astype(inputs[PLACES].dtype)}
    return {name: listed[name] if name in listed else array[rows] for name, array in inputs.items()}
