"""Each measurement of distillation: value and gradient, against numpy and each other."""

import importlib

import numpy as np
import pytest
import tensorflow as tf
import torch

from support.parity import FRAMEWORKS

every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


# The definitions, in float64, row by row.


def soft_cross_entropy(student, teacher, mask, temperature):
    total = 0.0
    for s, t in zip(student[mask], teacher[mask], strict=True):
        p, q = softmax(t / temperature), softmax(s / temperature)
        total += (p * np.log(p / q)).sum() * temperature**2
    return total / max(mask.sum(), 1)


def cosine_distance(student, teacher, mask):
    pairs = list(zip(student[mask], teacher[mask], strict=True))
    each = [1 - s @ t / np.linalg.norm(s) / np.linalg.norm(t) for s, t in pairs]
    return sum(each) / max(len(each), 1)


def hidden_difference(student, teacher, mask):
    each = ((student - teacher) ** 2)[mask]
    return each.mean() if each.size else 0.0


def attention_difference(student, teacher, mask):
    found = [
        (student[b, :, i, j] - teacher[b, :, i, j]) ** 2
        for b in range(len(mask))
        for i in np.flatnonzero(mask[b])
        for j in np.flatnonzero(mask[b])
    ]
    return np.mean(found) if found else 0.0


def relation_divergence(student, teacher, mask, heads):
    total, count = 0.0, 0
    for own, theirs, shown in zip(student, teacher, mask, strict=True):
        for part in range(heads):
            p, q = (
                softmax(x @ x.T / np.sqrt(x.shape[1]))
                for x in (
                    np.split(theirs[shown], heads, 1)[part], np.split(own[shown], heads, 1)[part]
                )
            )  # fmt: skip
            total += (p * np.log(p / q)).sum()
            count += len(p)
    return total / max(count, 1)


def similarity_divergence(student, teacher, temperature):
    total = 0.0
    for row in range(len(student)):
        others = [n for n in range(len(student)) if n != row]
        p, q = (
            softmax(np.array([
                x[row] @ x[n] / np.linalg.norm(x[row]) / np.linalg.norm(x[n]) for n in others
            ]) / temperature)
            for x in (teacher, student)
        )  # fmt: skip
        total += (p * np.log(p / q)).sum()
    return total / len(student)


RANDOM = np.random.default_rng(5)
MASK = np.array([[True, True, True, False], [True, False, False, False], [True, True, True, True]])
HIDDEN = RANDOM.standard_normal((2, 3, 4, 6))
ATTENTION = softmax(RANDOM.standard_normal((2, 3, 2, 4, 4)))
CASES = {
    "soft_cross_entropy": (soft_cross_entropy, 2 * HIDDEN, (2.0,)),
    "soft_cross_entropy, T = 1": (soft_cross_entropy, 2 * HIDDEN, (1.0,)),
    "cosine_distance": (cosine_distance, HIDDEN, ()),
    "hidden_difference": (hidden_difference, HIDDEN, ()),
    "attention_difference": (attention_difference, ATTENTION, ()),
    "relation_divergence": (relation_divergence, HIDDEN, (3,)),
}
every_case = pytest.mark.parametrize("case", CASES)


def run(framework, case, values, mask, dtype="float64"):
    """The value and its gradients by student and teacher (None where none flows)."""
    definition, _, options = CASES[case]
    function = getattr(
        importlib.import_module(f"distil.{framework}.training.distillation"), definition.__name__
    )
    if framework == "pt":
        pair = [torch.from_numpy(v).to(getattr(torch, dtype)).requires_grad_() for v in values]
        value = function(*pair, torch.from_numpy(mask), *options)
        value.backward()
        return value.detach().numpy(), pair[0].grad.double().numpy(), pair[1].grad
    pair = [tf.Variable(tf.cast(v, dtype)) for v in values]
    with tf.GradientTape() as tape:
        value = function(*pair, tf.constant(mask), *options)
    first, second = tape.gradient(value, pair)
    return value.numpy(), tf.cast(first, tf.float64).numpy(), second


@every_framework
@every_case
def test_the_value_is_the_definition_and_the_teacher_learns_nothing(framework, case):
    definition, values, options = CASES[case]
    value, gradient, of_teacher = run(framework, case, values, MASK)
    assert (value.dtype, value.shape) == (np.float64, ())
    np.testing.assert_allclose(value, definition(*values, MASK, *options), rtol=1e-12)
    assert of_teacher is None
    # What is padding teaches nothing.
    assert np.abs(gradient).max() > 1e-3
    if gradient.shape[:2] == MASK.shape:
        np.testing.assert_array_equal(gradient[~MASK], 0)


@every_case
def test_both_frameworks_have_one_gradient(case):
    _, values, _ = CASES[case]
    pt, tf_ = (run(framework, case, values, MASK) for framework in FRAMEWORKS)
    np.testing.assert_allclose(pt[0], tf_[0], rtol=1e-12)
    np.testing.assert_allclose(pt[1], tf_[1], rtol=0, atol=1e-14)


@every_framework
@every_case
def test_a_student_like_its_teacher_has_nothing_to_learn(framework, case):
    _, values, _ = CASES[case]
    value, gradient, _ = run(framework, case, (values[0], values[0]), MASK)
    assert abs(value) < 1e-14
    assert np.abs(gradient).max() < 1e-14


@every_framework
@every_case
def test_nothing_to_compare_is_no_loss(framework, case):
    _, values, _ = CASES[case]
    value, gradient, _ = run(framework, case, values, np.zeros_like(MASK))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


@every_framework
@every_case
def test_half_precision_is_computed_in_float32(framework, case):
    definition, values, options = CASES[case]
    rounded = [tf.cast(tf.cast(v, "bfloat16"), "float64").numpy() for v in values]
    value, _, _ = run(framework, case, rounded, MASK, dtype="bfloat16")
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, definition(*rounded, MASK, *options), rtol=1e-5)


def call(framework, name, arrays, *options, dtype="float64"):
    """The value of a function, and its gradients by the arrays (None where none flows)."""
    function = getattr(importlib.import_module(f"distil.{framework}.training.distillation"), name)
    if framework == "pt":
        given = [torch.from_numpy(x).to(getattr(torch, dtype)).requires_grad_() for x in arrays]
        value = function(*given, *options)
        value.sum().backward()
        found = [x.grad for x in given]
        return value.detach().numpy(), [None if x is None else x.double().numpy() for x in found]
    given = [tf.Variable(tf.cast(x, dtype)) for x in arrays]
    with tf.GradientTape() as tape:
        value = function(*given, *options)
        total = tf.reduce_sum(value)
    found = tape.gradient(total, given)
    return value.numpy(), [None if x is None else tf.cast(x, tf.float64).numpy() for x in found]


VECTORS = RANDOM.standard_normal((5, 6)), RANDOM.standard_normal((5, 4))  # of different widths


@every_framework
def test_how_alike_texts_are_is_the_definition(framework):
    value, (gradient, of_teacher) = call(framework, "similarity_divergence", VECTORS, 0.05)
    assert (value.dtype, value.shape) == (np.float64, ())
    np.testing.assert_allclose(value, similarity_divergence(*VECTORS, 0.05), rtol=1e-12)
    assert np.abs(gradient).max() > 1e-3
    assert of_teacher is None
    same, (nothing, _) = call(framework, "similarity_divergence", (VECTORS[0],) * 2, 0.05)
    assert abs(same) < 1e-14
    assert np.abs(nothing).max() < 1e-13
    alone, (nothing, _) = call(framework, "similarity_divergence", [x[:1] for x in VECTORS], 0.05)
    assert alone == 0
    np.testing.assert_array_equal(nothing, 0)
    half, _ = call(framework, "similarity_divergence", VECTORS, 0.5, dtype="bfloat16")
    assert half.dtype == np.float32


def test_how_alike_texts_are_has_one_gradient_in_both():
    pt, tf_ = (call(framework, "similarity_divergence", VECTORS, 0.05) for framework in FRAMEWORKS)
    np.testing.assert_allclose(pt[1][0], tf_[1][0], rtol=0, atol=1e-12)


@every_framework
def test_relations_need_no_equal_width(framework):
    narrow = RANDOM.standard_normal((3, 4, 2))
    mask = MASK if framework == "tf" else torch.from_numpy(MASK)
    value, (_, of_teacher) = call(framework, "relation_divergence", (narrow, HIDDEN[0]), mask, 2)
    expected = relation_divergence(narrow, HIDDEN[0], MASK, 2)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert of_teacher is None


@every_framework
def test_attention_scores_are_scaled_products_of_each_head(framework):
    value, _ = call(framework, "attention_scores", HIDDEN, 3)
    q, k = (np.stack(np.split(x, 3, -1), 1) for x in HIDDEN)  # b h s e
    np.testing.assert_allclose(value, q @ k.swapaxes(2, 3) / np.sqrt(2), rtol=1e-12)


@every_framework
def test_vectors_are_means_of_the_tokens_that_are_shown(framework):
    mask = np.r_[MASK, [[False] * 4]]
    states = RANDOM.standard_normal((4, 4, 6))
    given = mask if framework == "tf" else torch.from_numpy(mask)
    value, (gradient,) = call(framework, "pooled", (states,), given)
    expected = [x[y].mean(0) if y.any() else np.zeros(6) for x, y in zip(states, mask, strict=True)]
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_array_equal(gradient[~mask], 0)
    assert call(framework, "pooled", (states,), given, dtype="bfloat16")[0].dtype == np.float32


def test_autocast_rounds_no_products():
    with torch.autocast("cpu", torch.bfloat16):
        rounded = [torch.from_numpy(x).float() for x in VECTORS]
        found = importlib.import_module("distil.pt.training.distillation")
        value = found.similarity_divergence(*rounded, 0.05)
        scores = found.attention_scores(*(torch.from_numpy(x).float() for x in HIDDEN), 3)
    np.testing.assert_allclose(value, similarity_divergence(*VECTORS, 0.05), rtol=1e-4)
    assert scores.dtype == torch.float32
