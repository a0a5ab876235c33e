"""Tiny data sets and recipes for every task, and models to train on them."""

import json
import random

import numpy as np

from distil.common.steps.batching import Batch
from distil.common.steps.masking import PLACES
from distil.common.steps.recipe import read_recipe
from support.folders import WORDS, make_folder
from support.models import batch_for

TASKS = (
    "masked-lm", "sequence-classification", "multiple-choice", "token-classification",
    "question-answering",
)  # fmt: skip


def recipe_for(task, **assignments):
    table = {
        "task": task, "output": "x", "model": {"name": "x"}, "data": {"train": "x"},
        "batch": {"examples": 3}, "optimizer": {"weight_decay": 0.01},
    }  # fmt: skip
    return read_recipe(table, assignments)


def part(config, task, seed, **options):
    """A batch as the loop makes them, of numbers at random."""
    inputs = batch_for(config, task, seed=seed, **options)
    counted = inputs["input_ids"].shape[0]
    if task == "masked-lm":
        labels = inputs.pop("labels").ravel()
        places = np.flatnonzero(labels != -100)
        inputs |= {"labels": labels[places], PLACES: places}
        counted = len(places)
    inputs = {name: array.astype(np.int32) for name, array in inputs.items()}
    return Batch(inputs=inputs, rows=np.arange(3), tokens=1, size=1, counted=counted)


def tame(weights):
    """Matrices of half the size, see test_training.py."""
    return {
        name: w / 2 if w.ndim == 2 and "embed" not in name else w for name, w in weights.items()
    }


def sentence(draw, least=3, most=9):
    return [draw.choice(WORDS) for _ in range(draw.randint(least, most))]


def write_rows(folder, task, split, rows):
    """Rows that something can be learned from, in the format that is usual for the task."""
    draw = random.Random(f"{task} {split}")
    if task == "sequence-classification":
        lines = ["sentence\tlabel"]
        for _ in range(rows):
            words = sentence(draw)
            lines.append(f"{' '.join(words)}\t{'good' if 'good' in words else 'bad'}")
        return write(folder / f"{split}.tsv", "\n".join(lines) + "\n")
    if task == "multiple-choice":
        lines = []
        for _ in range(rows):
            label = draw.randrange(3)
            endings = [" ".join(sentence(draw)) for _ in range(3)]
            endings[label] = "paris paris"
            row = {"context": " ".join(sentence(draw)), "endings": endings, "label": label}
            lines.append(json.dumps(row))
        return write(folder / f"{split}.jsonl", "\n".join(lines) + "\n")
    if task == "token-classification":
        text = ""
        for _ in range(rows):
            for word in sentence(draw):
                text += f"{word}\t{'B-LOC' if word == 'paris' else 'O'}\n"
            text += "\n"
        return write(folder / f"{split}.conll", text)
    if task == "question-answering":
        paragraphs = []
        for number in range(rows):
            words = sentence(draw, 6, 30)
            place = draw.randrange(len(words))
            words[place] = "paris"
            context = " ".join(words)
            answer = {"text": "paris", "answer_start": context.index("paris")}
            question = {"id": str(number), "question": "who was born", "answers": [answer]}
            paragraphs.append({"context": context, "qas": [question]})
        return write(folder / f"{split}.json", json.dumps({"data": [{"paragraphs": paragraphs}]}))
    lines = [" ".join(sentence(draw, 5, 40)) for _ in range(rows)]
    return write(folder / f"{split}.txt", "\n".join(lines) + "\n")


def without_answers(file):
    """Take the answers from every third question of a file of SQuAD's."""
    data = json.loads(file.read_text())
    for paragraph in data["data"][0]["paragraphs"][::3]:
        paragraph["qas"][0] |= {"answers": [], "is_impossible": True}
    file.write_text(json.dumps(data))


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path.name


COLUMNS = {
    "sequence-classification": {"text": "sentence"},
    "multiple-choice": {"text": "context", "choices": "endings"},
}


def make_recipe(folder, task, framework, *, rows=40, **assignments):
    """A recipe for a task, with its data and its model in `folder`."""
    model = folder / "model"
    if not model.exists():
        make_folder(model, task, **({} if task != "token-classification" else {"num_labels": 2}))
    table = {
        "task": task,
        "output": str(folder / f"trained-{framework}"),
        "model": {"name": str(model), "framework": framework, "new_head": True},
        "data": {
            "folder": str(folder),
            "train": write_rows(folder, task, "train", rows),
            "dev": write_rows(folder, task, "dev", 10),
            "columns": COLUMNS.get(task, {}),
            "max_length": 24,
            "stride": 4 if task == "question-answering" else None,
        },
        "batch": {"examples": 8},
        "optimizer": {"learning_rate": 1e-3},
        "schedule": {"epochs": 2},
    }
    return read_recipe(table, assignments)
