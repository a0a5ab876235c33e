"""A few numbers about every judged row, and the metrics computed from them."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

import numpy as np

from distil.arrays import Array
from distil.measures.metrics import Metric
from distil.measures.statistics import (
    RESAMPLES,
    Difference,
    Estimate,
    bootstrap,
    difference,
    interval,
    mcnemar,
    wilson,
)


class Table:
    """Named columns with a number per row, in eight bytes each.

    A column may also have a list of numbers per row, all of one length.
    """

    def __init__(self) -> None:
        self._columns: dict[str, array[float]] = {}
        self._widths: dict[str, int] = {}  # of columns of lists
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(
        self, numbers: Mapping[str, float], lists: Mapping[str, Sequence[float]] | None = None
    ) -> None:
        """Add a row; all rows have the same columns."""
        for name, number in numbers.items():
            self._columns.setdefault(name, array("d")).append(number)
        for name, some in (lists or {}).items():
            self._columns.setdefault(name, array("d")).extend(some)
            self._widths[name] = len(some)
        self._rows += 1

    @classmethod
    def of(cls, columns: Mapping[str, Array]) -> Table:
        """A table of whole columns (n), or (n, numbers of a row)."""
        table = cls()
        for name, column in columns.items():
            table._columns[name] = array("d", np.asarray(column, float).ravel())
            if column.ndim > 1:
                table._widths[name] = column.shape[1]
        table._rows = len(next(iter(columns.values()), ()))
        return table

    def __getitem__(self, column: str) -> Array:
        flat = np.frombuffer(self._columns[column], np.float64)
        return flat.reshape(-1, self._widths[column]) if column in self._widths else flat

    def __contains__(self, column: str) -> bool:
        return column in self._columns

    def rows(self, which: Array) -> Table:
        """The rows that a mask (n) selects, as a table."""
        return Table.of({name: self[name][which] for name in self._columns})


def estimate(table: Table, metric: Metric, *, seed: int) -> Estimate:
    """A metric over all rows, with its 95% interval."""
    table = _counted(table, metric)
    if metric.is_share:
        return wilson(int(table[metric.columns[0]].sum()), len(table))
    columns, counts = _cells([table[name] for name in metric.columns])
    of_cells = metric.of(dict(zip(metric.columns, columns, strict=True)))
    value = float(of_cells(counts[None])[0])
    return interval(value, bootstrap(of_cells, counts, seed=seed))


def compare(first: Table, second: Table, metric: Metric, *, seed: int) -> Difference:
    """How much better the second model did by a metric; both tables have the same rows in order."""
    first, second = (_counted(table, metric) for table in (first, second))
    both = [table[name] for table in (first, second) for name in metric.columns]
    columns, counts = _cells(both)
    names = metric.columns
    of_first = metric.of(dict(zip(names, columns[: len(names)], strict=True)))
    of_second = metric.of(dict(zip(names, columns[len(names) :], strict=True)))

    def gain(weights: Array) -> Array:
        found: Array = of_second(weights) - of_first(weights)
        return found

    p = None
    if metric.is_share:
        right, other = (table[names[0]] > 0 for table in (first, second))
        p = mcnemar(int((right & ~other).sum()), int((other & ~right).sum()))
    value = float(gain(counts[None])[0])
    return difference(value, bootstrap(gain, counts, seed=seed, resamples=RESAMPLES), p=p)


def estimates(table: Table, metrics: Mapping[str, Metric], *, seed: int) -> dict[str, Estimate]:
    """The metrics that these rows have, over the same resamples."""
    return {
        name: estimate(table, metric, seed=seed) for name, metric in had_by(table, metrics).items()
    }


def values(table: Table, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """The metrics that these rows have, without intervals."""
    found = {}
    for name, metric in had_by(table, metrics).items():
        rows = _counted(table, metric)
        of_rows = metric.of({column: rows[column] for column in metric.columns})
        found[name] = float(of_rows(np.ones((1, len(rows))))[0])
    return found


def had_by(table: Table, metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Those metrics for which some of the rows count."""
    return {
        name: metric for name, metric in metrics.items()
        if metric.among is None or table[metric.among].any()
    }  # fmt: skip


def _counted(table: Table, metric: Metric) -> Table:
    """The rows that count for a metric."""
    return table if metric.among is None else table.rows(table[metric.among] != 0)


def _cells(columns: Sequence[Array]) -> tuple[list[Array], Array]:
    """Equal rows grouped: the columns of the distinct rows, and how often each occurs."""
    parts = [column.reshape(len(column), -1) for column in columns]
    cells, counts = np.unique(np.concatenate(parts, axis=1), axis=0, return_counts=True)
    split = np.split(cells, np.cumsum([part.shape[1] for part in parts])[:-1], axis=1)
    found = [
        one if column.ndim > 1 else one[:, 0] for one, column in zip(split, columns, strict=True)
    ]
    return found, counts.astype(np.float64)
