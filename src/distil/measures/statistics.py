"""How far a figure measured on some rows can be trusted, and whether two of them differ.

- Shares have Wilson's interval (Wilson 1927).
- Everything else has the percentile interval of a bootstrap over rows (Efron and Tibshirani 1993):
  each resample is a weight for every row, so that a metric made of sums over rows is one product
  of matrices, and ranks are cumulative sums.
- Two models that answered the same rows are compared by the exact test of McNemar (1947) where an
  answer is right or wrong, else by a paired bootstrap.
- Where several tests are made at once, p values are corrected by Holm's method (1979).

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
    """A figure and the interval that 95% of such intervals hold the true figure in.

    Attributes:
        value: As measured on all rows.
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
        difference: Its figure less that of the first.
        low: Lower end of the interval of the difference.
        high: Upper end.
        p: How likely a difference at least as large is where there is none.
        detectable: The smallest difference that this many rows would show four times in five.
    """

    difference: float
    low: float
    high: float
    p: float
    detectable: float


def wilson(successes: int, n: int) -> Estimate:
    """A share with Wilson's interval.

    Args:
        successes: Number of rows that count.
        n: Number of rows, at least 1.
    """
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    share = successes / n
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding must not put the share outside of its own interval.
    return Estimate(value=share, low=min(share, middle - half), high=max(share, middle + half))


def weights_of(counts: Array, *, seed: int, resamples: int = RESAMPLES) -> Iterator[Array]:
    """How often each different row is in each resample, some resamples (r, m) at a time.

    Args:
        counts: How often each different row is among all rows (m).
        seed: Equal seeds and counts give equal weights.
        resamples: How many.
    """
    random = np.random.default_rng(seed)
    n = int(counts.sum())
    at_once = max(1, _WEIGHTS_AT_ONCE // max(n if n == len(counts) else 1, len(counts)))
    for begin in range(0, resamples, at_once):
        size = min(at_once, resamples - begin)
        if n > len(counts):
            yield random.multinomial(n, counts / n, size=size).astype(np.float64)
            continue
        # The same, and faster where no row is like another.
        drawn = random.integers(n, size=(size, n)) + np.arange(size)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def bootstrap(
    metric: Callable[[Array], Array],
    counts: Array,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Array:
    """Values of a metric in resamples of the rows, in order (r).

    Args:
        metric: Gives the values (r) for weights of the rows (r, m); NaN where it is undefined.
        counts: How often each different row is among all rows (m).
        seed: Of the resamples.
        resamples: How many.
    """
    return np.concatenate(
        [metric(weights) for weights in weights_of(counts, seed=seed, resamples=resamples)]
    )


def interval(value: float, resampled: Array) -> Estimate:
    """A figure with the percentile interval of its resamples (r), undefined ones left out."""
    low, high = _percentiles(resampled)
    return Estimate(value=value, low=min(value, low), high=max(value, high))


def difference(value: float, resampled: Array, *, p: float | None = None) -> Difference:
    """A difference of two figures of the same rows.

    Args:
        value: The difference on all rows.
        resampled: The difference in resamples (r).
        p: Of a test of its own; None takes that of the bootstrap, from the share of resamples
            that lie on the other side of 0.
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
    """The p value of McNemar's exact test, two-sided.

    Args:
        first_only: Rows that only the first model got right.
        second_only: Rows that only the second did.
    """
    from scipy.stats import binomtest  # noqa: PLC0415 - takes a second to import

    both = first_only + second_only
    return float(binomtest(first_only, both, 0.5).pvalue) if both else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for being that many, in the order given."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.minimum(1, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    result = np.empty(len(p_values))
    result[order] = corrected
    return [float(p) for p in result]


def weighted_ranks(values: Array) -> Callable[[Array], Array]:
    """A function from weights (r, n) to the mean ranks (r, n) of the rows in each resample.

    The order of the values is worked out once; in a resample a rank is the weight of all rows
    with smaller values and half the weight of those with the same.
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
    """Pearson's correlation in each resample (r), NaN where one of the two is constant.

    Args:
        x: Numbers (n), or of each resample (r, n).
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
