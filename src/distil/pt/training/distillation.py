"""What a student is taught by its teacher, in PyTorch: one function a measurement.

Sources: Sanh et al. 2019, section 3 (the triple loss); Hinton et al. 2015 (soft targets); Jiao et
al. 2020 (attention scores); Wang et al. 2021, MiniLMv2 (relations).
Shapes: n rows (tokens or texts), c classes or words, d dim, h heads, s length.  All are computed
in float32 at least.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from distil.common.steps.teaching import NO_SCORE


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


def mapped(states: Tensor, weight: Tensor) -> Tensor:
    """Hidden states (..., d) in another width e: their products with each row of `weight` (e, d).

    In float32 at least.
    """
    with torch.autocast(states.device.type, enabled=False):
        return functional.linear(_precise(states), weight)


def attention_scores(queries: Tensor, keys: Tensor, heads: int) -> Tensor:
    """Products of the queries and keys (b, s, h * e) of each head over the root of its width.

    Args:
        queries: All heads side by side.
        keys: Likewise.
        heads: How many there are.

    Returns:
        What attention takes the softmax of (b, h, s, s), in float32 at least.
    """
    # Autocast would round products to bfloat16 again.
    with torch.autocast(queries.device.type, enabled=False):
        q, k = (_precise(x).unflatten(2, (heads, -1)).transpose(1, 2) for x in (queries, keys))
        return q * q.shape[-1] ** -0.5 @ k.transpose(2, 3)


def attention_difference(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of attention scores (b, h, s, s); `mask` (b, s) is the batch's.

    Before the softmax, as in Jiao et al. 2020 (equation 7), who find it to converge faster.  Rows
    and columns of padding are left out.
    """
    pairs = (mask[:, :, None] & mask[:, None, :])[:, None].expand_as(student)
    return _mean_where((_precise(student) - _precise(teacher.detach())).square(), pairs)


def relation_divergence(student: Tensor, teacher: Tensor, mask: Tensor, heads: int) -> Tensor:
    """KL(teacher || student) of how the tokens of a text are related (Wang et al. 2021, MiniLMv2).

    Args:
        student: Its queries, keys or values (b, s, a).
        teacher: Those of the teacher (b, s, c); no gradient flows into them.
        mask: (b, s) true where a token is no padding.
        heads: How many parts each is cut into; a relation is a softmax of scaled products.

    Returns:
        The mean over parts and tokens.
    """
    hidden = ~mask[:, None, None, :]
    own, theirs = (
        functional.log_softmax(attention_scores(x, x, heads).masked_fill(hidden, NO_SCORE), dim=-1)
        for x in (student, teacher.detach())
    )  # b h s s
    each = (theirs.exp() * (theirs - own)).sum(-1)  # b h s
    return _mean_where(each, mask[:, None].expand_as(each))


def similarity_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL(teacher || student) of how alike each text of a batch is to the others.

    Args:
        student: Vectors of texts (b, d).
        teacher: Those of the teacher (b, c); no gradient flows into them.
        temperature: What cosines are divided by, before a softmax over the other texts.

    Returns:
        The mean over texts; 0 where there is none to compare with.
    """
    with torch.autocast(student.device.type, enabled=False):
        own, theirs = (_likeness(x, temperature) for x in (student, teacher.detach()))
    return (theirs.exp() * (theirs - own)).sum(-1).mean()


def pooled(states: Tensor, mask: Tensor) -> Tensor:
    """Vectors of texts (b, d): means of hidden states (b, s, d) where `mask` (b, s) is true.

    That of a text without tokens is 0.
    """
    shown = mask[..., None]
    total = torch.where(shown, _precise(states), 0.0).sum(1)
    return total / shown.sum(1).clamp(min=1)


def _likeness(vectors: Tensor, temperature: float) -> Tensor:
    """Logarithms of the shares (b, b) that the other texts have in being alike to each."""
    scaled = functional.normalize(_precise(vectors), dim=-1, eps=1e-8)
    itself = torch.eye(len(scaled), dtype=torch.bool, device=scaled.device)
    return functional.log_softmax(
        (scaled @ scaled.T / temperature).masked_fill(itself, NO_SCORE), -1
    )


def _mean_where(each: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, each, 0.0).sum() / mask.sum().clamp(min=1)


def _precise(values: Tensor) -> Tensor:
    return values.float() if values.dtype.itemsize < 4 else values
