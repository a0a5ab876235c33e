"""Between canonical weights (numpy, named by the spec) and the variables of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

import keras
import tensorflow as tf
from numpy.typing import NDArray

from distil.common.config import DistilBertConfig
from distil.common.initial import initial_weight
from distil.common.spec import Weight, parameters
from distil.common.surgery import adapted, changed
from distil.tf.layers import replace_variable

# Attributes by kind of module and canonical leaf, and whether the axes are swapped.  A walk
# along attributes finds every variable; Keras's variable.path counts upward and cannot.
_NORM = {"weight": ("gamma", False), "bias": ("beta", False)}
_TABLE = {"weight": ("embeddings", False)}
LEAVES = {
    "embedding": _TABLE,
    "positions": _TABLE,
    "linear": {"weight": ("kernel", True), "bias": ("bias", False)},
    "norm": _NORM,
}


def owner(model: keras.Model, weight: Weight) -> tuple[keras.layers.Layer, str, bool]:
    """The layer that holds `weight`, its attribute there, and whether axes are swapped."""
    module = reduce(_step, weight.module.split("."), model)
    return module, *LEAVES[weight.row.kind][weight.leaf]


def _step(module: Any, name: str) -> Any:
    return module[int(name)] if name.isdigit() else getattr(module, name)


def fill(
    model: keras.Model,
    config: DistilBertConfig,
    task: str,
    read: Mapping[str, Callable[[], NDArray]],
    *,
    seed: int,
) -> None:
    """Give every variable its values: those that can be read, and new ones for the rest."""
    for weight in parameters(config, task):
        source = read.get(weight.name)
        array = initial_weight(config, weight, seed) if source is None else source()
        put(model, weight, array)


def put(model: keras.Model, weight: Weight, value: NDArray) -> None:
    """Assign a canonical array to a variable, replacing it where the shape is another one."""
    module, leaf, swapped = owner(model, weight)
    variable = getattr(module, leaf)
    value = value.T if swapped else value
    if tuple(variable.shape) != value.shape:
        variable = replace_variable(module, leaf, value.shape)
    variable.assign(tf.cast(value, variable.dtype))


def named_arrays(
    model: keras.Model, config: DistilBertConfig, task: str
) -> Iterator[tuple[str, NDArray]]:
    """Every variable as a canonical array, one at a time."""
    for weight in parameters(config, task):
        module, leaf, swapped = owner(model, weight)
        array = to_numpy(getattr(module, leaf))
        yield weight.name, array.T if swapped else array


def reshape(
    model: keras.Model, task: str, before: DistilBertConfig, after: DistilBertConfig, *, seed: int
) -> None:
    """Replace the variables whose shape differs between two configurations."""
    for weight in changed(before, after, task):
        module, leaf, swapped = owner(model, weight)
        old = to_numpy(getattr(module, leaf))
        put(model, weight, adapted(old.T if swapped else old, weight, before, after, seed=seed))


def to_numpy(variable: keras.Variable) -> NDArray:
    """The values of a variable."""
    return tf.convert_to_tensor(variable.value).numpy()
