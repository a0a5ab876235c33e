"""Students with half their teacher's layers, made and taught in several ways (Sanh et al. 2019).

    python benchmarks/students.py --model CHECKPOINT --data FOLDER --output FOLDER

1. CHECKPOINT, a BERT or DistilBERT, is trained as a masked LM (configs/finetune/mlm.yaml): the
   teacher.
2. Students with three of its layers, or with random weights, learn from it with all or some
   of the triple loss (configs/distill/mlm.yaml).
3. All of them are fine-tuned for some tasks (configs/finetune), with several seeds: tables 1 and 4
   of the paper.
4. Teacher and student are timed on the pairs of STS-B, one by one: table 3.

With `--given NAME=FOLDER...` steps 1, 2 and 4 are left out, and these checkpoints are fine-tuned:
the first is the teacher, and all are compared with the last.

Students whose teacher has learned the task itself: benchmarks/lessons.py.

The data folder is laid out as the recipes say.  Every run is a recipe with a few settings changed
to suit two cores; `--help` lists them.  After an interruption the same command continues, and
repeats nothing.  Results are written to students.jsonl and students.md in the output folder.
"""

import argparse
import csv
import gzip
import math
import random
import time
from functools import partial
from pathlib import Path

import torch
from trainings import NEVER, Trainings, scores_of, table, table_of_scores

import distil
from distil.common.spec import parameters

WARM_UP = 20
LAYERS = (0, 2, 4)  # of the teacher

# Initial weights, and the weights of L_ce, L_mlm and L_cos; None where nothing is learned.
STUDENTS = {
    "from scratch": ("random", None),
    "teacher's layers": ("layers", None),
    "+ L_ce": ("layers", (5.0, 0.0, 0.0)),
    "+ L_ce + L_mlm": ("layers", (5.0, 2.0, 0.0)),
    "triple": ("layers", (5.0, 2.0, 1.0)),
    "triple without L_mlm": ("layers", (5.0, 0.0, 1.0)),
    "triple without L_ce": ("layers", (0.0, 2.0, 1.0)),
    "triple from random weights": ("random", (5.0, 2.0, 1.0)),
}
TEACHER, BEST = "teacher", "triple"

# Recipe, most rows to train on, metric.
TASKS = {
    "sst2": (4000, "accuracy"),
    "stsb": (6000, "pearson"),
    "wikiann": (4000, "f1"),
    "mrpc": (4000, "accuracy"),
    "cola": (4000, "matthews"),
}


def write_corpus(data, path):
    """Reviews and paragraphs of books in random order, one a line."""
    with gzip.open(data / "imdb_unsup" / "text.txt.gz", "rt", encoding="utf-8") as file:
        texts = file.read().splitlines()
    for book in sorted((data / "gutenberg").glob("*.txt.gz")):
        with gzip.open(book, "rt", encoding="utf-8") as file:
            texts += [" ".join(part.split()) for part in file.read().split("\n\n")]
    random.Random(0).shuffle(texts)
    path.write_text("".join(f"{text}\n" for text in texts if text), encoding="utf-8")


class Runs(Trainings):
    """All trainings of this benchmark, in order."""

    def __init__(self, arguments):
        super().__init__(
            arguments.output, "students",
            partial(report, teacher=arguments.teacher, best=arguments.best),
            **{
                "data.folder": str(arguments.data), "precision": arguments.precision,
                "model.framework": "pt",
            },
        )  # fmt: skip
        self.arguments = arguments
        self.corpus = self.output.resolve() / "corpus.txt"

    def learn_words(self, name, train, recipe, steps, **settings):
        """Train a masked LM on the corpus; return its folder."""
        if not self.corpus.exists():
            write_corpus(self.arguments.data, self.corpus)
        folder, found = self.run(
            "words", name, train, recipe,
            **{
                "data.train": str(self.corpus), "data.unit": "line", "data.max_dev_rows": 150,
                "data.cache": str(self.output.resolve() / "cache"), "batch.tokens": 2048,
                "batch.accumulation": 1, "schedule.steps": steps,
                "evaluation.every": max(1, steps // 2), **settings,
            },
        )  # fmt: skip
        self.add(
            step="words", model=name, tokens=found.tokens, seconds=found.seconds,
            metrics=dict(found.metrics),
        )  # fmt: skip
        return folder

    def make_all(self):
        """The folders of the teacher and of all students by name; those that are given, if any."""
        if self.arguments.given:
            return self.arguments.given
        models = {TEACHER: self.make_teacher()}
        for name in self.arguments.students:
            models[name] = self.make_student(name, models[TEACHER])
        return models

    def make_teacher(self):
        return self.learn_words(
            TEACHER, distil.train, "finetune/mlm.yaml", self.arguments.teacher_steps,
            **{
                "model.name": str(self.arguments.model),
                "model.vocabulary": self.arguments.vocabulary,
                "optimizer.learning_rate": self.arguments.teacher_rate,
            },
        )  # fmt: skip

    def make_student(self, name, teacher):
        """Make a student and let it learn from the teacher; return its folder."""
        origin, weights = STUDENTS[name]
        if weights is None:
            return self.start(origin, teacher)
        # `distil distill` makes a student from the teacher's layers by itself.
        start = None if origin == "layers" else str(self.start(origin, teacher))
        losses = dict(zip(("alpha_ce", "alpha_task", "alpha_cos"), weights, strict=True))
        return self.learn_words(
            name, distil.distill, "distill/mlm.yaml", self.arguments.steps,
            **{f"distillation.{loss}": weight for loss, weight in losses.items()},
            **{
                "distillation.restrict_to_mask": not self.arguments.all_tokens,
                "model.name": start, "teacher.name": str(teacher),
                "teacher.layers": None if start else [*LAYERS],
            },
        )  # fmt: skip

    def start(self, origin, teacher):
        """A folder with an untrained student: random weights, or the teacher's layers."""
        folder = self.output / "start" / origin
        if not (folder / "config.json").exists():
            model = distil.load(teacher, framework="pt", task="masked-lm")
            new = origin == "random"
            student = distil.make_student(model, layers=LAYERS, new_weights=new, seed=0)
            distil.save(student, folder, tokenizer=distil.load_tokenizer(teacher))
        return folder

    def fine_tune(self, model, name, task, seed):
        """Fine-tune for a task; return the folder."""
        rows, metric = TASKS[task]
        folder, found = self.run(
            "tasks", f"{name} {task} {seed}", distil.train, f"finetune/{task}.yaml",
            **{
                "model.name": str(model), "seed": seed, "batch.examples": 32,
                "optimizer.learning_rate": 1e-4, "evaluation.every": NEVER,
                "checkpoints.every": NEVER,
                "data.max_train_rows": None if self.arguments.all_rows else rows,
            },
        )  # fmt: skip
        self.add(
            step="task", model=name, task=task, seed=seed, score=found.metrics[metric],
            metrics=dict(found.metrics), examples=found.examples, seconds=found.seconds,
        )  # fmt: skip
        return folder


def speed(folders, pairs):
    """Seconds for all pairs, one at a time on one thread, for each model; the models take turns."""
    torch.set_num_threads(1)
    models = {name: distil.load(folder, framework="pt") for name, folder in folders.items()}
    tokenizer = distil.load_tokenizer(next(iter(folders.values())))
    seconds = dict.fromkeys(models, 0.0)
    with torch.inference_mode():
        for number, (first, second) in enumerate(pairs[:WARM_UP] + pairs):
            batch = tokenizer(first, second, return_tensors="pt", truncation=True)
            for name, model in models.items():
                begin = time.perf_counter()
                model(**batch)
                if number >= WARM_UP:
                    seconds[name] += time.perf_counter() - begin
    return seconds


def read_pairs(data):
    with (data / "stsb" / "dev.csv").open(encoding="utf-8", newline="") as file:
        return [(row["sentence1"], row["sentence2"]) for row in csv.DictReader(file)]


def report(results, teacher, best):
    """The results so far, as Markdown tables; differences are from `best`."""
    by_step = {}
    for one in results:
        by_step.setdefault(one["step"], []).append(one)
    words = [
        (one["model"], f"{one['metrics']['loss']:.3f}", f"{one['tokens']:,}", one["seconds"])
        for one in by_step.get("words", ())
    ]
    speeds = [
        (one["model"], f"{one['parameters']:,}", f"{one['layers']:,}", f"{one['seconds']:.1f}",
         f"{one['ratio']:.2f}x")
        for one in by_step.get("speed", ())
    ]  # fmt: skip
    return "\n".join(
        [
            *table(table_of_scores(scores_of(by_step.get("task", ())), teacher, best)),
            *table([("model", "dev loss of words", "tokens", "seconds"), *words]),
            *table([("model", "parameters", "in layers", "s, STS-B dev", "speed"), *speeds]),
        ]
    )


def measure(runs, fine_tuned):
    """Parameters and speed of the fine-tuned teacher and of the best student."""
    folders = {name: fine_tuned[name, "stsb"] for name in (TEACHER, BEST)}
    seconds = speed(folders, read_pairs(runs.arguments.data))
    for name, folder in folders.items():
        config = distil.DistilBertConfig.from_pretrained(folder)
        weights = list(parameters(config, "base"))
        runs.add(
            step="speed", model=name, parameters=sum(math.prod(one.shape) for one in weights),
            layers=sum(math.prod(one.shape) for one in weights if one.layer is not None),
            seconds=seconds[name], ratio=seconds[TEACHER] / seconds[name],
        )  # fmt: skip


def read_given(text):
    """NAME=FOLDER."""
    name, _, folder = text.partition("=")
    if not folder:
        raise argparse.ArgumentTypeError(f"expected NAME=FOLDER, a checkpoint: {text}")
    return name, folder


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--model", help="the BERT to start from")
    start.add_argument(
        "--given", nargs="+", type=read_given, metavar="NAME=FOLDER",
        help="checkpoints to fine-tune, the teacher first, in place of making any",
    )  # fmt: skip
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--vocabulary", type=int, default=10000, help="words to keep (10000)")
    parser.add_argument(
        "--teacher-steps",
        type=int,
        default=1000,
        help="steps of the teacher, of 2,048 tokens (1000)",
    )
    parser.add_argument(
        "--teacher-rate", type=float, default=2e-4, help="learning rate of the teacher (2e-4)"
    )
    parser.add_argument(
        "--steps", type=int, default=600, help="steps of a student, of 2,048 tokens (600)"
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds of fine-tuning (3)")
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), choices=STUDENTS)
    parser.add_argument("--tasks", nargs="+", default=["sst2", "stsb", "wikiann"], choices=TASKS)
    parser.add_argument(
        "--all-rows", action="store_true", help="fine-tune on all rows of the tasks"
    )
    parser.add_argument(
        "--all-tokens", action="store_true", help="compute L_ce at all tokens, not just masked ones"
    )
    parser.add_argument("--precision", default="bfloat16", choices=("float32", "bfloat16"))
    parser.add_argument(
        "--no-speed", action="store_true", help="do not time the models (the machine is busy)"
    )
    arguments = parser.parse_args()
    arguments.given = dict(arguments.given or ())
    names = [*arguments.given] or [TEACHER, BEST]
    arguments.teacher, arguments.best = names[0], names[-1]
    runs = Runs(arguments)
    models = runs.make_all()
    fine_tuned = {}
    for seed in range(arguments.seeds):
        for task in arguments.tasks:
            for name, folder in models.items():
                fine_tuned[name, task] = runs.fine_tune(folder, name, task, seed)
    if (BEST, "stsb") in fine_tuned and not arguments.no_speed:
        measure(runs, fine_tuned)
    print(runs.report(runs.results))


if __name__ == "__main__":
    main()
