"""What the benchmarks of students share: each training is run once and reported in tables."""

import json
import statistics
import sys
from pathlib import Path

CONFIGS = Path(__file__).parents[1] / "configs"
NEVER = 10**6


class Trainings:
    """Runs of recipes, each in its own folder, and their results.

    Args:
        output: Their parent folder; results go to NAME.jsonl and, as tables, to NAME.md there.
        name: Name of this benchmark.
        report: Turns a list of results into tables.
        settings: Settings for every recipe.
    """

    def __init__(self, output, name, report, **settings):
        output.mkdir(parents=True, exist_ok=True)
        self.output = output
        self.name = name
        self.report = report
        self.settings = settings
        self.results = []

    def run(self, kind, name, train, recipe, **settings):
        """Train by a recipe, unless that is done already; return the folder and the result."""
        folder = self.output / kind / folder_name(name)
        given = {"output": str(folder), "checkpoints.every": 500, **self.settings, **settings}
        return folder, train(CONFIGS / recipe, **given)

    def add(self, **result):
        """Write a result to both files and to stderr."""
        self.results.append(result)
        files = {
            ".jsonl": "".join(json.dumps(one) + "\n" for one in self.results),
            ".md": self.report(self.results),
        }
        for ending, text in files.items():
            (self.output / self.name).with_suffix(ending).write_text(text, encoding="utf-8")
        print(json.dumps(result), file=sys.stderr, flush=True)


def folder_name(name):
    kept = "".join(letter if letter.isalnum() else " " for letter in name)
    return "-".join(kept.split()).lower()


def scores_of(results):
    """Scores in percent, by model, task and seed."""
    scores = {}
    for one in results:
        own = scores.setdefault(one["model"], {}).setdefault(one["task"], {})
        own[one["seed"]] = 100 * one["score"]
    return scores


def table_of_scores(scores, teacher, best):
    """Each model in each task, its share of the teacher's mean, its difference from the best.

    Only models with all of the teacher's tasks have means.  Differences are those of the means
    over tasks, seed by seed, with the standard error over the seeds that both models have.
    """
    tasks = list(scores.get(teacher, ()))
    if not tasks:
        return []
    rows = [("model", *tasks, "mean", "kept", f"against {best}")]
    whole = statistics.mean(map(mean, scores[teacher].values()))
    for name, own in scores.items():
        cells = [spread(own[task].values()) if task in own else "" for task in tasks]
        if own.keys() >= set(tasks):
            average = statistics.mean(mean(own[task]) for task in tasks)
            against = difference(own, scores.get(best, {}), tasks)
            cells += [f"{average:.1f}", f"{100 * average / whole:.1f}%", against]
        rows.append((name, *cells, *[""] * (len(rows[0]) - 1 - len(cells))))
    return rows


def mean(by_seed):
    return statistics.mean(by_seed.values())


def difference(one, other, tasks, digits=1):
    """By how much the first is better, in the mean over tasks, with its standard error."""
    seeds = [set(model.get(task, ())) for model in (one, other) for task in tasks]
    both = sorted(set.intersection(*seeds))
    if not both or one is other:
        return ""
    values = [statistics.mean(one[task][s] - other[task][s] for task in tasks) for s in both]
    error = statistics.stdev(values) / len(both) ** 0.5 if len(both) > 1 else None
    shown = "" if error is None else f" ± {error:.{digits}f}"
    return f"{statistics.mean(values):+.{digits}f}{shown}"


def spread(values):
    """A mean, with the standard deviation over seeds."""
    values = list(values)
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"


def table(rows):
    """Markdown lines and a blank one; the first row names the columns."""
    if len(rows) < 2:
        return []
    lines = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return [*("| " + " | ".join(map(str, cells)) + " |" for cells in lines), ""]
