"""What happens to the weights when heads are pruned or a table is resized."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from distil.common.config import DistilBertConfig
from distil.common.initial import initial_weight
from distil.common.rules import COUNT
from distil.common.spec import Weight, parameters, weights
from distil.errors import ConfigError, shown


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
    """The weights whose shape changes."""
    old = weights(before, task)
    return (w for w in parameters(after, task) if w.shape != old[w.name].shape)


def adapted(
    array: NDArray[Any],
    weight: Weight,
    before: DistilBertConfig,
    after: DistilBertConfig,
    *,
    seed: int,
    around_mean: bool = False,
) -> NDArray[Any]:
    """The values of `weight` after the change.

    Axes of attention heads keep what belongs to the remaining heads.  Tables are cut short, or
    extended with rows like a new model's: new words and learned positions are
    drawn, new sinusoidal positions computed.

    Args:
        array: Its values before.
        weight: As the configuration afterwards has it.
        before: The configuration before.
        after: The configuration afterwards.
        seed: For new rows.
        around_mean: Draw new words around the mean of the old ones.
    """
    letters = weight.row.shape.split()[: len(weight.shape)]
    for axis, letter in enumerate(letters):
        if letter == "A" and weight.layer is not None:
            array = np.take(array, _kept_columns(before, after, weight.layer), axis)
    rows = weight.shape[0]
    if array.shape[0] < rows:
        new: NDArray[Any] = initial_weight(after, weight, seed)[array.shape[0] :]
        # Where transformers ties the table of the masked-LM head, new biases are 0.
        if around_mean and not (weight.leaf == "bias" and after.tie_word_embeddings):
            new = _like_the_old(array, len(new), [seed, crc32(weight.name.encode())])
        array = np.concatenate([array, new.astype(array.dtype)])
    return np.ascontiguousarray(array[:rows])


def rounded_up(size: Any, factor: Any) -> int:
    """The smallest multiple of `factor` that is at least `size`.

    Raises:
        ConfigError: One is not a positive integer.
    """
    for name, value in (("new_num_tokens", size), ("pad_to_multiple_of", factor)):
        if not COUNT.holds(value):
            raise ConfigError(f"{name} is not valid", expected=COUNT.words, found=shown(value))
    return int(-(-size // factor) * factor)


def _like_the_old(array: NDArray[Any], count: int, seed: Sequence[int]) -> NDArray[Any]:
    """New rows: normal, with the mean of the old ones and 1e-9 times their covariance.

    A new word then starts with an average score, where a row of a new model's would give it a
    higher one than many words have.  Source: transformers 4.57, `mean_resizing`, after Hewitt 2021.
    """
    # In one order of memory, so that sums round alike in both frameworks.
    old = np.ascontiguousarray(array, np.float64).reshape(len(array), -1)
    mean, random = old.mean(axis=0), np.random.default_rng(seed)
    spread = (old - mean) * np.sqrt(1e-9 / len(old))
    # A sum of old rows' differences from the mean, with random factors, has their covariance.
    new = np.stack([mean + random.standard_normal(len(old)) @ spread for _ in range(count)])
    return new.reshape(count, *array.shape[1:])


def _kept_columns(
    before: DistilBertConfig, after: DistilBertConfig, layer: int
) -> NDArray[np.int64]:
    """Where, on an axis of the heads of `before`, those of `after` are."""
    had = [h for h in range(before.n_heads) if h not in before.pruned_heads.get(layer, ())]
    kept = [i for i, h in enumerate(had) if h not in after.pruned_heads.get(layer, ())]
    columns = np.arange(before.head_dim)
    return (np.array(kept)[:, None] * before.head_dim + columns).ravel()
