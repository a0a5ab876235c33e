"""TensorFlow's oneDNN operations, by name; `distil.pt` has no twin of this file.

TensorFlow itself puts them in the place of others when it optimizes a graph.  But it lays out
weights for the processor only if they are constants of the graph, which it takes seconds to copy;
and it does not find every layer norm.  They are no part of its public interface: see
`distil.tf.inference.capabilities.has_onednn`.

Shapes: t tokens, i inputs, o outputs, n sequences, h heads, r queries, s length, e width of a
head, d dim.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def operation(name: str, inputs: list[tf.Tensor], **attributes: Any) -> tf.Tensor:
    """Add an operation to the graph being traced; its output is of its inputs' type."""
    graph = tf.compat.v1.get_default_graph()
    dtype = inputs[0].dtype
    values = {key: _attribute(value) for key, value in {"T": dtype, **attributes}.items()}
    return graph.create_op(name, inputs, [dtype], name=name.strip("_"), attrs=values).outputs[0]


def _attribute(value: Any) -> Any:
    """A value as a node of a graph holds it."""
    stored = tf.compat.v1.AttrValue()
    if isinstance(value, tf.DType):
        stored.type = value.as_datatype_enum
    elif isinstance(value, bool):
        stored.b = value
    elif isinstance(value, int):
        stored.i = value
    elif isinstance(value, float):
        stored.f = value
    elif isinstance(value, str):
        stored.s = value.encode()
    else:
        stored.list.s.extend(one.encode() for one in value)
    return stored


def fused_product(
    x: tf.Tensor, weight: tf.Tensor, *added: tf.Tensor, fused: tuple[str, ...], keep: bool
) -> tf.Tensor:
    """Multiply x (t, i) with weight (i, o) and do more while that is written; gives (t, o).

    Args:
        x: The left side.
        weight: The right side.
        *added: What the fused operations need: a bias (o), a tensor (t, o) to add.
        fused: Names of the operations, in their order.
        keep: Whether to lay the weight out for the processor once, and keep that beside it.
    """
    return operation(
        "_MklNativeFusedMatMul", [x, weight, *added], num_args=len(added), fused_ops=fused,
        is_filter_const=keep, _kernel="MklNameChangeOp",
    )  # fmt: skip


def fused_scores(q: tf.Tensor, k: tf.Tensor, factor: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Multiply q (n, h, r, e), k (n, h, s, e) and a factor, and add a bias; gives (n, h, r, s)."""
    return operation(
        "_MklFusedBatchMatMulV2", [q, k, factor, bias], adj_y=True, num_args=2,
        fused_ops=("Mul", "Add"),
    )  # fmt: skip


def fused_norm(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Layer norm over the last axis of x (t, d)."""
    return operation("_MklLayerNorm", [x, weight, bias], epsilon=epsilon)
