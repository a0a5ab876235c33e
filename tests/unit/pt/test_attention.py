"""Both ways to attend within sequences give what one sequence alone gives."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from distil.common.inference.packing import Group
from distil.pt.inference.attention import attention_for, by_boundaries, by_length

pytestmark = pytest.mark.pt

# Two sequences of 5 tokens, one of 3, two of 1.
GROUPS = (Group(0, 2, 0, 5), Group(2, 1, 10, 3), Group(3, 2, 13, 1))
BOUNDS = ((0, 5), (5, 10), (10, 13), (13, 14), (14, 15))
HEADS, WIDTH = 2, 4


def varlen_attn(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k):
    """In place of the kernel for GPUs: the same arguments, the same result, and its checks."""
    for ends, rows, longest in ((cu_seq_q, query, max_q), (cu_seq_k, key, max_k)):
        assert ends.dtype == torch.int32
        assert ends[0] == 0
        assert ends[-1] == len(rows)
        assert ends.diff().max() == longest
    found = []
    for number in range(len(cu_seq_q) - 1):
        rows = slice(cu_seq_q[number], cu_seq_q[number + 1])
        tokens = slice(cu_seq_k[number], cu_seq_k[number + 1])
        q, k, v = (x.transpose(0, 1) for x in (query[rows], key[tokens], value[tokens]))
        found.append(functional.scaled_dot_product_attention(q, k, v).transpose(0, 1))
    return torch.cat(found)


@pytest.fixture(params=[by_length, by_boundaries], ids=lambda function: function.__name__)
def attention(request, monkeypatch):
    module = pytest.importorskip("torch.nn.attention.varlen")
    monkeypatch.setattr(module, "varlen_attn", varlen_attn)
    return request.param


@pytest.mark.parametrize("single", [False, True], ids=["all queries", "one a sequence"])
@pytest.mark.parametrize("count", [1, 3], ids=["one group", "groups"])
def test_each_sequence_attends_to_itself(attention, single, count):
    groups = GROUPS[:count]
    bounds = BOUNDS[: groups[-1].first + groups[-1].count]
    torch.manual_seed(0)
    qkv = torch.randn(bounds[-1][1], 3, HEADS, WIDTH, dtype=torch.float64)
    kv = qkv[:, 1:]
    q = torch.randn(len(bounds), HEADS, WIDTH, dtype=torch.float64) if single else qkv[:, 0]
    found = attention(q, kv, groups)
    assert found.shape == (len(q), HEADS * WIDTH)
    assert found.dtype == torch.float64
    for number, (start, end) in enumerate(bounds):
        rows = slice(number, number + 1) if single else slice(start, end)
        scores = torch.einsum("qhe,khe->hqk", q[rows], kv[start:end, 0]) / np.sqrt(WIDTH)
        expected = torch.einsum("hqk,khe->qhe", scores.softmax(-1), kv[start:end, 1])
        torch.testing.assert_close(found[rows], expected.flatten(1), rtol=1e-12, atol=1e-12)


def test_boundaries_on_a_gpu_in_half_precision_only():
    pytest.importorskip("torch.nn.attention.varlen")
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert attention_for(gpu, torch.bfloat16) is by_boundaries
    assert attention_for(gpu, torch.float16) is by_boundaries
    assert attention_for(gpu, torch.float32) is by_length
    assert attention_for(cpu, torch.bfloat16) is by_length


def test_groups_where_this_pytorch_has_no_boundaries(monkeypatch):
    monkeypatch.setattr("distil.pt.inference.attention.find_spec", lambda _: None)
    assert attention_for(torch.device("cuda"), torch.bfloat16) is by_length
