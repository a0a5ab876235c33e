"""Whether a student can learn from a teacher what the recipe asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distil.common.config import DistilBertConfig
from distil.common.labels import BINARY
from distil.common.steps.recipe_model import DistillationSection
from distil.errors import ConfigError


def check_pair(
    student: DistilBertConfig,
    teacher: DistilBertConfig,
    settings: DistillationSection,
    *,
    one_vocabulary: bool = True,
) -> None:
    """Check that the student can learn from the teacher what the recipe asks for.

    Args:
        student: Its configuration.
        teacher: Likewise.
        settings: Of the recipe.
        one_vocabulary: Whether both read the same tokens.

    Raises:
        ConfigError: They have other vocabularies, classes, widths or heads.
    """
    if one_vocabulary:
        _check_equal("vocab_size", student.vocab_size, teacher.vocab_size, "teacher.name")
    for name in ("alpha_cos", "alpha_hidden", "alpha_vector"):
        where = f"distillation.{name}"
        # Mapped vectors would be the teacher's, and the student's own would be compared by nobody.
        maps = name != "alpha_vector"
        if getattr(settings, name) and not (maps and settings.linear_map):
            fix = f"set distillation.linear_map to true, or {where} to 0" if maps else None
            _check_equal("dim", student.dim, teacher.dim, where, fix)
    if settings.alpha_ce and BINARY in (student.problem_type, teacher.problem_type):
        _check_equal(
            "problem_type", student.problem_type, teacher.problem_type, "distillation.alpha_ce"
        )
    if settings.alpha_attention:
        where = "distillation.alpha_attention"
        _check_equal("n_heads", student.n_heads, teacher.n_heads, where)
    if settings.alpha_relations:
        where = "distillation.alpha_relations"
        _check_relations(student, teacher, settings)
    compares_heads = settings.alpha_attention or settings.alpha_relations
    if compares_heads and (student.pruned_heads or teacher.pruned_heads):
        raise ConfigError(
            "attention cannot be compared where heads were pruned",
            expected="all heads", found="pruned_heads", where=where, fix=f"set {where} to 0",
        )  # fmt: skip


def _check_relations(
    student: DistilBertConfig, teacher: DistilBertConfig, settings: DistillationSection
) -> None:
    """Check that there is such a layer, and that widths divide into that many parts."""
    number, heads = settings.relation_layer, settings.relation_heads or teacher.n_heads
    if number is not None and number >= teacher.n_layers:
        raise ConfigError(
            "the teacher has no such layer", expected=f"0 to {teacher.n_layers - 1}", found=number,
            where="distillation.relation_layer",
        )  # fmt: skip
    if student.dim % heads or teacher.dim % heads:
        raise ConfigError(
            "queries, keys and values cannot be cut into so many parts",
            expected=f"a divisor of {student.dim} and {teacher.dim}", found=heads,
            where="distillation.relation_heads",
        )  # fmt: skip


def check_alone(settings: DistillationSection, workers: int) -> None:
    """Check that no other worker shares the batches whose texts are compared.

    Raises:
        ConfigError: Several workers do.
    """
    if settings.alpha_similarity and workers > 1:
        raise ConfigError(
            "texts of a batch cannot be compared where several workers share it",
            expected="one worker", found=workers, where="distillation.alpha_similarity",
            fix="set it to 0, or train by one worker",
        )  # fmt: skip


def check_labels(teacher: DistilBertConfig, labels: Sequence[str], classes: int) -> None:
    """Check that the teacher's classes are those of the data, in the same order.

    Args:
        teacher: Its configuration.
        labels: Of the data by name; none where the task has no names.
        classes: How many numbers the student gives.

    Raises:
        ConfigError: They are not.
    """
    names = [teacher.id2label[number] for number in range(teacher.num_labels)]
    # Generic names carry no information.
    unnamed = names == [f"LABEL_{number}" for number in range(len(names))]
    if len(names) != classes or (labels and not unnamed and names != list(labels)):
        raise ConfigError(
            "the teacher has other classes, or has them in another order",
            expected=", ".join(labels) or classes, found=", ".join(names), where="teacher.name",
            fix="list them in data.labels in the teacher's order",
        )  # fmt: skip


def _check_equal(name: str, student: Any, teacher: Any, where: str, fix: str | None = None) -> None:
    if student != teacher:
        usual = "take a teacher with the student's vocabulary"
        if where.startswith("distillation."):
            usual = f"set {where} to 0"
        raise ConfigError(
            f"student and teacher differ in {name}",
            expected=f"{teacher}, as the teacher", found=student, where=where,
            fix=fix or usual,
        )  # fmt: skip
