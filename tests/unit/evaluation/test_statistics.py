"""Intervals and tests beside scipy's, and what they promise on made-up data."""

import numpy as np
import pytest

from distil.measures import metrics
from distil.measures.statistics import (
    bootstrap,
    correlation,
    difference,
    holm,
    interval,
    mcnemar,
    weighted_ranks,
    weights_of,
    wilson,
)
from distil.measures.table import Table, compare, estimate

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (7, 9), (771, 872), (0, 500)])
def test_wilson_is_scipys(successes, n):
    found = wilson(successes, n)
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert found.value == successes / n
    assert [found.low, found.high] == pytest.approx([expected.low, expected.high], abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 0), (5, 9), (40, 60)])
def test_mcnemar_is_the_exact_binomial_test(first, second):
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == expected


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("counts", [np.ones(40), np.array([30.0, 9.0, 1.0])])
def test_a_resample_has_as_many_rows(counts):
    weights = np.concatenate(list(weights_of(counts, seed=0, resamples=5000)))
    assert weights.shape == (5000, len(counts))
    assert (weights.sum(axis=1) == counts.sum()).all()
    # A binomial has this mean and variance; the tolerance is five standard errors.
    share = counts / counts.sum()
    spread = counts * (1 - share)
    np.testing.assert_allclose(weights.mean(axis=0), counts, atol=5 * np.sqrt(spread.max() / 5000))
    np.testing.assert_allclose(weights.var(axis=0), spread, rtol=0.2)


def test_equal_seeds_give_equal_resamples():
    counts = np.ones(50)
    first, again, other = (
        np.concatenate(list(weights_of(counts, seed=seed, resamples=10))) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_ranks_of_a_resample_are_scipys():
    random = np.random.default_rng(0)
    values = random.integers(0, 9, 40).astype(float)
    weights = np.concatenate(list(weights_of(np.ones(40), seed=3, resamples=5)))
    ranks = weighted_ranks(values)(weights)
    for weight, found in zip(weights.astype(int), ranks, strict=True):
        rows = np.repeat(np.arange(40), weight)
        np.testing.assert_allclose(found[rows], stats.rankdata(values[rows]))


def test_correlation_of_a_resample_is_that_of_its_rows():
    x, y = np.random.default_rng(0).normal(size=(2, 30))
    weights = next(weights_of(np.ones(30), seed=0, resamples=4))
    for weight, found in zip(weights.astype(int), correlation(x, y, weights), strict=True):
        rows = np.repeat(np.arange(30), weight)
        assert found == pytest.approx(np.corrcoef(x[rows], y[rows])[0, 1], abs=1e-12)


def test_the_interval_is_scipys_percentile_bootstrap():
    x = np.random.default_rng(0).exponential(size=200)

    def mean(weights):
        return weights @ x / weights.sum(axis=1)

    found = interval(x.mean(), bootstrap(mean, np.ones(200), seed=0, resamples=20_000))
    expected = stats.bootstrap(
        (x,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    # Two bootstraps of 20,000 resamples differ by a few percent of the interval's width.
    width = expected.high - expected.low
    np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high],
                               atol=0.03 * width)  # fmt: skip


def table_of(**columns):
    table = Table()
    for row in zip(*columns.values(), strict=True):
        table.add(dict(zip(columns, row, strict=True)))
    return table


def drawn(random, n, accuracy):
    expected = random.integers(0, 3, n)
    right = random.random(n) < accuracy
    predicted = np.where(right, expected, (expected + 1 + random.integers(0, 2, n)) % 3)
    return table_of(expected=expected, predicted=predicted, score=(predicted == expected) * 1.0)


METRICS = {
    "accuracy": (metrics.share("score"), 0.8),
    # All three classes are alike: precision and recall are the accuracy.
    "f1": (metrics.f1_of_classes(), 0.8),
    # (3a - 1) / 2 for accuracy a.
    "matthews": (metrics.matthews(), 0.7),
}


@pytest.mark.parametrize("name", METRICS)
def test_intervals_hold_the_truth_as_often_as_they_say(name):
    metric, truth = METRICS[name]
    random = np.random.default_rng(0)
    found = [estimate(drawn(random, 300, 0.8), metric, seed=trial) for trial in range(400)]
    share = np.mean([one.low <= truth <= one.high for one in found])
    # Of 400 trials at 95% the share has a standard error of 1.1 points.
    assert 0.92 <= share <= 0.98


def test_alike_models_are_seldom_told_apart_and_others_often():
    random = np.random.default_rng(0)
    metric = metrics.share("score")
    alike, better = [], []
    for trial in range(300):
        first = drawn(random, 300, 0.8)
        p = [compare(first, drawn(random, 300, a), metric, seed=trial).p for a in (0.8, 0.9)]
        alike.append(p[0] < 0.05)
        better.append(p[1] < 0.05)
    assert np.mean(alike) <= 0.08  # the exact test is at most 0.05, the standard error 0.013
    assert np.mean(better) > 0.8


def test_a_paired_bootstrap_sees_what_is_not_there_in_one_test_of_twenty():
    random = np.random.default_rng(0)
    n, seen = 200, []
    for trial in range(400):
        expected = random.integers(0, 2, n)
        first, second = (np.where(random.random(n) < 0.8, expected, 1 - expected) for _ in "ab")
        second = np.where(random.random(n) < 0.7, first, second)  # as good, and much alike
        tables = [Table.of({"expected": expected, "predicted": p}) for p in (first, second)]
        seen.append(compare(*tables, metrics.f1_of_classes(), seed=trial).p <= 0.05)
    # The share has a standard error of 1.1 points; benchmarks/intervals.py has many more trials.
    assert 0.035 <= np.mean(seen) <= 0.08


def test_a_difference_is_of_the_same_rows():
    random = np.random.default_rng(0)
    first = drawn(random, 400, 0.7)
    score = first["score"].copy()
    score[np.flatnonzero(score == 0)[:12]] = 1
    second = table_of(expected=first["expected"], predicted=first["predicted"], score=score)
    found = compare(first, second, metrics.share("score"), seed=0)
    assert found.difference == pytest.approx(12 / 400)
    assert 0 < found.low < found.difference < found.high
    assert found.p == mcnemar(0, 12)


def test_nothing_differs_from_itself():
    same = drawn(np.random.default_rng(0), 50, 0.7)
    found = compare(same, same, metrics.matthews(), seed=0)
    assert [found.difference, found.low, found.high, found.p] == [0, 0, 0, 1]


def test_an_undefined_metric_is_left_out_of_the_interval():
    found = difference(0.5, np.array([np.nan, 0.4, 0.6]))
    assert 0.4 <= found.low <= found.high <= 0.6
