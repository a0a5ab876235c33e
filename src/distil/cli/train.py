"""`distil train`: train a model by a recipe, or on a file of rows."""

from __future__ import annotations

import argparse

from distil.cli import _training

DESCRIPTION = """\
Train a model for one of five tasks on a file of rows, or by a recipe: a YAML file
that names the model, the data and every setting.  The same recipe gives the same
batches and the same curve in both frameworks.  Without dev rows, a tenth of the
training rows is held out to evaluate the model on.

The output folder gets the model, which `distil.load` and `distil predict` take,
its card (README.md), curves (curves.png), log (log.jsonl), and the recipe with
every default written out (recipe.yaml).  After an interruption, even a kill, the
same command continues.  Ctrl-C finishes the step and saves a checkpoint; a second
Ctrl-C stops at once."""
EXAMPLES = (
    (
        "a classifier, from your own table",
        "distil train --task sequence-classification --model distilbert-base-uncased "
        "--data reviews.csv --text-column review --output reviews",
    ),
    ("by a recipe", "distil train configs/finetune/sst2.yaml data.folder=./data"),
    (
        "in TensorFlow, with other settings",
        "distil train configs/finetune/sst2.yaml optimizer.learning_rate=1e-4 output=sst2-tf "
        "--framework tf",
    ),
    (
        "on 8 GPUs (docs/scaling.md has more)",
        "torchrun --nproc-per-node 8 -m distil train configs/finetune/sst2.yaml",
    ),
    ("for a program", "distil train configs/finetune/stsb.yaml --json"),
)

add_arguments = _training.add_arguments


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    from distil.training import train  # noqa: PLC0415 - after --help

    return _training.run(arguments, train)
