"""Outputs as Keras and tf.function take them apart: they see the tensors.

The twin of this file is `distil.pt.outputs`.
"""

from __future__ import annotations

from typing import Any

import optree

from distil.common.outputs import OUTPUTS, ModelOutput


def register(cls: type[ModelOutput]) -> None:
    """Make a class of outputs a container of tensors."""

    def flatten(output: ModelOutput) -> tuple[list[Any], list[str], list[str]]:
        return list(output.values()), list(output), list(output)

    def unflatten(names: list[str], values: Any) -> ModelOutput:
        return cls(**dict(zip(names, values, strict=True)))

    optree.register_pytree_node(cls, flatten, unflatten, namespace="keras")


for _output in OUTPUTS:
    register(_output)
