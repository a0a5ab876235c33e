"""What happens to weights when a model loses heads or changes the size of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distil.common.config import DistilBertConfig
from distil.common.initial import initial_weight
from distil.common.spec import Weight, parameters, weights


def without_heads(config: DistilBertConfig, heads: Mapping[int, Sequence[int]]) -> DistilBertConfig:
    """The configuration after pruning `heads` (layer -> heads, numbered as in the full model).

    Raises:
        ConfigError: There is no such layer or head, or a layer would keep none.
    """
    gone = {
        layer: sorted({*config.pruned_heads.get(layer, ()), *heads.get(layer, ())})
        for layer in {*config.pruned_heads, *heads}
    }
    return config.replace(pruned_heads={layer: some for layer, some in gone.items() if some})


def changed(before: DistilBertConfig, after: DistilBertConfig, task: str) -> Iterator[Weight]:
    """The weights whose shape is another one after the change."""
    old = weights(before, task)
    return (w for w in parameters(after, task) if w.shape != old[w.name].shape)


def adapted(
    array: NDArray[Any],
    weight: Weight,
    before: DistilBertConfig,
    after: DistilBertConfig,
    *,
    seed: int,
) -> NDArray[Any]:
    """The values of `weight` after the change.

    Axes of attention heads keep what belongs to the heads that are left.  Tables are cut
    short, or go on with rows as a new model has them: new words and learned positions are
    drawn, new sinusoidal positions computed.

    Args:
        array: Its values before.
        weight: As the configuration afterwards has it.
        before: The configuration before.
        after: The configuration afterwards.
        seed: For new rows.
    """
    letters = weight.row.shape.split()[: len(weight.shape)]
    for axis, letter in enumerate(letters):
        if letter == "A" and weight.layer is not None:
            array = np.take(array, _kept_columns(before, after, weight.layer), axis)
    rows = weight.shape[0]
    if array.shape[0] < rows:
        new = initial_weight(after, weight, seed)[array.shape[0] :]
        array = np.concatenate([array, new.astype(array.dtype)])
    return np.ascontiguousarray(array[:rows])


def _kept_columns(
    before: DistilBertConfig, after: DistilBertConfig, layer: int
) -> NDArray[np.int64]:
    """Where, on an axis of the heads of `before`, those of `after` are."""
    had = [h for h in range(before.n_heads) if h not in before.pruned_heads.get(layer, ())]
    kept = [i for i, h in enumerate(had) if h not in after.pruned_heads.get(layer, ())]
    columns = np.arange(before.head_dim)
    return (np.array(kept)[:, None] * before.head_dim + columns).ravel()
