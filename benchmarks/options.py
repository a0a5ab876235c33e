"""What each option of everyday training is worth: a recipe with it against the same without it.

    OMP_NUM_THREADS=1 python benchmarks/options.py --model CHECKPOINT --data FOLDER --output FOLDER

The recipes are configs/finetune/sst2.yaml and wnut17.yaml with few rows, so that a run takes about
a minute on one core.  A run and the one it is compared with share the seed, and with it the initial
head, the order of the rows and the dropout masks.  Early stopping is compared with a longer recipe
that is evaluated as often.  After an interruption the same command continues, and repeats nothing.
Results are printed, and written to options.jsonl and options.md in the output folder.
"""

import argparse
import statistics
from pathlib import Path

from trainings import CONFIGS, NEVER, Trainings, difference, scores_of, spread, table

import distil
from distil.common.steps.recipe import read_recipe

# The metric of each recipe.
TASKS = {"sst2": "accuracy", "wnut17": "f1"}

RECIPE, LONG = "the recipe", "4 epochs, judged 10 times"
OPTIONS = {
    RECIPE: {},
    "class weights": {"loss.class_weights": "balanced"},
    "label smoothing": {"loss.label_smoothing": 0.1},
    "layer decay": {"optimizer.layer_decay": 0.9},
    "frozen: embeddings": {"model.freeze": ["embeddings"]},
    "frozen: embeddings, 2 layers": {"model.freeze": ["embeddings", 0, 1]},
    "constant": {"schedule.kind": "constant"},
    "cosine": {"schedule.kind": "cosine"},
    "cosine-restarts": {"schedule.kind": "cosine-restarts", "schedule.cycles": 2},
    "polynomial": {"schedule.kind": "polynomial"},
    "inverse-sqrt": {"schedule.kind": "inverse-sqrt"},
    "warmup-stable-decay": {"schedule.kind": "warmup-stable-decay"},
    LONG: {"schedule.epochs": 4},
    "early stopping": {"schedule.epochs": 4, "evaluation.patience": 2},
}
# What an option is compared with, where that is not the recipe.
BASES = {"early stopping": LONG}


def run_all(runs, arguments):
    """Every option with one seed in every task, before the next seed."""
    for seed in range(arguments.seeds):
        for task in arguments.tasks:
            for option in arguments.options:
                run(runs, task, option, seed, arguments)


def run(runs, task, option, seed, arguments):
    """Train once, and add the result."""
    settings = {"schedule.epochs": 2, "evaluation.every": NEVER, **OPTIONS[option]}
    if settings["schedule.epochs"] > 2:
        settings["evaluation.every"] = steps_between(task, arguments.rows, settings)
    folder, found = runs.run(
        task, f"{option} {seed}", distil.train, f"finetune/{task}.yaml",
        **{"seed": seed, "checkpoints.every": NEVER, **settings},
    )  # fmt: skip
    # Nothing asks for the weights again, and all runs together have some gigabytes of them.
    (folder / "model.safetensors").unlink(missing_ok=True)
    metrics = dict(found.metrics)
    runs.add(
        task=task, model=option, seed=seed, score=metrics[TASKS[task]], metrics=metrics,
        steps=found.steps, best_step=found.best_step, seconds=found.seconds,
    )  # fmt: skip


def steps_between(task, rows, settings):
    """Steps between two of ten evaluations."""
    batch = read_recipe(CONFIGS / f"finetune/{task}.yaml", {}).batch.examples
    return max(1, rows * settings["schedule.epochs"] // batch // 10)


def report(results):
    """A table for each task."""
    lines = []
    for task, metric in TASKS.items():
        own = [one for one in results if one["task"] == task]
        scores = scores_of(own)
        losses = scores_of([{**one, "score": one["metrics"]["loss"] / 100} for one in own])
        rows = [(task, f"{metric}, %", "difference", "dev loss", "difference", "steps")]
        rows += [
            (option, spread(scores[option][task].values()), against(scores, option, task),
             f"{statistics.mean(losses[option][task].values()):.3f}",
             against(losses, option, task, digits=3), steps_of(own, option))
            for option in OPTIONS if option in scores
        ]  # fmt: skip
        lines += table(rows)
    return "\n".join(lines)


def against(scores, option, task, digits=1):
    """The mean difference from what an option is compared with, and its standard error."""
    base = scores.get(BASES.get(option, RECIPE), {})
    return difference(scores[option], base, [task], digits)


def steps_of(results, option):
    """How many there were, in the mean."""
    return f"{statistics.mean(one['steps'] for one in results if one['model'] == option):.0f}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="the BERT to start from")
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each option (3)")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--options", nargs="+", default=list(OPTIONS), choices=OPTIONS)
    parser.add_argument("--rows", type=int, default=2000, help="training rows (2000)")
    arguments = parser.parse_args()
    runs = Trainings(
        arguments.output, "options", report,
        **{
            "model.name": arguments.model, "data.folder": str(arguments.data),
            "data.max_train_rows": arguments.rows, "optimizer.learning_rate": 1e-4,
            "precision": "bfloat16", "model.framework": "pt",
        },
    )  # fmt: skip
    run_all(runs, arguments)
    print(report(runs.results))


if __name__ == "__main__":
    main()
