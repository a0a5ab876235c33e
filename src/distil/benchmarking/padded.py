"""The plain model in the place of a faster one: what everything else is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.inference.model import InferenceModel
from distil.common.tasks import TASKS

# What pipelines and examples usually take.
ROWS_AT_ONCE = 32


class PaddedModel(InferenceModel):
    """A model called as models usually are: rows as they come, padded to the longest of a batch.

    Args:
        model: A model of either framework.
        rows: In a batch.
    """

    dtype = "float32"

    def __init__(self, model: Any, rows: int = ROWS_AT_ONCE) -> None:
        self.framework, self.config, self.task = model.framework, model.config, model.task
        self._run = _run_pt(model) if model.framework == "pt" else _run_tf(model)
        self._rows = rows
        task = TASKS[self.task]
        self._reads_first, self._has_choices = task.reads_first, task.has_choices

    def score(
        self,
        sequences: Sequence[Any],
        *,
        positions: Sequence[Any] | None = None,
        wanted: Sequence[Any] | None = None,
    ) -> list[Array]:
        """See `InferenceModel.score`; positions always count from 0."""
        found: list[Array] = []
        for start in range(0, len(sequences), self._rows):
            rows = sequences[start : start + self._rows]
            ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
            mask = np.zeros_like(ids)
            for number, row in enumerate(rows):
                ids[number, : len(row)] = row
                mask[number, : len(row)] = 1
            if self._has_choices:
                # Each row is a choice by itself: choices meet only in the softmax.
                ids, mask = ids[:, None], mask[:, None]
            fields = self._run(ids, mask)
            if self._reads_first:
                found += list(fields[0])
                continue
            scores = fields[0] if len(fields) == 1 else np.stack(fields, axis=-1)
            found += [one[: len(row)] for one, row in zip(scores, rows, strict=True)]
        if wanted is not None and not self._reads_first:
            found = [one[places] for one, places in zip(found, wanted, strict=True)]
        return found


def _run_pt(model: Any) -> Any:
    import torch  # noqa: PLC0415

    def run(ids: Array, mask: Array) -> list[Array]:
        with torch.inference_mode():
            output = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
            return [value.float().numpy() for value in output.to_tuple()]

    return run


def _run_tf(model: Any) -> Any:
    import tensorflow as tf  # noqa: PLC0415

    shape = [None] * (3 if TASKS[model.task].has_choices else 2)
    signature = [tf.TensorSpec(shape, tf.int64)] * 2
    call = tf.function(
        lambda ids, mask: model(input_ids=ids, attention_mask=mask).to_tuple(),
        input_signature=signature,
    )
    return lambda ids, mask: [tf.cast(value, tf.float32).numpy() for value in call(ids, mask)]
