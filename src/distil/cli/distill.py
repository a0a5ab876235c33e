"""`distil distill`: a student trained by a recipe that names its teacher."""

from __future__ import annotations

import argparse

from distil.cli import _training

SUMMARY = "teach a smaller model what a larger one knows"
DESCRIPTION = """\
Train a student by a recipe that names its teacher.  The student is made of
some of the teacher's layers, every other one unless `teacher.layers` says
otherwise, or loaded where the recipe has a `model.name`.

It learns the teacher's predictions (loss_ce), the labels (loss_task) and the
teacher's hidden states (loss_cos), each with its weight from the section
`distillation`; those and the other losses there are logged by name.
Everything else is as with `distil train`."""
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
        "from the predictions alone, for a program",
        "distil distill configs/distill/sst2.yaml distillation.alpha_task=0 output=soft --json",
    ),
)

add_arguments = _training.add_arguments


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    from distil.training import distill  # noqa: PLC0415 - after --help

    return _training.run(arguments, distill)
