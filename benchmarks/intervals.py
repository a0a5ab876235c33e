"""Whether `distil evaluate` keeps its word, on made-up data whose truth is known.

    OMP_NUM_THREADS=1 python benchmarks/intervals.py --output intervals.jsonl

95% intervals should hold the truth in 95% of data sets, and a test at 5% should see a difference in
5% of those where there is none.  The truth is what the metric gives on a million rows.  Each data
set has the answers of two models that are equally good: its interval is that of the first, its test
that of the two.  After an interruption the same command continues with the next line of the table,
which is printed, a metric and a number of rows each, with standard errors.
"""

import argparse
import json
import sys
from itertools import product
from math import sqrt
from pathlib import Path

import numpy as np
from trainings import table

from distil.measures import metrics
from distil.measures.answers import ANSWERS
from distil.measures.table import Table, compare, estimate

# The share of rows that the two models answer alike, whatever the rest comes to.
ALIKE = 0.5
TRUTH_ROWS = 1_000_000
LEVEL = 0.05


class Classes:
    """Labels, 80% of which are found; mistakes go to all other classes alike."""

    metrics = metrics.CLASSES

    def __init__(self, *shares):
        self.shares = shares

    def rows(self, random, n):
        return {"expected": random.choice(len(self.shares), n, p=self.shares)}

    def answers(self, random, rows):
        expected, k = rows["expected"], len(self.shares)
        wrong = random.random(len(expected)) > 0.8
        predicted = (expected + wrong * random.integers(1, k, len(expected))) % k
        return {"predicted": predicted, "score": predicted == expected}


class Numbers:
    """Scores with a correlation of 0.8 to the right ones, all of them normal."""

    metrics = metrics.NUMBERS

    def rows(self, random, n):
        return {"expected": random.normal(size=n)}

    def answers(self, random, rows):
        noise = random.normal(size=len(rows["expected"]))
        return {"predicted": 0.8 * rows["expected"] + 0.6 * noise}


class Entities:
    """Sentences, half of which have no entity; in some of them more words are hard."""

    metrics = metrics.ENTITIES

    def rows(self, random, n):
        return {
            "expected": random.poisson(0.7, n), "tags": random.integers(5, 30, n),
            "ease": random.beta(19, 1, n),
        }  # fmt: skip

    def answers(self, random, rows):
        right = random.binomial(rows["expected"], 0.6)
        return {
            "right": right, "found": right + random.poisson(0.2, len(right)),
            "tags_right": random.binomial(rows["tags"], rows["ease"]),
        }  # fmt: skip


class Answers:
    """Answers, half of which are exact; a quarter has no word in common with the right one."""

    metrics = ANSWERS

    def rows(self, random, n):
        return {"row": np.arange(n)}

    def answers(self, random, rows):
        shares = (0.25, *(0.0625,) * 4, 0.5)
        score = random.choice((0.0, 0.4, 0.5, 2 / 3, 0.8, 1.0), len(rows["row"]), p=shares)
        return {"score": score, "exact": score == 1}


KINDS = {
    "two classes": Classes(0.6, 0.4),
    "five classes": Classes(0.4, 0.3, 0.15, 0.1, 0.05),
    "entities": Entities(),
    "answers": Answers(),
    "numbers": Numbers(),
}


def truth_of(kind, metric):
    """The metric of very many rows."""
    random = np.random.default_rng(0)
    rows = kind.rows(random, TRUTH_ROWS)
    columns = rows | kind.answers(random, rows)
    return float(metric.of(columns)(np.ones((1, TRUTH_ROWS)))[0])


def two_models(kind, random, n):
    """The answers of two models to the same rows."""
    rows = kind.rows(random, n)
    first, second = (kind.answers(random, rows) for _ in range(2))
    alike = random.random(n) < ALIKE
    second = {name: np.where(alike, first[name], second[name]) for name in first}
    return Table.of(rows | first), Table.of(rows | second)


def measure(kind, name, n, repetitions):
    """How many intervals of a metric hold the truth, and how many tests see a difference."""
    metric = kind.metrics[name]
    truth = truth_of(kind, metric)
    held = seen = 0
    for seed in range(repetitions):
        first, second = two_models(kind, np.random.default_rng([n, seed]), n)
        found = estimate(first, metric, seed=seed)
        held += found.low <= truth <= found.high
        seen += compare(first, second, metric, seed=seed).p <= LEVEL
    return {"held": held / repetitions, "seen": seen / repetitions}


def report(results):
    rows = [("data", "metric", "rows", "data sets", "intervals that hold, %", "tests that see, %")]
    rows += [
        (one["kind"], one["metric"], f"{one['rows']:,}", f"{one['repetitions']:,}",
         shown(one["held"], one["repetitions"]), shown(one["seen"], one["repetitions"]))
        for one in results
    ]  # fmt: skip
    return "\n".join(table(rows))


def shown(share, n):
    """A share in percent, with its standard error."""
    return f"{100 * share:.1f} ± {100 * sqrt(share * (1 - share) / n):.1f}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="results, a line of JSON each")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--rows", nargs="+", type=int, default=[200, 1000], help="(200 1000)")
    parser.add_argument("--repetitions", type=int, default=4000, help="data sets (4000)")
    arguments = parser.parse_args()
    results = []
    if arguments.output.exists():
        lines = arguments.output.read_text(encoding="utf-8").splitlines()
        results = [json.loads(line) for line in lines]
    done = {(one["kind"], one["metric"], one["rows"]) for one in results}
    for name, n in product(arguments.kinds, arguments.rows):
        for metric in KINDS[name].metrics:
            if (name, metric, n) in done:
                continue
            found = measure(KINDS[name], metric, n, arguments.repetitions)
            one = {"kind": name, "metric": metric, "rows": n, **found}
            results.append({**one, "repetitions": arguments.repetitions})
            with arguments.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(results[-1]) + "\n")
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    print(report(results))


if __name__ == "__main__":
    main()
