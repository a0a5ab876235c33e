"""`distil distill`: train a student to answer as its teacher does."""

from __future__ import annotations

import argparse

from distil.cli import _training

DESCRIPTION = """\
Train a student to answer as its teacher does, on a file of rows or by a recipe.
The student starts from a model (--model, or `model.name`).  Without one, it is made
of half the teacher's layers, the first and the last included, unless
`teacher.layers` lists them, or is auto, which finds them by trial.

The student learns the teacher's predictions (loss_ce), the labels (loss_task)
and the teacher's hidden states (loss_cos), weighted as the section
`distillation` says; each loss is logged by its name.  A sentence encoder learns
the vectors of its teacher from plain text, without labels.  Everything else works
as in `distil train`."""
EXAMPLES = (
    (
        "a student from a checkpoint, taught by a trained classifier",
        "distil distill configs/distill/sst2.yaml data.folder=./data",
    ),
    (
        "a student made of half the teacher's layers, in TensorFlow",
        "distil distill configs/distill/sst2.yaml model.name=null output=half --framework tf",
    ),
    (
        "half of your own model, on your own table",
        "distil distill --task sequence-classification --teacher ./reviews --data reviews.csv "
        "--text-column review --output half",
    ),
    (
        "a sentence encoder from the lines of a text file",
        "distil distill configs/distill/sentence-embeddings.yaml data.train=texts.txt",
    ),
    (
        "from the teacher's predictions alone, for a program",
        "distil distill configs/distill/sst2.yaml distillation.alpha_task=0 output=soft --json",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    _training.add_arguments(parser)
    parser.add_argument("--teacher", metavar="NAME", help="model to learn from")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    from distil.training import distill  # noqa: PLC0415 - after --help

    return _training.run(arguments, distill)
