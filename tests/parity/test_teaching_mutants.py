"""Mistakes in what a student is taught, made on purpose in PyTorch: each is seen beside TensorFlow.

A mutant is a healthy step of distillation of which one function is replaced.  It is caught where
the loss or the norm of the gradients of its step is another by more than float32 would explain.
"""

from functools import cache

import pytest
import torch
from torch.nn import functional

from distil.pt.training import distillation as healthy
from parity.test_encoder_teaching import RATE, batch, recipe_for, step_for

pytestmark = [pytest.mark.pt, pytest.mark.tf]

SEEN = 1e-5  # relative

pooled, scores, mapped = healthy.pooled, healthy.attention_scores, healthy.mapped
relations, likeness = healthy.relation_divergence, healthy.similarity_divergence


def unscaled(queries, keys, heads):
    return scores(queries, keys, heads) * (queries.shape[-1] // heads) ** 0.5


def with_itself(student, teacher, temperature):
    own, theirs = (functional.normalize(x, dim=-1) for x in (student, teacher))
    own, theirs = (torch.log_softmax(x @ x.T / temperature, -1) for x in (own, theirs))
    return (theirs.exp() * (theirs - own)).sum(-1).mean()


SQUARED = {"alpha_vector": 1.0, "vector_distance": "squared"}
VECTOR, SIMILARITY = {"alpha_vector": 1.0}, {"alpha_similarity": 1.0}
RELATIONS, ATTENTION = {"alpha_relations": 1.0}, {"alpha_attention": 1.0}
MAPPED = {"alpha_hidden": 1.0, "linear_map": True}

# Which losses, which function, and what is there in its place.
MUTANTS = {
    "mean over padding too": (VECTOR, "pooled", lambda x, mask: x.mean(1)),
    "first token": (VECTOR, "pooled", lambda x, mask: x[:, 0]),
    "sum instead of mean": (SQUARED, "pooled", lambda x, mask: (x * mask[..., None]).sum(1)),
    "sum over numbers": (
        SQUARED, "hidden_difference", lambda s, t, mask: (s - t).square().sum(-1).mean()
    ),
    "vectors are not scaled": (
        VECTOR, "cosine_distance", lambda s, t, mask: (1 - (s * t).sum(-1)).mean()
    ),
    "angles": (
        VECTOR, "cosine_distance",
        lambda s, t, mask: functional.cosine_similarity(s, t).arccos().mean(),
    ),
    "cosines are not divided": (
        SIMILARITY, "similarity_divergence", lambda s, t, temperature: likeness(s, t, 1.0)
    ),
    "texts are compared with themselves": (SIMILARITY, "similarity_divergence", with_itself),
    "student and teacher change places (texts)": (
        SIMILARITY, "similarity_divergence",
        lambda s, t, temperature: likeness(t.requires_grad_(), s, temperature) + 0 * s.sum(),
    ),
    "student and teacher change places (tokens)": (
        RELATIONS, "relation_divergence",
        lambda s, t, mask, heads: relations(t, s, mask, heads) + 0 * s.sum(),
    ),
    "relations of padding": (
        RELATIONS, "relation_divergence",
        lambda s, t, mask, heads: relations(s, t, torch.ones_like(mask), heads),
    ),
    "one part instead of four": (
        RELATIONS, "relation_divergence", lambda s, t, mask, heads: relations(s, t, mask, 1)
    ),
    "relations are not scaled": (RELATIONS, "attention_scores", unscaled),
    "scores are not scaled": (ATTENTION, "attention_scores", unscaled),
    "scores after the softmax": (
        ATTENTION, "attention_scores", lambda q, k, heads: torch.softmax(scores(q, k, heads), -1)
    ),
    "scores of padding": (
        ATTENTION, "attention_difference", lambda s, t, mask: (s - t).square().mean()
    ),
    "queries with queries": (
        ATTENTION, "attention_scores", lambda q, k, heads: scores(q, q, heads) + 0 * k.sum()
    ),
    "states are not mapped": (MAPPED, "mapped", lambda x, weight: x + 0 * weight.sum()),
    "the map is turned": (MAPPED, "mapped", lambda x, weight: x @ weight),
    "the map is not learned": (MAPPED, "mapped", lambda x, weight: mapped(x, weight.detach())),
    "the map alone is learned": (MAPPED, "mapped", lambda x, weight: mapped(x.detach(), weight)),
    "in bfloat16": (
        MAPPED, "mapped", lambda x, weight: mapped(x.bfloat16(), weight.bfloat16().float())
    ),
}  # fmt: skip


def measured(framework, losses):
    """The loss of a step, and the norm of its gradients."""
    found = step_for(framework, recipe_for(**losses)).train([batch(3, rows=5)], RATE, [0, 0])
    return found["loss"], found["gradient_norm"]


@cache
def of_tensorflow(losses):
    return measured("tf", dict(losses))


def distance(losses):
    pairs = zip(measured("pt", losses), of_tensorflow(tuple(losses.items())), strict=True)
    return max(abs(one / other - 1) for one, other in pairs)


@pytest.mark.parametrize("name", MUTANTS)
def test_caught(name, monkeypatch):
    losses, function, mutant = MUTANTS[name]
    monkeypatch.setattr(healthy, function, mutant)
    assert distance(losses) > SEEN


@pytest.mark.parametrize("losses", [VECTOR, SQUARED, SIMILARITY, RELATIONS, ATTENTION, MAPPED])
def test_a_healthy_step_is_not_caught(losses):
    assert distance(losses) < 1e-9
