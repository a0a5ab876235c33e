"""With weights of 1, metrics are those of scikit-learn, scipy, seqeval and SQuAD."""

import numpy as np
import pytest

from distil.measures import metrics
from distil.measures.table import Table, estimates
from distil.training import metrics as of_training

pytest.importorskip("sklearn")


def table_of(**columns):
    table = Table()
    for row in zip(*columns.values(), strict=True):
        table.add(dict(zip(columns, row, strict=True)))
    return table


def values(table, which):
    return {name: one.value for name, one in estimates(table, which, seed=0).items()}


CLASSES = {"f1": metrics.f1_of_classes(), "matthews": metrics.matthews()}


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_classes_are_scikit_learns(classes):
    random = np.random.default_rng(classes)
    expected = random.integers(0, classes, 200)
    predicted = np.where(random.random(200) < 0.6, expected, random.integers(0, classes, 200))
    found = values(table_of(expected=expected, predicted=predicted), CLASSES)
    right = of_training.classes(predicted, expected)
    assert found == pytest.approx({name: right[name] for name in found}, abs=1e-12)


@pytest.mark.parametrize(
    ("expected", "predicted"),
    [([0, 0, 0], [0, 0, 0]), ([1, 1, 1], [1, 1, 1]), ([0, 0, 0], [1, 0, 1]), ([2, 2], [2, 0])],
)
def test_of_one_class_alone(expected, predicted):
    found = values(table_of(expected=expected, predicted=predicted), CLASSES)
    right = of_training.classes(np.array(predicted), np.array(expected))
    assert found == pytest.approx({name: right[name] for name in found}, abs=1e-12)


def test_correlations_are_scipys():
    random = np.random.default_rng(0)
    expected = random.integers(0, 6, 100).astype(float)  # with ties
    predicted = expected + random.normal(size=100)
    which = {"pearson": metrics.pearson(), "spearman": metrics.spearman()}
    found = values(table_of(expected=expected, predicted=predicted), which)
    assert found == pytest.approx(of_training.regression(predicted, expected), abs=1e-12)


def test_sums():
    table = table_of(right=[1, 0, 2], found=[2, 1, 2], expected=[1, 1, 3])
    which = {
        "f1": metrics.f1_of_sums("right", "found", "expected"),
        "precision": metrics.ratio("right", "found"),
        "recall": metrics.ratio("right", "expected"),
        "mean": metrics.mean("right"),
    }
    assert values(table, which) == pytest.approx(
        {"f1": 6 / 10, "precision": 3 / 5, "recall": 3 / 5, "mean": 1}
    )


def test_nothing_found_is_zero():
    table = table_of(right=[0], found=[0], expected=[0])
    which = {"f1": metrics.f1_of_sums("right", "found", "expected")}
    assert values(table, which) == {"f1": 0}


def test_perplexity():
    table = table_of(loss=[2.0, 4.0], words=[1, 2])
    assert values(table, {"p": metrics.perplexity()}) == pytest.approx({"p": np.exp(2)})
