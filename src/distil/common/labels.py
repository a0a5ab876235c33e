"""Which loss a batch of labels calls for, decided the same way in both frameworks.

The table (transformers' two frameworks disagree in most rows; distil's agree):

=========================  =================  ======================================================
head                       labels             loss
=========================  =================  ======================================================
sequence classification    num_labels is 1    mean squared error ("regression")
                           integers (batch,)  cross entropy ("single_label_classification")
                           else               binary cross entropy ("multi_label_classification")
multiple choice, tokens,   integers           cross entropy
masked LM
question answering         start, end         mean of the two cross entropies over positions
=========================  =================  ======================================================

A `problem_type` in the configuration takes precedence for sequence classification; distil
never writes one there.  Every loss is a scalar mean over the labels that are not `IGNORED`, and 0
where none is left.  An impossible label (class 7 of 3, masked-LM label -1, a
multi-label target outside 0 to 1, a NaN) is an `InputError`; where raising one would stall
a GPU or break a compiled graph, the loss is NaN.  Positions of an answer outside of
the text are ignored: that is how SQuAD's windows without an answer are labelled.
"""

from __future__ import annotations

from typing import Any

from distil.common.config import DistilBertConfig
from distil.common.inputs import Shape, fits, not_integers
from distil.common.tasks import TASKS
from distil.errors import ConfigError, InputError

IGNORED = -100

CROSS_ENTROPY = "single_label_classification"
REGRESSION = "regression"
BINARY = "multi_label_classification"


def loss_kind(
    config: DistilBertConfig, *, task: str, integers: bool, logits: Shape, labels: Shape
) -> str:
    """The loss for these labels: `CROSS_ENTROPY`, `REGRESSION` or `BINARY`.

    Args:
        config: Of the model.
        task: Of the model.
        integers: Whether the labels are of an integer type.
        logits: Shape of the logits.
        labels: Shape of the labels.

    Raises:
        InputError: The labels have a type or a shape that this loss cannot take.
    """
    kind = CROSS_ENTROPY
    any_kind = TASKS[task].has_problem_type
    if any_kind:
        kind = config.problem_type or _guess(config, integers)
    if kind == CROSS_ENTROPY:
        expected = logits[:1] if len(logits) == 2 else logits[:-1]
        if not integers:
            raise not_integers("labels", "floating point")
    else:
        expected = logits
    count = logits[0]
    allowed = [expected]
    if expected[1:] in ((), (1,)):
        # A label by itself is that of a single text.
        allowed = [(count,), (count, 1), *([()] if count in (1, None) else [])]
    if not any(fits(labels, shape) for shape in allowed):
        raise InputError(
            "labels have the wrong shape",
            expected=f"{expected} for {kind}", found=labels, where="labels",
            fix="set config.problem_type if another loss is meant"
            if any_kind else None,
        )  # fmt: skip
    return kind


def _guess(config: DistilBertConfig, integers: bool) -> str:
    if config.num_labels == 1:
        return REGRESSION
    return CROSS_ENTROPY if integers else BINARY


def positions(start: Any, end: Any) -> tuple[Any, Any] | None:
    """Start and end positions as a pair, or None where neither is given.

    Raises:
        InputError: Only one of the two is given.
    """
    if (start is None) != (end is None):
        missing = "start_positions" if start is None else "end_positions"
        raise InputError("an answer needs its start and its end", found=f"no {missing}")
    return None if start is None else (start, end)


def check_positions(name: str, logits: Shape, positions: Shape) -> None:
    """Check that there is one position for each text: (batch,) or (batch, 1).

    Raises:
        InputError: There is not.
    """
    if not any(fits(positions, shape) for shape in (logits[:1], (*logits[:1], 1))):
        raise InputError(
            f"{name} has the wrong shape", expected=logits[:1], found=positions, where=name
        )


def check_task(config: DistilBertConfig, task: str) -> None:
    """Check that the head for `task` can give as many labels as the configuration names.

    Raises:
        ConfigError: Question answering has other than two: a start and an end.
    """
    needed = TASKS[task].num_labels
    if needed is not None and config.num_labels != needed:
        raise ConfigError(
            "question answering scores a start and an end",
            expected=f"num_labels {needed}", found=config.num_labels, where="num_labels",
            fix=f"pass num_labels={needed}",
        )  # fmt: skip
