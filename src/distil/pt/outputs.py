"""Outputs as PyTorch takes them apart: torch.export and functional transforms see the tensors.

The twin of this file is `distil.tf.outputs`.
"""

from __future__ import annotations

from torch.utils import _pytree as pytree

from distil.common.outputs import OUTPUTS, ModelOutput


def register(cls: type[ModelOutput]) -> None:
    """Make a class of outputs a container of tensors."""
    pytree.register_pytree_node(
        cls,
        lambda output: (list(output.values()), list(output)),
        lambda values, names: cls(**dict(zip(names, values, strict=True))),
        serialized_type_name=f"distil.{cls.__name__}",
    )


for _output in OUTPUTS:
    register(_output)
