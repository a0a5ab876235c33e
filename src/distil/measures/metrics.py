"""A task's metrics as functions of weighted rows, so that a bootstrap is a matrix product.

Each function takes columns with a number per row, and weights (r, n): how often each row occurs in
each resample.  It returns the metric of each resample (r).  With weights of 1 the values are those
of scikit-learn, scipy, seqeval and SQuAD's scripts; the tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from distil.arrays import Array
from distil.measures.statistics import correlation, weighted_ranks

Columns = Mapping[str, Array]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Attributes:
        columns: The columns it is computed from.
        of: Takes these columns; returns the function from weights (r, n) to values (r).
        is_share: Whether it is a proportion, the share of rows whose one column is 1.  Proportions
            get a Wilson interval.
        among: A column; only rows where it is not 0 count.
    """

    columns: tuple[str, ...]
    of: Callable[[Columns], Callable[[Array], Array]]
    is_share: bool = False
    among: str | None = None


def share(column: str, *, among: str | None = None) -> Metric:
    """The proportion of rows in which a column is 1."""
    return Metric(columns=(column,), of=_mean_of(column), is_share=True, among=among)


def mean(column: str, *, among: str | None = None) -> Metric:
    """The mean of a column."""
    return Metric(columns=(column,), of=_mean_of(column), among=among)


def ratio(above: str, below: str) -> Metric:
    """The sum of one column over the sum of another; 0 where the latter is 0."""

    def of(columns: Columns) -> Callable[[Array], Array]:
        return lambda weights: quotient(weights @ columns[above], weights @ columns[below])

    return Metric(columns=(above, below), of=of)


def f1_of_sums(right: str, predicted: str, expected: str) -> Metric:
    """Micro-averaged F1, from columns that count correct, predicted and expected items."""

    def of(columns: Columns) -> Callable[[Array], Array]:
        return lambda weights: quotient(
            2 * (weights @ columns[right]), weights @ (columns[predicted] + columns[expected])
        )

    return Metric(columns=(right, predicted, expected), of=of)


def f1_of_classes() -> Metric:
    """F1 of class 1 if there are two classes, else macro-averaged F1."""

    def of(columns: Columns) -> Callable[[Array], Array]:
        classes = _classes(columns)

        def f1(weights: Array) -> Array:
            right, predicted, expected = _counts(columns, classes, weights)
            scores = quotient(2 * right, predicted + expected)
            if len(classes) <= 2 and set(classes.tolist()) <= {0, 1}:
                return scores[:, list(classes).index(1)] if 1 in classes else scores[:, 0] * 0
            # A class that is neither predicted nor expected in a resample is left out of its mean.
            return quotient(scores.sum(axis=1), (predicted + expected > 0).sum(axis=1))

        return f1

    return Metric(columns=("expected", "predicted"), of=of)


def f1_of_labels(*, average: str) -> Metric:
    """F1 where a text may have several labels; both columns (n c) say of each whether it is there.

    Args:
        average: "micro" takes all labels together, "macro" the mean over them, in which a label
            that no row has counts as 0.
    """

    def of(columns: Columns) -> Callable[[Array], Array]:
        right = columns["expected"] * columns["predicted"]  # n c
        either = columns["expected"] + columns["predicted"]
        if average == "micro":
            right, either = right.sum(axis=1), either.sum(axis=1)
            return lambda weights: quotient(2 * (weights @ right), weights @ either)
        nowhere = ~either.any(axis=0)  # c

        def f1(weights: Array) -> Array:
            total = weights @ either  # r c
            # A label that is only missing in a resample does not count there.
            counted = ((total > 0) | nowhere).sum(axis=1)
            return quotient(quotient(2 * (weights @ right), total).sum(axis=1), counted)

        return f1

    return Metric(columns=("expected", "predicted"), of=of)


def matthews() -> Metric:
    """Matthews correlation (Gorodkin 2004 for several classes); 0 if there is only one class."""

    def of(columns: Columns) -> Callable[[Array], Array]:
        classes = _classes(columns)

        def phi(weights: Array) -> Array:
            right, predicted, expected = _counts(columns, classes, weights)
            total = weights.sum(axis=1)
            above = right.sum(axis=1) * total - (predicted * expected).sum(axis=1)
            below = (total**2 - (predicted**2).sum(axis=1)) * (total**2 - (expected**2).sum(axis=1))
            return quotient(above, np.sqrt(np.maximum(below, 0)))

        return phi

    return Metric(columns=("expected", "predicted"), of=of)


def pearson() -> Metric:
    """Pearson correlation of predicted and expected numbers."""

    def of(columns: Columns) -> Callable[[Array], Array]:
        return lambda weights: correlation(columns["predicted"], columns["expected"], weights)

    return Metric(columns=("expected", "predicted"), of=of)


def spearman() -> Metric:
    """Spearman correlation; ranks are computed afresh in each resample."""

    def of(columns: Columns) -> Callable[[Array], Array]:
        predicted = weighted_ranks(columns["predicted"])
        expected = weighted_ranks(columns["expected"])
        return lambda weights: correlation(predicted(weights), expected(weights), weights)

    return Metric(columns=("expected", "predicted"), of=of)


def perplexity() -> Metric:
    """The exponential of the mean loss per word."""

    def of(columns: Columns) -> Callable[[Array], Array]:
        def value(weights: Array) -> Array:
            loss = quotient(weights @ columns["loss"], weights @ columns["words"])
            # float64 overflows above e^709.
            return np.exp(np.minimum(loss, 700))

        return value

    return Metric(columns=("loss", "words"), of=of)


def _mean_of(column: str) -> Callable[[Columns], Callable[[Array], Array]]:
    def of(columns: Columns) -> Callable[[Array], Array]:
        return lambda weights: quotient(weights @ columns[column], weights.sum(axis=1))

    return of


def _classes(columns: Columns) -> Array:
    return np.union1d(columns["expected"], columns["predicted"])


def _counts(columns: Columns, classes: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Correct, predicted and expected rows of each class, each (r, classes)."""
    found = (columns["predicted"][:, None] == classes).astype(np.float64)
    expected = (columns["expected"][:, None] == classes).astype(np.float64)
    return weights @ (found * expected), weights @ found, weights @ expected


def quotient(above: Array, below: Array) -> Array:
    """Quotients; 0 where the divisor is 0."""
    quotients: Array = np.divide(
        above, below, out=np.zeros(np.shape(above), np.float64), where=below != 0
    )
    return quotients


# The metrics of each kind of answer.
CLASSES: Mapping[str, Metric] = {
    "accuracy": share("score"),
    "f1": f1_of_classes(),
    "matthews": matthews(),
}
LABELS: Mapping[str, Metric] = {
    "f1_micro": f1_of_labels(average="micro"),
    "f1_macro": f1_of_labels(average="macro"),
    "exact_match": share("score"),
}
LABEL: Mapping[str, Metric] = {
    "precision": ratio("right", "predicted"),
    "recall": ratio("right", "expected"),
    "f1": f1_of_sums("right", "predicted", "expected"),
}
NUMBERS: Mapping[str, Metric] = {"pearson": pearson(), "spearman": spearman()}
CHOICES: Mapping[str, Metric] = {"accuracy": share("score")}
ENTITIES: Mapping[str, Metric] = {
    "f1": f1_of_sums("right", "found", "expected"),
    "precision": ratio("right", "found"),
    "recall": ratio("right", "expected"),
    "accuracy": ratio("tags_right", "tags"),
}
