"""Attention within each of the sequences that stand one after another.

Shapes: t tokens, n sequences, h heads, e width of a head, r queries: t, or n where each sequence
has a single one; c sequences of equal length, s that length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from distil.common.inference.packing import Group

# Of queries (r, h, e), keys and values (t, 2, h, e), and the groups; gives (r, h * e).
Attention = Callable[[Tensor, Tensor, "Sequence[Group]"], Tensor]


def by_length(q: Tensor, kv: Tensor, groups: Sequence[Group]) -> Tensor:
    """Attention by one product for all sequences of equal length."""
    single = len(q) != len(kv)
    contexts = []
    for group in groups:
        first, last = group.first, group.first + group.count
        queries = q[first:last] if single else q[group.tokens]
        queries = queries.unflatten(0, (group.count, -1)).transpose(1, 2)  # c h s e
        pairs = kv[group.tokens].unflatten(0, (group.count, group.length))
        k, v = pairs.permute(2, 0, 3, 1, 4).unbind()  # c h s e each
        context = functional.scaled_dot_product_attention(queries, k, v)
        contexts.append(context.transpose(1, 2).flatten(2).flatten(0, 1))
    return contexts[0] if len(contexts) == 1 else torch.cat(contexts)


def by_boundaries(q: Tensor, kv: Tensor, groups: Sequence[Group]) -> Tensor:
    """Attention by one kernel that is told where each sequence ends (FlashAttention's)."""
    from torch.nn.attention.varlen import varlen_attn  # noqa: PLC0415 - not in every PyTorch

    lengths = [group.length for group in groups for _ in range(group.count)]
    ends = torch.tensor([0, *lengths]).cumsum(0, dtype=torch.int32)  # n + 1
    single = len(q) != len(kv)
    query_ends = torch.arange(len(ends), dtype=torch.int32) if single else ends
    longest = max(lengths)
    k, v = kv.unbind(1)
    context = varlen_attn(
        q.contiguous(), k.contiguous(), v.contiguous(),
        query_ends.to(q.device), ends.to(q.device), 1 if single else longest, longest,
    )  # fmt: skip
    return context.flatten(1)


def attention_for(device: torch.device, dtype: torch.dtype) -> Attention:
    """The faster of the two: boundaries on a GPU, in the types that its kernel takes."""
    half = dtype in (torch.bfloat16, torch.float16)
    if device.type == "cuda" and half and find_spec("torch.nn.attention.varlen"):
        return by_boundaries
    return by_length
