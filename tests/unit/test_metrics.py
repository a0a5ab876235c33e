"""Metrics: against values worked out by hand."""

import numpy as np
import pytest

from distil.training import metrics


def test_classes_by_hand():
    # Two of three positives found, one false alarm: precision 2/3, recall 2/3.
    labels, predicted = np.array([1, 1, 1, 0, 0, 0]), np.array([1, 1, 0, 1, 0, 0])
    found = metrics.classes(predicted, labels)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["matthews"] == pytest.approx((2 * 2 - 1 * 1) / 9)


def test_f1_of_more_than_two_classes_is_their_mean():
    labels, predicted = np.array([0, 1, 2, 2]), np.array([0, 1, 2, 1])
    assert metrics.classes(predicted, labels)["f1"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)


def test_one_class_alone_is_no_error():
    ones = np.ones(3, int)
    assert metrics.classes(ones, ones) == {"accuracy": 1.0, "f1": 1.0, "matthews": 0.0}


def test_regression():
    labels = np.array([0.0, 1.0, 2.0, 3.0])
    assert metrics.regression(2 * labels + 1, labels) == pytest.approx(
        {"pearson": 1, "spearman": 1}
    )
    bent = metrics.regression(np.exp(labels), labels)
    assert bent["spearman"] == pytest.approx(1)
    assert bent["pearson"] < 0.95


def test_a_constant_goes_along_with_nothing():
    assert metrics.regression(np.ones(3), np.arange(3.0)) == {"pearson": 0.0, "spearman": 0.0}


def test_an_entity_counts_as_a_whole():
    labels = [["B-PER", "I-PER", "O", "B-LOC"]]
    predicted = [["B-PER", "O", "O", "B-LOC"]]
    found = metrics.entities(predicted, labels)
    assert found == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "accuracy": 0.75}


def test_no_entity_is_no_warning():
    found = metrics.entities([["O", "O"]], [["O", "O"]])
    assert found == {"precision": 0, "recall": 0, "f1": 0, "accuracy": 1}


@pytest.mark.parametrize(
    ("predicted", "labels", "exact", "f1"),
    [
        ("The  Denver Broncos!", ["denver broncos"], 100, 100),
        ("Denver", ["Denver Broncos", "Broncos"], 0, 200 / 3),
        ("", ["x"], 0, 0),
        ("an answer", ["the answer", "no"], 100, 100),
    ],
)
def test_answers(predicted, labels, exact, f1):
    assert metrics.answers([predicted], [labels]) == pytest.approx({"exact_match": exact, "f1": f1})


def test_answers_are_averaged():
    assert metrics.answers(["a b", "x"], [["b"], ["y"]])["exact_match"] == 50
