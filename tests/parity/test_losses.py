"""Every kind of labels: the loss and its gradient, against numpy, from both frameworks.

The expected values are computed here from the definitions, in float64, label by label.
"""

import importlib
from dataclasses import dataclass, field

import numpy as np
import pytest
import tensorflow as tf
import torch

from distil.errors import InputError
from support.models import batch_for, build, config_for
from support.parity import FRAMEWORKS, pair

pytestmark = [pytest.mark.pt, pytest.mark.tf]

every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)


# The definitions: each gives the loss, and its gradient by the logits.


def cross_entropy(logits, labels):
    rows, labels = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    counted = [number for number, label in enumerate(labels) if label != -100]
    loss, gradient = 0.0, np.zeros_like(rows)
    for number in counted:
        powers = np.exp(rows[number] - rows[number].max())
        chances = powers / powers.sum()
        loss -= rows[number][labels[number]] - rows[number].max() - np.log(powers.sum())
        gradient[number] = chances
        gradient[number][labels[number]] -= 1
    count = max(len(counted), 1)
    return loss / count, (gradient / count).reshape(logits.shape)


def squares(logits, labels):
    labels = labels.reshape(logits.shape).astype(np.float64)
    difference = np.where(labels != -100, logits - labels, 0)
    count = max((labels != -100).sum(), 1)
    return (difference**2).sum() / count, 2 * difference / count


def binary(logits, labels):
    labels = labels.reshape(logits.shape).astype(np.float64)
    # -y log p - (1 - y) log (1 - p) with p = 1 / (1 + exp -x), in a form that cannot overflow.
    each = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
    chances = (1 + np.tanh(logits / 2)) / 2
    counted = labels != -100
    count = max(counted.sum(), 1)
    return np.where(counted, each, 0).sum() / count, np.where(counted, chances - labels, 0) / count


def answers(logits, positions):
    """The same for logits (2, b, s) and positions (2, b) of starts and ends."""
    inside = (positions >= 0) & (positions < logits.shape[2])
    positions = np.where(inside, positions, -100)
    start, end = cross_entropy(logits[0], positions[0]), cross_entropy(logits[1], positions[1])
    return (start[0] + end[0]) / 2, np.stack([start[1], end[1]]) / 2


@dataclass(frozen=True)
class Case:
    """One batch of labels; `definition` is None where they cannot be meant."""

    task: str
    labels: np.ndarray
    definition: object = None
    config: dict = field(default_factory=dict)
    shape: tuple = (3, 3)
    scale: float = 2.0

    def logits(self):
        return np.random.default_rng(7).standard_normal(self.shape) * self.scale


SEQUENCE, TOKENS, WORDS = "sequence-classification", "token-classification", "masked-lm"
CHOICES, ANSWERS = "multiple-choice", "question-answering"
ONE = {"num_labels": 1}
REGRESSION, MULTI, SINGLE = (
    {"problem_type": name}
    for name in ("regression", "multi_label_classification", "single_label_classification")
)
TARGETS = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]])
WORD_LABELS = np.array([[5, -100, 60, 0], [-100, -100, 7, -100]])
EIGHT = (2, 2, 8)  # logits of starts and ends of two texts of eight tokens
CUBE = (3, 3, 3)  # of three classes for three tokens of three texts
TEXT = (2, 4, 61)  # of 61 words for four tokens of two texts
COLUMN = {"config": ONE, "shape": (3, 1)}

CASES = {
    # name: (task, labels, definition, config, shape of logits)
    "regression": Case(SEQUENCE, np.array([0.5, -1, 2]), squares, ONE, (3, 1)),
    "regression, a column": Case(SEQUENCE, np.array([[0.5], [-1], [2]]), squares, ONE, (3, 1)),
    "regression, integers": Case(SEQUENCE, np.array([1, 0, 5]), squares, ONE, (3, 1)),
    "regression, truth values": Case(SEQUENCE, np.array([True, False, True]), squares, ONE, (3, 1)),
    "regression, said": Case(SEQUENCE, np.array([0.5, 1, 2]), squares, ONE | REGRESSION, (3, 1)),
    "regression, one ignored": Case(SEQUENCE, np.array([0.5, -100, 2]), squares, ONE, (3, 1)),
    "regression, all ignored": Case(SEQUENCE, np.full(3, -100.0), squares, ONE, (3, 1)),
    "regression of three": Case(SEQUENCE, TARGETS * 1.5, squares, REGRESSION),
    "regression of three, integers": Case(SEQUENCE, TARGETS, squares, REGRESSION),
    "regression of three, some ignored": Case(SEQUENCE, TARGETS * 101 - 100, squares, REGRESSION),
    "single label": Case(SEQUENCE, np.array([0, 2, 1]), cross_entropy),
    "single label, a column": Case(SEQUENCE, np.array([[0], [2], [1]]), cross_entropy),
    "single label, said": Case(SEQUENCE, np.array([0, 2, 1]), cross_entropy, SINGLE),
    "single label, 1 class": Case(SEQUENCE, np.zeros(3, int), cross_entropy, ONE | SINGLE, (3, 1)),
    "single label, one ignored": Case(SEQUENCE, np.array([0, -100, 1]), cross_entropy),
    "single label, all ignored": Case(SEQUENCE, np.full(3, -100), cross_entropy),
    "single label, sure": Case(SEQUENCE, np.array([0, 2, 1]), cross_entropy, scale=1e4),
    "multi label": Case(SEQUENCE, TARGETS * 1.0, binary),
    "multi label, soft": Case(SEQUENCE, TARGETS * 0.75, binary),
    "multi label, truth values": Case(SEQUENCE, TARGETS == 1, binary),
    "multi label, integers": Case(SEQUENCE, TARGETS, binary, MULTI),
    "multi label, said": Case(SEQUENCE, TARGETS * 1.0, binary, MULTI),
    "multi label, one label": Case(SEQUENCE, np.array([1.0, 0, 1]), binary, ONE | MULTI, (3, 1)),
    "multi label, some ignored": Case(SEQUENCE, TARGETS * 101.0 - 100, binary),
    "multi label, all ignored": Case(SEQUENCE, np.full((3, 3), -100.0), binary),
    "multi label, sure": Case(SEQUENCE, TARGETS * 1.0, binary, scale=1e4),
    "choices": Case(CHOICES, np.array([3, 0, 1]), cross_entropy, shape=(3, 4)),
    "choices, a column": Case(CHOICES, np.array([[3], [0], [1]]), cross_entropy, shape=(3, 4)),
    "choices, one ignored": Case(CHOICES, np.array([3, -100, 1]), cross_entropy, shape=(3, 4)),
    "tokens": Case(TOKENS, TARGETS, cross_entropy, shape=CUBE),
    "tokens, some ignored": Case(TOKENS, TARGETS * 101 - 100, cross_entropy, shape=CUBE),
    "tokens, all ignored": Case(TOKENS, TARGETS * 0 - 100, cross_entropy, shape=CUBE),
    "tokens, one a text": Case(TOKENS, TARGETS[:, :1], cross_entropy, shape=(3, 1, 3)),
    "words": Case(WORDS, np.abs(WORD_LABELS) % 61, cross_entropy, shape=TEXT),
    "words, some ignored": Case(WORDS, WORD_LABELS, cross_entropy, shape=TEXT),
    "words, all ignored": Case(WORDS, WORD_LABELS * 0 - 100, cross_entropy, shape=TEXT),
    "answers": Case(ANSWERS, np.array([[0, 3], [7, 3]]), answers, shape=EIGHT),
    "answers, columns": Case(ANSWERS, np.array([[[0], [3]], [[7], [3]]]), answers, shape=EIGHT),
    "answers, a start outside": Case(ANSWERS, np.array([[-1, 3], [7, 3]]), answers, shape=EIGHT),
    "answers, an end outside": Case(ANSWERS, np.array([[0, 3], [8, 3]]), answers, shape=EIGHT),
    "answers, far outside": Case(ANSWERS, np.array([[0, 99], [3, 99]]), answers, shape=EIGHT),
    "answers, -100": Case(ANSWERS, np.array([[0, -100], [3, -100]]), answers, shape=EIGHT),
    "answers, no start": Case(ANSWERS, np.array([[-1, 8], [3, 4]]), answers, shape=EIGHT),
    "answers, none": Case(ANSWERS, np.array([[-1, 8], [-1, 8]]), answers, shape=EIGHT),
}  # fmt: skip

# Labels that cannot be meant, and what is said about them.
REFUSED = {
    "class 7 of 3": (Case(SEQUENCE, np.array([0, 7, 1])), "outside the classes"),
    "class -1": (Case(SEQUENCE, np.array([0, -1, 1])), "outside the classes"),
    "class -101": (Case(SEQUENCE, np.array([0, -101, 1])), "outside the classes"),
    "choice 4 of 4": (Case(CHOICES, np.array([3, 4, 1]), shape=(3, 4)), "outside the classes"),
    "word -1": (Case(WORDS, WORD_LABELS.clip(-1), shape=TEXT), "outside the classes"),
    "word 61 of 61": (Case(WORDS, WORD_LABELS + 1, shape=TEXT), "outside the classes"),
    "token class 3 of 3": (Case(TOKENS, TARGETS * 3, shape=CUBE), "outside the classes"),
    "regression to NaN": (Case(SEQUENCE, np.array([0.5, np.nan, 2]), **COLUMN), "finite"),
    "regression to infinity": (Case(SEQUENCE, np.array([0, np.inf, 2]), **COLUMN), "finite"),
    "multi label 1.5": (Case(SEQUENCE, TARGETS * 1.5), "from 0 to 1"),
    "multi label -1": (Case(SEQUENCE, TARGETS * 2.0 - 1), "from 0 to 1"),
    "multi label NaN": (Case(SEQUENCE, TARGETS * np.nan), "from 0 to 1"),
    "multi label 2, an integer": (Case(SEQUENCE, TARGETS * 2, config=MULTI), "from 0 to 1"),
}  # fmt: skip

# The same for types and shapes, which are known even where values are not.
MISSHAPEN = {
    "classes, floats": (Case(SEQUENCE, np.array([0.0, 2, 1]), config=SINGLE), "must be integers"),
    "classes, truth values": (Case(SEQUENCE, np.ones(3, bool), config=SINGLE), "must be integers"),
    "tokens as floats": (Case(TOKENS, TARGETS * 1.0, shape=CUBE), "must be integers"),
    "words as floats": (Case(WORDS, WORD_LABELS * 1.0, shape=TEXT), "must be integers"),
    "positions as floats": (Case(ANSWERS, np.ones((2, 2)), shape=EIGHT), "must be integers"),
    "integer targets, nothing said": (Case(SEQUENCE, TARGETS), "wrong shape"),
    "too few classes": (Case(SEQUENCE, np.array([0, 2])), "wrong shape"),
    "too few targets": (Case(SEQUENCE, TARGETS[:, :2] * 1.0), "wrong shape"),
    "targets for one text": (Case(SEQUENCE, TARGETS[0] * 1.0, config=REGRESSION), "wrong shape"),
    "a class for several texts": (Case(SEQUENCE, np.array(1)), "wrong shape"),
    "too many numbers": (Case(SEQUENCE, TARGETS * 1.0, **COLUMN), "wrong shape"),
    "words of another length": (Case(WORDS, WORD_LABELS[:, :3], shape=TEXT), "wrong shape"),
    "words in one row": (Case(WORDS, WORD_LABELS.ravel(), shape=TEXT), "wrong shape"),
    "words turned over": (Case(WORDS, WORD_LABELS.T, shape=TEXT), "wrong shape"),
    "positions for all tokens": (Case(ANSWERS, np.ones(EIGHT, int), shape=EIGHT), "wrong shape"),
    "positions of one text": (Case(ANSWERS, np.ones((2, 1), int), shape=EIGHT), "wrong shape"),
}  # fmt: skip


def loss_of(framework, case, logits, labels):
    losses = importlib.import_module(f"distil.{framework}.losses")
    if case.task == ANSWERS:
        return losses.span(logits[0], logits[1], labels[0], labels[1])
    return losses.loss(config_for(case.task, **case.config), case.task, logits, labels)


def loss_and_gradient(framework, case, labels, *, dtype="float64"):
    if framework == "pt":
        logits = torch.from_numpy(case.logits()).to(getattr(torch, dtype)).requires_grad_()
        loss = loss_of("pt", case, logits, torch.from_numpy(labels))
        loss.backward()
        return loss.detach().numpy(), logits.grad
    logits = tf.cast(case.logits(), dtype)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = loss_of("tf", case, logits, tf.convert_to_tensor(labels))
    return loss.numpy(), tape.gradient(loss, logits)


@every_framework
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_value_and_gradient(case, framework):
    expected, expected_gradient = case.definition(case.logits(), case.labels)
    loss, gradient = loss_and_gradient(framework, case, case.labels)
    assert loss.shape == ()
    assert loss.dtype == np.float64
    np.testing.assert_allclose(loss, expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(np.asarray(gradient), expected_gradient, rtol=1e-12, atol=1e-15)


@every_framework
@pytest.mark.parametrize(
    "name", [name for name in CASES if name.endswith(("all ignored", ", none"))]
)
def test_nothing_to_learn_from_is_loss_0_and_gradient_0(name, framework):
    loss, gradient = loss_and_gradient(framework, CASES[name], CASES[name].labels)
    assert loss == 0
    assert not np.asarray(gradient).any()


WIDTHS = [
    pytest.param(name, dtype, id=f"{name}-{dtype}")
    for name, case in CASES.items()
    for dtype in ("int8", "int16", "int32", "uint8")
    if case.labels.dtype.kind == "i" and case.labels.min() >= np.iinfo(dtype).min
]


@every_framework
@pytest.mark.parametrize(("name", "dtype"), WIDTHS)
def test_the_width_of_integers_does_not_matter(name, dtype, framework):
    case = CASES[name]
    loss, gradient = loss_and_gradient(framework, case, case.labels.astype(dtype))
    expected, expected_gradient = loss_and_gradient(framework, case, case.labels)
    assert loss == expected
    np.testing.assert_array_equal(np.asarray(gradient), np.asarray(expected_gradient))


@every_framework
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["regression", "single label", "multi label", "answers"])
def test_half_precision_is_summed_in_float32(name, dtype, framework):
    loss, gradient = loss_and_gradient(framework, CASES[name], CASES[name].labels, dtype=dtype)
    assert loss.dtype == np.float32
    assert dtype in str(gradient.dtype)
    expected, _ = CASES[name].definition(CASES[name].logits(), CASES[name].labels)
    np.testing.assert_allclose(loss, expected, rtol=2e-2)


def refusal(framework, case):
    with pytest.raises(InputError) as caught:
        loss_and_gradient(framework, case, case.labels)
    return str(caught.value)


@pytest.mark.parametrize("name", REFUSED | MISSHAPEN)
def test_wrong_labels_are_refused_in_the_same_words(name):
    case, words = (REFUSED | MISSHAPEN)[name]
    said = {framework: refusal(framework, case) for framework in FRAMEWORKS}
    assert words in said["pt"]
    assert said["pt"] == said["tf"]


# Where values cannot be looked at: inside a compiled graph.


def compiled_loss(framework, case, labels):
    """The loss from a graph; "eager" here names the backend that needs no C++ compiler."""
    if framework == "pt":
        torch._dynamo.reset()

        @torch.compile(backend="eager")
        def compiled(logits, labels):
            return loss_of("pt", case, logits, labels)

        return compiled(torch.from_numpy(case.logits()), torch.from_numpy(labels)).numpy()

    @tf.function
    def traced(logits, labels):
        return loss_of("tf", case, logits, labels)

    return traced(tf.constant(case.logits()), tf.convert_to_tensor(labels)).numpy()


@every_framework
@pytest.mark.parametrize("name", CASES)
def test_graphs_compute_the_same(name, framework):
    expected, _ = CASES[name].definition(CASES[name].logits(), CASES[name].labels)
    loss = compiled_loss(framework, CASES[name], CASES[name].labels)
    np.testing.assert_allclose(loss, expected, rtol=1e-13, atol=1e-15)


@every_framework
@pytest.mark.parametrize("name", REFUSED)
def test_graphs_never_train_on_wrong_labels(name, framework):
    """TensorFlow's stop with an error; PyTorch's cannot, and give NaN.  No finite number."""
    case, _ = REFUSED[name]
    if framework == "pt":
        assert np.isnan(compiled_loss("pt", case, case.labels))
    else:
        with pytest.raises(tf.errors.InvalidArgumentError):
            compiled_loss("tf", case, case.labels)


@every_framework
@pytest.mark.parametrize("name", MISSHAPEN)
def test_graphs_refuse_wrong_shapes_while_they_are_made(name, framework):
    case, words = MISSHAPEN[name]
    with pytest.raises(Exception, match=words):  # each framework wraps it in its own way
        compiled_loss(framework, case, case.labels)


@pytest.mark.parametrize("name", CASES)
def test_graphs_of_unknown_shape_compute_the_same(name):
    """What Keras traces for tf.data: of batch and length nothing is known."""
    case = CASES[name]
    known = 0 if case.task == ANSWERS else -1
    shape = [
        size if axis == known % len(case.shape) else None for axis, size in enumerate(case.shape)
    ]
    unknown = [None] * case.labels.ndim
    if case.labels.ndim == len(case.shape):
        unknown[-1] = case.labels.shape[-1]
    if case.task == ANSWERS:
        unknown[0] = 2

    @tf.function(
        input_signature=[
            tf.TensorSpec(shape, tf.float64),
            tf.TensorSpec(unknown, case.labels.dtype),
        ]
    )
    def traced(logits, labels):
        return loss_of("tf", case, logits, labels)

    expected, _ = case.definition(case.logits(), case.labels)
    loss = traced(tf.constant(case.logits()), tf.convert_to_tensor(case.labels))
    np.testing.assert_allclose(loss, expected, rtol=1e-13, atol=1e-15)


# The model around the loss.


@every_framework
@pytest.mark.parametrize("labels", [np.array([0, 1, 2]), np.eye(3)], ids=["classes", "targets"])
def test_the_problem_type_is_never_written_into_the_config(framework, labels):
    config = config_for(SEQUENCE)
    model = build(framework, config, SEQUENCE)
    before = config.to_dict()
    inputs = batch_for(config, SEQUENCE, labels=False)
    tensor = {"pt": torch.from_numpy, "tf": tf.convert_to_tensor}[framework]
    model(input_ids=tensor(inputs["input_ids"]), labels=tensor(labels))
    assert model.config.problem_type is None
    assert model.config.to_dict() == before


@pytest.mark.parametrize("given", ["start_positions", "end_positions"])
def test_an_answer_needs_both_positions(given):
    said = {}
    ids = np.ones((2, 8), np.int64)
    for framework, tensor in (("pt", torch.from_numpy), ("tf", tf.convert_to_tensor)):
        with pytest.raises(InputError) as caught:
            pair(ANSWERS)[framework](input_ids=tensor(ids), **{given: tensor(ids[:, 0])})
        said[framework] = str(caught.value)
    assert said["pt"] == said["tf"]
