"""Between canonical weights (numpy, named by the spec) and the variables of a model."""

from __future__ import annotations

import keras
import tensorflow as tf

from distil.arrays import Array
from distil.common.model import encoder_of
from distil.common.spec import Weight
from distil.tf.layers import check_as_made, check_not_quantized, replace_variable

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
    module = encoder_of(model) if model.task == "base" else model
    for name in weight.module.split("."):
        module = module[int(name)] if name.isdigit() else getattr(module, name)
    return module, *LEAVES[weight.row.kind][weight.leaf]


def put(model: keras.Model, weight: Weight, array: Array) -> None:
    """Assign a canonical array to a variable, replacing it where the shape is another one."""
    module, leaf, swapped = owner(model, weight)
    variable = getattr(module, leaf)
    check_as_made(module, weight.module)
    array = array.T if swapped else array
    if tuple(variable.shape) != array.shape:
        variable = replace_variable(module, leaf, array.shape)
    variable.assign(tf.cast(array, variable.dtype))


def take(model: keras.Model, weight: Weight) -> Array:
    """The canonical array of a variable."""
    module, leaf, swapped = owner(model, weight)
    check_not_quantized(module, weight.module)
    array = to_numpy(getattr(module, leaf))
    return array.T if swapped else array


def to_numpy(x: keras.Variable | tf.Tensor) -> Array:
    """The values of a variable, or of the sum that a layer with LoRA has in its place."""
    return tf.convert_to_tensor(x).numpy()
