"""What benchmarks of trained students share: each training is done once, and told of in tables."""

import json
import statistics
import sys
from pathlib import Path

CONFIGS = Path(__file__).parents[1] / "configs"
NEVER = 10**6


class Trainings:
    """Runs of recipes, each in a folder of its own, and what they came to.

    Args:
        output: Folder of all of them; results go to NAME.jsonl and, as tables, to NAME.md there.
        name: Of this benchmark.
        report: Gives the tables of a list of results.
        settings: Of all recipes.
    """

    def __init__(self, output, name, report, **settings):
        output.mkdir(parents=True, exist_ok=True)
        self.output = output
        self.name = name
        self.report = report
        self.settings = settings
        self.results = []

    def run(self, kind, name, train, recipe, **settings):
        """Train by a recipe, or take what was trained; gives folder and result."""
        folder = self.output / kind / folder_name(name)
        given = {"output": str(folder), "checkpoints.every": 500, **self.settings, **settings}
        return folder, train(CONFIGS / recipe, **given)

    def add(self, **result):
        """Note a result in both files and on stderr."""
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
    """Scores in percent by seed, by task, by model."""
    scores = {}
    for one in results:
        own = scores.setdefault(one["model"], {}).setdefault(one["task"], {})
        own[one["seed"]] = 100 * one["score"]
    return scores


def table_of_scores(scores, teacher, best):
    """Rows of a table: each model in each task, what it keeps of the teacher, and beside the best.

    Only models with all tasks of the teacher have means.  Differences are of the means over tasks,
    seed by seed, with their standard error over the seeds that both have in all tasks.
    """
    tasks = list(scores.get(teacher, ()))
    if not tasks:
        return []
    rows = [("model", *tasks, "mean", "kept", f"beside {best}")]
    whole = statistics.mean(map(mean, scores[teacher].values()))
    for name, own in scores.items():
        cells = [spread(own[task].values()) if task in own else "" for task in tasks]
        if own.keys() >= set(tasks):
            average = statistics.mean(mean(own[task]) for task in tasks)
            beside = difference(own, scores.get(best, {}), tasks)
            cells += [f"{average:.1f}", f"{100 * average / whole:.1f}%", beside]
        rows.append((name, *cells, *[""] * (len(rows[0]) - 1 - len(cells))))
    return rows


def mean(by_seed):
    return statistics.mean(by_seed.values())


def difference(one, other, tasks):
    """By how much the first is better, in the mean of the tasks."""
    seeds = [set(model.get(task, ())) for model in (one, other) for task in tasks]
    both = sorted(set.intersection(*seeds))
    if not both or one is other:
        return ""
    values = [statistics.mean(one[task][s] - other[task][s] for task in tasks) for s in both]
    error = f" ± {statistics.stdev(values) / len(both) ** 0.5:.1f}" if len(both) > 1 else ""
    return f"{statistics.mean(values):+.1f}{error}"


def spread(values):
    """A mean, and the deviation over the seeds."""
    values = list(values)
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"


def table(rows):
    """Lines of Markdown, and a blank one; the first row names the columns."""
    if len(rows) < 2:
        return []
    lines = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return [*("| " + " | ".join(map(str, cells)) + " |" for cells in lines), ""]
