"""What a student is taught by its teacher, in PyTorch: one function a measurement.

Source: Sanh et al. 2019, section 3 (the triple loss); Hinton et al. 2015 (soft targets).
Shapes: n rows (tokens or texts), c classes or words, d dim, h heads, s length.  All are computed
in float32 at least.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def soft_cross_entropy(
    student: Tensor, teacher: Tensor, mask: Tensor, temperature: float
) -> Tensor:
    """L_ce: the divergence KL(teacher || student) of softened predictions, times T squared.

    The factor keeps the gradients of one size whatever the temperature (Hinton et al., section 2).

    Args:
        student: Logits (..., c).
        teacher: Logits (..., c); no gradient flows into them.
        mask: (...) true where a row counts.
        temperature: T, what logits are divided by; above 1 softens.

    Returns:
        The mean over the rows that count; 0 where none does.
    """
    student, teacher = _precise(student) / temperature, _precise(teacher.detach()) / temperature
    targets = functional.log_softmax(teacher, dim=-1)
    each = (targets.exp() * (targets - functional.log_softmax(student, dim=-1))).sum(-1)
    return _mean_where(each, mask) * temperature**2


def cosine_distance(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """L_cos: 1 - cos of the angle between hidden states (..., d), mean where `mask` (...) is."""
    each = 1 - functional.cosine_similarity(
        _precise(student), _precise(teacher.detach()), dim=-1, eps=1e-8
    )
    return _mean_where(each, mask)


def hidden_difference(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of hidden states or logits (..., d) where `mask` (...) is true."""
    each = (_precise(student) - _precise(teacher.detach())).square().mean(-1)
    return _mean_where(each, mask)


def attention_difference(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of attention weights (b, h, s, s); `mask` (b, s) is the batch's.

    Rows and columns of padding are left out.
    """
    pairs = (mask[:, :, None] & mask[:, None, :])[:, None].expand_as(student)
    return _mean_where((_precise(student) - _precise(teacher.detach())).square(), pairs)


def pooled(states: Tensor, mask: Tensor) -> Tensor:
    """Vectors of texts (b, d): means of hidden states (b, s, d) where `mask` (b, s) is true.

    That of a text without tokens is 0.
    """
    shown = mask[..., None]
    total = torch.where(shown, _precise(states), 0.0).sum(1)
    return total / shown.sum(1).clamp(min=1)


def _mean_where(each: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, each, 0.0).sum() / mask.sum().clamp(min=1)


def _precise(values: Tensor) -> Tensor:
    return values.float() if values.dtype.itemsize < 4 else values
