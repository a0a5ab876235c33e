"""Every form, head and type of `distil export`, proven on rows of the head's own data.

    python benchmarks/exports.py --data FOLDER --output FOLDER [--tasks ...] [--forms ...]

The classifier is the bundled one; the other heads are trained on its encoder for a minute, so that
they are not undecided everywhere.  Each export goes through the proof of `distil export`, with rows
of the data in place of texts: the 872 of SST-2 for the classifier, else 500.  Of each head's data
the shortest rows are taken, as many forms compute padding.

What was measured is in exports.json in the output folder, and is not measured again.
"""

import argparse
import csv
import json
import random
import tempfile
import time
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

import distil
from distil.checkpoints.located import locate
from distil.exporting import comparing, proof
from distil.exporting.forms import FORMS
from distil.exporting.source import make_source
from distil.optimization import calibration_of

ROWS = 500
MODEL = "sst2-small"
CONFIGS = Path(__file__).parents[1] / "configs/finetune"
SHORT = {
    "batch.examples": 16, "data.max_dev_rows": 64, "evaluation.every": 10**6,
    "model.new_head": True, "optimizer.learning_rate": 2e-4, "precision": "bfloat16",
}  # fmt: skip
# Recipe, and how it is made short.
TRAININGS = {
    "token-classification": ("wikiann", {"schedule.steps": 250, "data.max_length": 64}),
    "question-answering": (
        "squad", {"schedule.steps": 30, "data.max_length": 192, "data.stride": 64},
    ),
    "multiple-choice": ("hellaswag", {"schedule.steps": 20, "data.max_length": 64}),
    "masked-lm": ("mlm", {"batch.tokens": 1024, "schedule.steps": 25}),
}  # fmt: skip
TASKS = ("sequence-classification", *TRAININGS, "sentence-embeddings")


def sentences(data, _tokenizer):
    with (data / "sst2/dev.tsv").open(encoding="utf-8") as file:
        return [[row["sentence"]] for row in csv.DictReader(file, delimiter="\t", quoting=3)]


def words(data, _tokenizer):
    with (data / "wikiann_en/dev.conll").open(encoding="utf-8") as file:
        lines = [line.split("\t")[0].strip() for line in file]
    return [[" ".join(own)] for full, own in groupby(lines, bool) if full]


def questions(data, _tokenizer):
    articles = json.loads((data / "squad/dev-v1.1.json").read_text())["data"]
    paragraphs = [one for article in articles for one in article["paragraphs"]]
    return [[one["question"], own["context"]] for own in paragraphs for one in own["qas"]]


def endings(data, _tokenizer):
    with (data / "hellaswag/dev.jsonl").open(encoding="utf-8") as file:
        rows = sorted(map(json.loads, file), key=lambda row: len(str(row)))
    return [[row["context"], ending] for row in rows[:ROWS] for ending in row["endings"]]


def masked(data, tokenizer):
    chance = random.Random(0)
    lines = (data / "wikitext2/valid.txt").read_text(encoding="utf-8").split("\n")
    rows = [line.split()[:40] for line in lines if len(line) > 80]
    mask = tokenizer.mask_token
    return [[" ".join(mask if chance.random() < 0.15 else one for one in row)] for row in rows]


READERS = {
    "sequence-classification": sentences, "token-classification": words,
    "question-answering": questions, "multiple-choice": endings, "masked-lm": masked,
    "sentence-embeddings": sentences,
}  # fmt: skip


def sequences_of(task, data, tokenizer):
    """Token ids, shorter ones first; of choices, as they come."""
    rows = READERS[task](data, tokenizer)
    found = [
        np.asarray(tokenizer(*row, truncation=True, max_length=192)["input_ids"], np.int64)
        for row in rows
    ]
    if task == "multiple-choice":
        return found
    found.sort(key=len)
    return found if task == "sequence-classification" else found[:ROWS]


def checkpoint_of(task, arguments):
    """A model with a trained head."""
    if task not in TRAININGS:
        return MODEL
    folder = arguments.output / task
    if not (folder / "model.safetensors").exists():
        recipe, settings = TRAININGS[task]
        distil.train(
            CONFIGS / f"{recipe}.yaml",
            **{"model.name": MODEL, "model.framework": "pt", "data.folder": str(arguments.data),
               "output": str(folder), **SHORT, **settings},
        )  # fmt: skip
    return str(folder)


class Remembered:
    """The plain model of one task, asked once for each batch."""

    def __init__(self):
        self._make, self._known, self._task = proof._reference, {}, None

    def __call__(self, source, framework):
        run = self._make(source, framework)
        task = source.task.name, source.pooling
        if task != self._task:
            self._known, self._task = {}, task

        def remembered(batch):
            key = framework, batch.ids.shape, batch.ids.tobytes()
            if key not in self._known:
                self._known[key] = run(batch)
            return self._known[key]

        return remembered


def measure(task, form, dtype, sequences, arguments):
    """One cell of the table."""
    checkpoint = checkpoint_of(task, arguments)
    with tempfile.TemporaryDirectory() as scratch, locate(checkpoint) as found:
        calibration = calibration_of(found.config, found.folder, None)
        own_task = task if task == "sentence-embeddings" else None
        source = make_source(found, own_task, None, calibration)
        begin = time.perf_counter()
        path = form.module.write(source, Path(scratch), dtype)
        seconds = time.perf_counter() - begin
        files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
        files += [path.with_suffix(".bin")] if path.suffix == ".xml" else []
        size = sum(one.stat().st_size for one in files)
        proven = proof.prove(source, form, path, dtype, sequences, lambda doing: None)
    texts = proven.findings[-1]
    return {
        "form": form.name, "task": task, "dtype": dtype, "proven": proven.holds,
        "difference": max(one.difference for one in proven.findings),
        "relative": max(one.largest for one in proven.findings), "labels": texts.labels,
        "rows": texts.rows, "MB": size / 1e6, "seconds": seconds, "runtime": proven.runtime,
    }  # fmt: skip


def print_table(cells):
    """As Markdown."""
    print("| task | form | type | proven | difference | relative | labels | MB | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for one in sorted(
        cells, key=lambda one: (TASKS.index(one["task"]), [*FORMS].index(one["form"]))
    ):
        row = (
            one["task"], one["form"], one["dtype"], "yes" if one["proven"] else "no",
            f"{one['difference']:.1e}", f"{one['relative']:.1e}",
            "" if one["labels"] is None else f"{one['labels']:.2%}",
            f"{one['MB']:.2f}", f"{one['seconds']:.1f}",
        )  # fmt: skip
        print(f"| {' | '.join(row)} |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = arguments.output / "exports.json"
    cells = json.loads(results.read_text()) if results.exists() else []
    proof._reference = Remembered()
    comparing._CHOICES = 4
    torch.set_num_threads(1)
    for task in arguments.tasks:
        sequences = sequences_of(task, arguments.data, distil.load_tokenizer(MODEL))
        for name in arguments.forms:
            form = FORMS[name]
            if not all(map(find_spec, form.packages)):
                continue
            for dtype in form.dtypes:
                key = {"form": name, "task": task, "dtype": dtype}
                if any(key.items() <= one.items() for one in cells):
                    continue
                cells.append(measure(task, form, dtype, sequences, arguments))
                results.write_text(json.dumps(cells, indent=2) + "\n")
                print(json.dumps(cells[-1]), flush=True)
    print_table(cells)


if __name__ == "__main__":
    main()
