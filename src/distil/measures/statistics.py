"""Confidence intervals of metrics, and tests of whether two models differ.

- Proportions get a Wilson interval (Wilson 1927).
- All other metrics get a percentile interval from a bootstrap over rows (Efron and Tibshirani
  1993).  A resample is a weight per row, so a metric made of sums over rows is one matrix product,
  and ranks are cumulative sums.
- Two models on the same rows are compared by McNemar's exact test (1947) if an answer is either
  right or wrong, else by a paired bootstrap.
- p values of several tests are corrected by Holm's method (1979).

Equal seeds give equal intervals.  Shapes: n rows, r resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from distil.arrays import Array

CONFIDENCE = 0.95
RESAMPLES = 2000
_POWER = 0.8

# Weights held at a time: 64 MB of them.
_WEIGHTS_AT_ONCE = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A metric with its 95% confidence interval.

    Attributes:
        value: The metric on all rows.
        low: Lower end of the interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much better a second model did on the same rows.

    Attributes:
        difference: Its metric minus that of the first.
        low: Lower end of the difference's 95% confidence interval.
        high: Upper end.
        p: Two-sided p value: how likely a difference this large is if there is none.
        detectable: The smallest difference that this many rows would detect four times in five
            (80% power).
    """

    difference: float
    low: float
    high: float
    p: float
    detectable: float


def wilson(successes: int, n: int) -> Estimate:
    """A proportion with its Wilson interval.

    Args:
        successes: Number of rows counted.
        n: Number of all rows, at least 1.
    """
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    share = successes / n
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding must not put the share outside its own interval.
    return Estimate(value=share, low=min(share, middle - half), high=max(share, middle + half))


def weights_of(counts: Array, *, seed: int, resamples: int = RESAMPLES) -> Iterator[Array]:
    """How often each distinct row occurs in each resample, in batches of resamples (r, m).

    Args:
        counts: How often each distinct row occurs among all rows (m).
        seed: Equal seeds and counts give equal weights.
        resamples: Number of resamples.
    """
    random = np.random.default_rng(seed)
    n = int(counts.sum())
    at_once = max(1, _WEIGHTS_AT_ONCE // max(n if n == len(counts) else 1, len(counts)))
    for begin in range(0, resamples, at_once):
        size = min(at_once, resamples - begin)
        if n > len(counts):
            yield random.multinomial(n, counts / n, size=size).astype(np.float64)
            continue
        # The same, but faster if all rows are distinct.
        drawn = random.integers(n, size=(size, n)) + np.arange(size)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def bootstrap(
    metric: Callable[[Array], Array],
    counts: Array,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Array:
    """A metric's value in each resample of the rows (r).

    Args:
        metric: Returns values (r) for weights of the rows (r, m), NaN where it is undefined.
        counts: How often each distinct row occurs among all rows (m).
        seed: Of the resamples.
        resamples: Number of resamples.
    """
    return np.concatenate(
        [metric(weights) for weights in weights_of(counts, seed=seed, resamples=resamples)]
    )


def interval(value: float, resampled: Array) -> Estimate:
    """A metric with the percentile interval of its resamples (r); NaNs are ignored."""
    low, high = _percentiles(resampled)
    return Estimate(value=value, low=min(value, low), high=max(value, high))


def difference(value: float, resampled: Array, *, p: float | None = None) -> Difference:
    """A difference between two models on the same rows.

    Args:
        value: The difference on all rows.
        resampled: The difference in each resample (r); NaNs are ignored.
        p: The p value of another test; None computes the bootstrap's, twice the share of
            resamples on the other side of 0.
    """
    low, high = _percentiles(resampled)
    found = resampled[~np.isnan(resampled)]
    if p is None:
        beyond = min(int((found <= 0).sum()), int((found >= 0).sum()))
        p = min(1.0, 2 * (beyond + 1) / (len(found) + 1))
    normal = NormalDist()
    z = normal.inv_cdf(0.5 + CONFIDENCE / 2) + normal.inv_cdf(_POWER)
    spread = float(found.std()) if len(found) else 0.0
    return Difference(
        difference=value, low=min(value, low), high=max(value, high), p=p, detectable=z * spread
    )


def mcnemar(first_only: int, second_only: int) -> float:
    """The two-sided p value of McNemar's exact test.

    Args:
        first_only: Number of rows that only the first model got right.
        second_only: Number of rows that only the second did.
    """
    from scipy.stats import binomtest  # noqa: PLC0415 - takes a second to import

    both = first_only + second_only
    return float(binomtest(first_only, both, 0.5).pvalue) if both else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """P values, corrected for multiple testing, in the order given."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.minimum(1, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    result = np.empty(len(p_values))
    result[order] = corrected
    return [float(p) for p in result]


def weighted_ranks(values: Array) -> Callable[[Array], Array]:
    """A function from weights (r, n) to the rows' mean ranks in each resample (r, n).

    The values are sorted once.  In a resample, a row's rank is the total weight of the smaller
    values plus half the weight of the equal ones.
    """
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))

    def ranks(weights: Array) -> Array:
        of_groups = np.add.reduceat(weights[:, order], starts, axis=1)
        found: Array = (np.cumsum(of_groups, axis=1) - (of_groups - 1) / 2)[:, group]
        return found

    return ranks


def correlation(x: Array, y: Array, weights: Array) -> Array:
    """Pearson correlation in each resample (r), NaN where x or y is constant.

    Args:
        x: Numbers (n), or different ones in each resample (r, n).
        y: Likewise.
        weights: Of the rows (r, n).
    """
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    products = (weights * x * y).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = products / np.sqrt(
            (weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1)
        )
    return found


def _percentiles(resampled: Array) -> tuple[float, float]:
    found = resampled[~np.isnan(resampled)]
    if not len(found):
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, (tail, 1 - tail))
    return float(low), float(high)
