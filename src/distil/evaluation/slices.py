"""Slices: parts of the rows, and whether a model does worse on one than on all other rows."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.errors import InputError, shown
from distil.measures.metrics import Metric
from distil.measures.statistics import Estimate, holm
from distil.measures.table import Table, estimate

LENGTH = "length"

_QUARTERS = 4
_MOST_VALUES = 50


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A part of the rows.

    Attributes:
        by: "length", or the column.
        value: What its rows have in common.
        rows: How many there are.
        metric: The main metric on these rows.
        p: p value of the test against all other rows, corrected for the number of slices (Holm
            1979).
    """

    by: str
    value: str
    rows: int
    metric: Estimate
    p: float


class Slicer:
    """Remembers which slices each row belongs to.

    Args:
        names: "length", for quartiles of the number of words, or names of columns.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._codes: dict[str, array[int]] = {name: array("q") for name in names}
        self._values: dict[str, dict[str, int]] = {name: {} for name in names}

    def add(self, values: Mapping[str, Any], text: str) -> None:
        """Add a row.

        Raises:
            InputError: It has no such column, or the column has too many different values.
        """
        for name, codes in self._codes.items():
            if name == LENGTH and LENGTH not in values:
                codes.append(len(text.split()))
                continue
            if name not in values:
                raise InputError(
                    "there is no such column", expected=shown(name),
                    found=", ".join(map(shown, values)) or "none", where="slices",
                )  # fmt: skip
            known = self._values[name]
            codes.append(known.setdefault(str(values[name]), len(known)))
            if len(known) > _MOST_VALUES:
                raise InputError(
                    "the column has too many values for slices", expected=f"at most {_MOST_VALUES}",
                    found=shown(name), where="slices",
                )  # fmt: skip

    def slices(self, table: Table, metric: Metric, *, seed: int) -> tuple[Slice, ...]:
        """Each slice with the metric of its rows, in the order of `names`."""
        parts = [(by, value, which) for by in self._codes for value, which in self._parts(by)]
        found = [(by, value, which, _p(table["score"], which)) for by, value, which in parts]
        corrected = holm([p for *_, p in found])
        return tuple(
            Slice(
                by=by,
                value=value,
                rows=int(which.sum()),
                p=p,
                metric=estimate(table.rows(which), metric, seed=seed),
            )
            for (by, value, which, _), p in zip(found, corrected, strict=True)
        )

    def _parts(self, by: str) -> list[tuple[str, Array]]:
        codes = np.frombuffer(self._codes[by], np.int64)
        if self._values[by]:
            return [(value, codes == code) for value, code in sorted(self._values[by].items())]
        edges = np.unique(np.quantile(codes, np.linspace(0, 1, _QUARTERS + 1)).astype(np.int64))
        # The last quartile includes its upper edge.
        number = np.clip(np.searchsorted(edges, codes, side="right") - 1, 0, max(0, len(edges) - 2))
        parts = [(number == one, codes[number == one]) for one in np.unique(number)]
        return [(f"{of.min()} to {of.max()} words", which) for which, of in parts]


def _p(score: Array, which: Array) -> float:
    """Two-sided p value of a slice against all other rows."""
    inside, outside = score[which], score[~which]
    if min(len(inside), len(outside)) < 2:
        return 1.0
    from scipy import stats  # noqa: PLC0415 - takes a second to import

    if set(np.unique(score).tolist()) <= {0.0, 1.0}:
        right = int(inside.sum()), int(outside.sum())
        counts = [[right[0], len(inside) - right[0]], [right[1], len(outside) - right[1]]]
        return float(stats.fisher_exact(counts)[1])
    if np.ptp(score) == 0:
        return 1.0
    return float(stats.ttest_ind(inside, outside, equal_var=False).pvalue)
