"""The losses, in PyTorch; `distil.common.labels` says which is used when.

Shapes: n labels, c classes, b batch, s length.  All are computed in float32 at least.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from distil.arrays import Array
from distil.common import labels as rules
from distil.common.config import DistilBertConfig
from distil.common.inputs import not_integers, out_of_range
from distil.errors import InputError
from distil.pt.checks import is_integer, refuse_if


def loss(config: DistilBertConfig, task: str, logits: Tensor, labels: Tensor) -> Tensor:
    """The loss of a head that scores classes.

    Args:
        config: Of the model.
        task: Of the model.
        logits: (..., c)
        labels: (...) integers, or (..., c) numbers for the losses that take them.

    Returns:
        A scalar.

    Raises:
        InputError: The labels cannot be meant.
    """
    kind = rules.loss_kind(
        config,
        task=task,
        integers=is_integer(labels),
        logits=tuple(logits.shape),
        labels=tuple(labels.shape),
    )
    if kind == rules.CROSS_ENTROPY:
        return cross_entropy(logits.flatten(0, -2), labels.flatten())
    return regression(logits, labels) if kind == rules.REGRESSION else binary(logits, labels)


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    class_weights: Array | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Mean cross entropy of logits (n, c) over the integer labels (n) that are not ignored.

    Args:
        logits: (n, c)
        labels: (n)
        class_weights: What a label of each class counts in the mean (c); None for one each.
        smoothing: Share of each target that is spread evenly over all classes.
    """
    classes = logits.shape[-1]
    labels = labels.long()
    counted = labels != rules.IGNORED
    wrong = counted & ((labels < 0) | (labels >= classes))
    refuse_if(
        wrong, labels, lambda found: out_of_range("labels", classes, found, what="the classes")
    )
    logits, labels = _precise(logits), labels.masked_fill(wrong, rules.IGNORED)
    weights = None
    if class_weights is not None:
        weights = torch.as_tensor(class_weights, dtype=logits.dtype, device=logits.device)
    total = functional.cross_entropy(
        logits,
        labels,
        weight=weights,
        ignore_index=rules.IGNORED,
        reduction="sum",
        label_smoothing=smoothing,
    )
    size = counted.sum().clamp(min=1)
    if weights is not None:
        size = torch.where(labels == rules.IGNORED, 0, weights[labels.clamp(min=0)]).sum()
        size = torch.where(size > 0, size, 1)
    return _poisoned(total / size, wrong)


def regression(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error of logits (b, c) against the numbers (b, c) that are not ignored."""
    logits = _precise(logits)
    labels = labels.to(logits.dtype).reshape(logits.shape)
    counted = labels != rules.IGNORED
    wrong = counted & ~labels.isfinite()
    refuse_if(wrong, labels, lambda found: _not_a_target("a finite number", found))
    difference = torch.where(counted, logits - labels, 0.0)
    return _poisoned(_mean(difference.square(), counted), wrong)


def binary(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross entropy of logits (b, c) against the targets (b, c) not ignored."""
    logits = _precise(logits)
    labels = labels.to(logits.dtype).reshape(logits.shape)
    counted = labels != rules.IGNORED
    wrong = counted & ~((labels >= 0) & (labels <= 1))
    refuse_if(wrong, labels, lambda found: _not_a_target("a number from 0 to 1", found))
    each = functional.binary_cross_entropy_with_logits(
        logits, torch.where(counted, labels, 0.0), reduction="none"
    )
    return _poisoned(_mean(each, counted), wrong)


def span(start_logits: Tensor, end_logits: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Mean of the cross entropies of an answer's start and end; logits (b, s), positions (b).

    Raises:
        InputError: The positions are not integers, or not one a text.
    """
    losses = []
    for name, logits, given in (
        ("start_positions", start_logits, start),
        ("end_positions", end_logits, end),
    ):
        if not is_integer(given):
            raise not_integers(name, given.dtype)
        rules.check_positions(name, tuple(logits.shape), tuple(given.shape))
        positions = given.reshape(-1).long()
        outside = (positions < 0) | (positions >= logits.shape[1])
        losses.append(cross_entropy(logits, positions.masked_fill(outside, rules.IGNORED)))
    return (losses[0] + losses[1]) / 2


def _precise(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype.itemsize < 4 else logits


def _mean(each: Tensor, counted: Tensor) -> Tensor:
    return torch.where(counted, each, 0.0).sum() / counted.sum().clamp(min=1)


def _poisoned(value: Tensor, wrong: Tensor) -> Tensor:
    """`value`, or NaN if any label was wrong and no error could be raised for it."""
    return torch.where(wrong.any(), torch.nan, value)


def _not_a_target(expected: str, found: float) -> InputError:
    return InputError("labels hold an impossible target", expected=expected, found=found)
