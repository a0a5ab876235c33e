"""What distillation asks of a teacher and its student, the same for both frameworks.

`distil.pt.training.teaching` and `distil.tf.training.teaching` each have a `TeachingStep`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distil.common.config import DistilBertConfig
from distil.common.steps.batching import Batch
from distil.common.steps.recipe import DistillationSection
from distil.errors import ConfigError

# In place of an answer's scores at padding, where there is nothing to be learned: e to this is 0.
NO_SCORE = -1e30

# Names of the losses, each with its weight `alpha_...` in the recipe.
LOSSES = ("ce", "task", "cos", "hidden", "attention")

# Arguments that hold what a model is to learn.
TARGETS = ("labels", "start_positions", "end_positions")


def matched_layers(
    student: DistilBertConfig, teacher: DistilBertConfig, layers: Sequence[int] | None
) -> tuple[int, ...]:
    """After how many of the teacher's layers the student, after each of its own, is to be.

    A layer of a student that was made of its teacher does the work of the one that it was made
    of and of those that were left out after it.  Other students share the teacher's layers
    evenly, which is the same where every other one was taken.

    Args:
        student: Its configuration.
        teacher: Likewise.
        layers: Of the teacher, that the student was made of; None where that is not known.
    """
    if layers is not None:
        return (*layers[1:], teacher.n_layers)
    own, theirs = student.n_layers, teacher.n_layers
    return tuple(-(-number * theirs // own) for number in range(1, own + 1))


def counts_of(batch: Batch, task: str, settings: DistillationSection) -> dict[str, int]:
    """How much of a batch each loss is the mean of, by its name.

    Args:
        batch: Or a slice of one, maybe without rows.
        task: Of the recipe.
        settings: Likewise.
    """
    if not len(batch.rows):
        return dict.fromkeys(LOSSES, 0)
    ids, mask = batch.inputs["input_ids"], batch.inputs.get("attention_mask")
    lengths = (np.ones_like(ids) if mask is None else mask != 0).sum(axis=-1, dtype=np.int64)
    tokens = int(lengths.sum())
    predictions = len(batch.rows)
    if task == "token-classification":
        predictions = tokens
    elif task == "masked-lm":
        predictions = batch.counted if settings.restrict_to_mask else tokens
    return {
        "ce": predictions,
        "task": batch.counted,
        "cos": tokens,
        "hidden": tokens,
        "attention": int((lengths**2).sum()),  # pairs of tokens
    }


def check_pair(
    student: DistilBertConfig, teacher: DistilBertConfig, settings: DistillationSection
) -> None:
    """See that one can learn from the other what the recipe asks for.

    Raises:
        ConfigError: They have other vocabularies, classes, widths or heads.
    """
    _check_equal("vocab_size", student.vocab_size, teacher.vocab_size, "teacher.name")
    for name, weight in (
        ("alpha_cos", settings.alpha_cos), ("alpha_hidden", settings.alpha_hidden)
    ):  # fmt: skip
        if weight:
            _check_equal("dim", student.dim, teacher.dim, f"distillation.{name}")
    if settings.alpha_attention:
        where = "distillation.alpha_attention"
        _check_equal("n_heads", student.n_heads, teacher.n_heads, where)
        if student.pruned_heads or teacher.pruned_heads:
            raise ConfigError(
                "attention cannot be compared where heads were pruned",
                expected="all heads", found="pruned_heads", where=where, fix=f"set {where} to 0",
            )  # fmt: skip


def check_labels(teacher: DistilBertConfig, labels: Sequence[str], classes: int) -> None:
    """See that the teacher's classes are those of the data, in the same order.

    Args:
        teacher: Its configuration.
        labels: Of the data by name; none where the task has no names.
        classes: How many numbers the student gives.

    Raises:
        ConfigError: They are not.
    """
    names = [teacher.id2label[number] for number in range(teacher.num_labels)]
    # Names that nobody gave say nothing.
    unnamed = names == [f"LABEL_{number}" for number in range(len(names))]
    if len(names) != classes or (labels and not unnamed and names != list(labels)):
        raise ConfigError(
            "the teacher knows other classes, or has them in another order",
            expected=", ".join(labels) or classes, found=", ".join(names), where="teacher.name",
            fix="list them in data.labels as the teacher has them",
        )  # fmt: skip


def _check_equal(name: str, student: Any, teacher: Any, where: str) -> None:
    if student != teacher:
        weight = where.startswith("distillation.")
        raise ConfigError(
            f"student and teacher differ in {name}",
            expected=f"{teacher}, as the teacher", found=student, where=where,
            fix=f"set {where} to 0" if weight else "take a teacher with the student's vocabulary",
        )  # fmt: skip
