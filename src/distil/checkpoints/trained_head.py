"""Whether a checkpoint has a trained head for a task, and what loading it for the task would do."""

from __future__ import annotations

from collections.abc import Sequence

from distil.checkpoints.load_report import Finding
from distil.checkpoints.located import Located
from distil.checkpoints.matching import Match
from distil.common.tasks import Task
from distil.errors import DistilError, WeightsError, listed

LOADS, NEW_HEAD, NO = "loads", "new head", "no"

_MOST_MODULES = 4


def missing_head(found: Located, task: Task) -> str | None:
    """Why a checkpoint has no trained head for `task`; None if it has one.

    A head of another task can have weights of the same names and shapes: a token classifier's
    are among those of a sequence classifier.  Such a checkpoint has weights left over.
    """
    status, reason = status_of(found, task)
    return None if status == LOADS else reason


def status_of(found: Located, task: Task) -> tuple[str, str]:
    """What happens when a checkpoint is loaded for a task, and why."""
    needed, labels = task.num_labels, found.config.num_labels
    if needed is not None and labels != needed:
        return NO, f"needs num_labels={needed}, config.json has {labels}"
    try:
        report = found.match(task.name).report
    except DistilError as error:
        return NO, error.problem
    of_encoder = [one for one in (*report.missing, *report.mismatched) if one.in_encoder]
    over = _list(report.unexpected)
    if of_encoder:
        verdict = (
            NO,
            f"encoder weights are missing or have other shapes: {_list(of_encoder)}",
        )
    elif report.mismatched:
        verdict = (
            NO,
            f"other shapes: {_list(report.mismatched)} "
            "(ignore_mismatched_sizes=True gives it a new head)",
        )
    elif report.missing:
        verdict = NEW_HEAD, f"missing: {_list(report.missing)}"
    elif over and task != found.own_task and task.name != "base":
        verdict = NEW_HEAD, f"its head is for another task: {over} would not be used"
    else:
        verdict = LOADS, f"not used: {over}" if over else "all weights are there"
    return verdict


def check_trained(found: Located, task: Task) -> Match:
    """The weights of a checkpoint that has them all.

    Raises:
        WeightsError: It lacks weights of the encoder or the head, or has them in another shape.

    Warns:
        CheckpointWarning: It holds tensors that the model does not use.
    """
    match = found.match(task.name)
    report = match.report
    lacking = (*report.missing, *report.mismatched)
    if report.encoder_found and not any(finding.in_encoder for finding in lacking):
        problem = missing_head(found, task)
        if problem is not None:
            raise WeightsError(
                "the checkpoint has no trained head for this task",
                expected=f"the weights of {task.class_name}", found=problem, where=found.name,
                fix="take the encoder alone (task base), or train the head first",
            )  # fmt: skip
    report.check(name=found.name)
    return match


def _list(findings: Sequence[Finding]) -> str:
    """The modules, or layers of a TensorFlow file, that the weights belong to."""
    separators = ("/" if "/" in finding.name else "." for finding in findings)
    modules = dict.fromkeys(
        finding.name.rpartition(separator)[0] or finding.name
        for finding, separator in zip(findings, separators, strict=True)
    )
    return listed(modules, _MOST_MODULES)
