"""Students with half their teacher's layers, taught in the task: what each loss is worth.

    python benchmarks/lessons.py --model CHECKPOINT --data FOLDER --output FOLDER

1. CHECKPOINT, a BERT or DistilBERT, is fine-tuned for each task (configs/finetune): the teacher.
2. A student of half the layers of the fine-tuned teacher learns from it by configs/distill, with
   several seeds and with one or more of: the labels, the teacher's logits (L_ce), its last hidden
   states (L_cos), all hidden states, and relations.

`--teachers sst2=FOLDER` uses an existing teacher.  Rows are capped to suit two cores; `--rows` and
`--epochs` cap them otherwise, and `--all-rows` trains by the recipes as they stand.  After an
interruption the same command continues.  Results are printed, and written to lessons.jsonl and
lessons.md in the output folder.
"""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

from trainings import CONFIGS, NEVER, Trainings, scores_of, table, table_of_scores

import distil
from distil.common.steps.recipe import read_recipe

TEACHER = "teacher"
LOSSES = {
    "labels": "alpha_task", "L_ce": "alpha_ce", "L_cos": "alpha_cos",
    "hidden states": "alpha_hidden", "relations": "alpha_relations",
}  # fmt: skip

# The losses that each student has.  All students are compared with the first.
BEST, USUAL = "labels and L_ce", {"labels", "L_ce"}
STUDENTS = {
    BEST: USUAL,
    **{f"{loss} alone": {loss} for loss in LOSSES},
    **{f"{BEST}, {loss}": {*USUAL, loss} for loss in LOSSES if loss not in USUAL},
    "labels and L_cos": {"labels", "L_cos"},
    "all five": set(LOSSES),
}


@dataclass(frozen=True)
class Task:
    """A task: its two recipes, and how its runs are made small.

    Attributes:
        lesson: The students' recipe.
        metric: The one that is compared.
        small: The students' settings that cap rows or epochs.
        teacher: The teacher's settings.
    """

    lesson: str
    metric: str
    small: dict = field(default_factory=dict)
    teacher: dict = field(default_factory=dict)


TASKS = {
    "sst2": Task(
        "sst2-small", "accuracy", {"data.max_train_rows": 8000, "schedule.epochs": 3},
        {"batch.examples": 64, "model.vocabulary": 10000},
    ),
    "stsb": Task("stsb", "pearson", {"schedule.epochs": 4}, {"batch.examples": 32}),
    "wikiann": Task("wikiann", "f1", {"data.max_train_rows": 8000, "schedule.epochs": 4}),
    "mrpc": Task("mrpc", "accuracy", {"schedule.epochs": 4}, {"batch.examples": 32}),
}  # fmt: skip


def find_teacher(runs, name, arguments):
    """The folder of a task's teacher, fine-tuned first if need be."""
    if name in arguments.teachers:
        return arguments.teachers[name]
    folder, _ = runs.run(
        "teachers", name, distil.train, f"finetune/{name}.yaml",
        **{
            "model.name": arguments.model, "optimizer.learning_rate": 1e-4,
            "evaluation.every": NEVER, **TASKS[name].teacher,
        },
    )  # fmt: skip
    return folder


def teach(runs, name, student, teacher, seed, arguments):
    """Teach a student a task; return the result."""
    recipe = f"distill/{TASKS[name].lesson}.yaml"
    # What a recipe leaves out has weight 1; what a student leaves out has 0.
    usual = read_recipe(CONFIGS / recipe).distillation
    weights = {
        f"distillation.{weight}": (getattr(usual, weight) or 1.0) * (loss in STUDENTS[student])
        for loss, weight in LOSSES.items()
    }
    _, found = runs.run(
        "lessons", f"{student} {name} {seed}", distil.distill, recipe,
        **{
            "teacher.name": str(teacher), "teacher.layers": arguments.layers, "seed": seed,
            "evaluation.every": NEVER, **weights, **caps(name, arguments),
        },
    )  # fmt: skip
    return found


def caps(name, arguments):
    """What makes the runs of a task small."""
    given = {"data.max_train_rows": arguments.rows, "schedule.epochs": arguments.epochs}
    usual = {} if arguments.all_rows else TASKS[name].small
    return {**usual, **{key: value for key, value in given.items() if value is not None}}


def teach_all(runs, arguments):
    """Train all teachers, then all students: a seed in every task before the next seed."""
    teachers = {name: find_teacher(runs, name, arguments) for name in arguments.tasks}
    for name, folder in teachers.items():
        known = json.loads((Path(folder) / "training.json").read_text(encoding="utf-8"))["result"]
        add_score(runs, TEACHER, name, 0, known["metrics"], known["seconds"])
    for seed in range(arguments.seeds):
        for name, teacher in teachers.items():
            for student in arguments.students:
                found = teach(runs, name, student, teacher, seed, arguments)
                add_score(runs, student, name, seed, dict(found.metrics), found.seconds)


def add_score(runs, model, name, seed, metrics, seconds):
    runs.add(
        model=model, task=name, seed=seed, score=metrics[TASKS[name].metric], metrics=metrics,
        seconds=seconds,
    )  # fmt: skip


def report(results):
    return "\n".join(table(table_of_scores(scores_of(results), TEACHER, BEST)))


def read_teacher(text):
    """TASK=FOLDER."""
    name, _, folder = text.partition("=")
    if name not in TASKS or not folder:
        raise argparse.ArgumentTypeError(
            f"expected TASK=FOLDER, one of {', '.join(TASKS)} and what `distil train` gave: {text}"
        )
    return name, folder


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="the BERT to start from")
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument(
        "--teachers", nargs="+", type=read_teacher, default=[], metavar="TASK=FOLDER"
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each student (3)")
    parser.add_argument("--tasks", nargs="+", default=["sst2", "stsb", "wikiann"], choices=TASKS)
    parser.add_argument(
        "--students", nargs="+", default=list(STUDENTS), choices=STUDENTS, metavar="LOSSES",
        help=f"some of: {'; '.join(STUDENTS)} (all)",
    )  # fmt: skip
    parser.add_argument(
        "--layers", nargs="+", type=int, help="of the teacher (the first and the last, half of all)"
    )
    parser.add_argument("--rows", type=int, help="most rows that students learn from")
    parser.add_argument("--epochs", type=int, help="of each student")
    parser.add_argument(
        "--all-rows", action="store_true", help="use all rows and epochs of the recipes"
    )
    parser.add_argument("--precision", default="bfloat16", choices=("float32", "bfloat16"))
    arguments = parser.parse_args()
    arguments.teachers = dict(arguments.teachers)
    runs = Trainings(
        arguments.output, "lessons", report,
        **{
            "data.folder": str(arguments.data), "precision": arguments.precision,
            "model.framework": "pt",
        },
    )  # fmt: skip
    teach_all(runs, arguments)
    print(report(runs.results))


if __name__ == "__main__":
    main()
