"""Is there a trained head for a task, and what becomes of a checkpoint that is loaded for it?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distil.checkpoints.load_report import Finding
from distil.checkpoints.matching import match_weights
from distil.checkpoints.opening import open_checkpoint
from distil.common.config import FILE_NAME, DistilBertConfig
from distil.common.tasks import Task, task_of_checkpoint
from distil.errors import DistilError, InputError
from distil.storage.tensors import Checkpoint

LOADS, NEW_HEAD, NO = "loads", "new head", "no"

_MOST_MODULES = 4


def missing_head(folder: Path, config: DistilBertConfig, task: Task) -> str | None:
    """Why the checkpoint in `folder` has no trained head for `task`; None if it has one.

    A head of another task can have weights of the same names and shapes: a token classifier's
    are among those of a sequence classifier.  Such a head leaves weights over.
    """
    with open_checkpoint(folder) as checkpoint:
        status, reason = status_of(checkpoint, config, task, own=own_task(config))
    return None if status == LOADS else reason


def own_task(config: DistilBertConfig) -> Task | None:
    """The task that a checkpoint was saved for, None if its class is not known here."""
    try:
        return task_of_checkpoint(config, FILE_NAME)
    except InputError:
        return None


def status_of(
    checkpoint: Checkpoint, config: DistilBertConfig, task: Task, *, own: Task | None
) -> tuple[str, str]:
    """What becomes of a checkpoint that is loaded for a task, and why."""
    if task.name == "question-answering" and config.num_labels != 2:
        return NO, f"needs num_labels=2, config.json has {config.num_labels}"
    try:
        report = match_weights(checkpoint, config, task.name).report
    except DistilError as error:
        return NO, error.problem
    of_encoder = [one for one in (*report.missing, *report.mismatched) if one.in_encoder]
    over = _list(report.unexpected)
    if of_encoder:
        verdict = NO, f"weights of the encoder are missing or of another shape: {_list(of_encoder)}"
    elif report.mismatched:
        verdict = (
            NO,
            (
                f"of another shape: {_list(report.mismatched)} "
                "(ignore_mismatched_sizes=True makes the head anew)"
            ),
        )
    elif report.missing:
        verdict = NEW_HEAD, f"not there: {_list(report.missing)}"
    elif over and task != own and task.name != "base":
        verdict = NEW_HEAD, f"what it finds is another head's, of which {over} is left over"
    else:
        verdict = LOADS, f"left over: {over}" if over else "every weight is there"
    return verdict


def _list(findings: Sequence[Finding]) -> str:
    """The modules, or layers of a TensorFlow file, that the weights belong to."""
    separators = ("/" if "/" in finding.name else "." for finding in findings)
    modules = dict.fromkeys(
        finding.name.rpartition(separator)[0] or finding.name
        for finding, separator in zip(findings, separators, strict=True)
    )
    shown = ", ".join(list(modules)[:_MOST_MODULES])
    more = len(modules) - _MOST_MODULES
    return shown + (f" and {more} more" if more > 0 else "")
