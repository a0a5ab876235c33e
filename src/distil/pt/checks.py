"""Checks of what a model is given, in PyTorch; values are looked at where looking is free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distil.common import inputs
from distil.common.config import DistilBertConfig
from distil.common.inputs import not_integers, out_of_range
from distil.errors import DistilError


def can_look(x: Tensor) -> bool:
    """Whether values can be read now: not on a GPU, which would stall, nor while tracing.

    Tensors of other classes may have none (FakeTensor), or only a part of them (DTensor).
    """
    if x.device.type != "cpu" or type(x) is not Tensor:
        return False
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing())


def is_integer(x: Tensor) -> bool:
    """Whether `x` holds integers."""
    return not (x.is_floating_point() or x.is_complex() or x.dtype == torch.bool)


def check_indices(name: str, x: Tensor, limit: int, *, what: str) -> None:
    """Integers that index something must lie within it.

    Raises:
        InputError: They are not integers, or one is outside.
    """
    if not is_integer(x):
        raise not_integers(name, x.dtype)
    x = x.long()  # `limit` may not fit the type of `x`
    refuse_if((x < 0) | (x >= limit), x, lambda found: out_of_range(name, limit, found, what=what))


def refuse_if(wrong: Tensor, x: Tensor, error: Callable[[Any], DistilError]) -> None:
    """Raise if any value is wrong, where values can be read.

    Args:
        wrong: Where `x` is wrong, of the same shape.
        x: The values.
        error: Makes the error from one of the wrong values.
    """
    if can_look(x) and wrong.any():
        raise error(x[wrong][0].item())


def check_inputs(
    config: DistilBertConfig,
    input_ids: Tensor | None,
    attention_mask: Tensor | None,
    inputs_embeds: Tensor | None,
    position_ids: Tensor | None,
    token_type_ids: Tensor | None,
    head_mask: Tensor | None = None,
    *,
    choices: bool = False,
) -> None:
    """A model's inputs must fit it and one another; its arguments are those of the model's call.

    Raises:
        InputError: They do not.
    """
    if token_type_ids is not None and not torch.compiler.is_compiling():
        inputs.note_token_types()
    inputs.check_one_of_ids_and_embeddings(input_ids, inputs_embeds)
    inputs.check_shapes(
        config,
        ids=_shape(input_ids),
        embeddings=_shape(inputs_embeds),
        mask=_shape(attention_mask),
        positions=_shape(position_ids),
        choices=choices,
    )
    if head_mask is not None:
        inputs.check_head_mask(config, tuple(head_mask.shape))
    if input_ids is not None:
        check_indices("input_ids", input_ids, config.vocab_size, what="the vocabulary")
    if position_ids is not None:
        limit = config.max_position_embeddings
        check_indices("position_ids", position_ids, limit, what="the position embeddings")


def _shape(x: Tensor | None) -> tuple[int, ...] | None:
    return None if x is None else tuple(x.shape)
