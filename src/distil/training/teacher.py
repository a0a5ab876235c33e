"""The teacher of a recipe: loaded, and seen to fit its student."""

from __future__ import annotations

from typing import Any

from distil.common import hub
from distil.common.checkpoint import open_checkpoint
from distil.common.config import DistilBertConfig
from distil.common.errors import ConfigError
from distil.common.recipe import Recipe
from distil.common.teaching import check_labels, check_pair
from distil.common.weights import match_weights
from distil.training.preparing import Prepared, check_length, dtype_of


def load_teacher(recipe: Recipe, framework: str, prepared: Prepared) -> Any:
    """The model that a student learns from.

    Args:
        recipe: With a section `teacher`.
        framework: To load it in.
        prepared: The data; its tokenizer is the student's.

    Raises:
        ConfigError: It was not trained for the recipe's task, or reads other tokens, or shorter
            sequences.
        CheckpointError: Its files are damaged or missing.
    """
    import distil  # noqa: PLC0415 - which imports this package

    section = recipe.teacher
    if section is not recipe.origin:
        tokenizer = distil.load_tokenizer(section.name, revision=section.revision)
        if tokenizer.get_vocab() != prepared.tokenizer.get_vocab():
            raise ConfigError(
                "student and teacher have different vocabularies",
                expected=f"that of {section.name!r}: {len(tokenizer):,} tokens",
                found=f"{len(prepared.tokenizer):,} tokens, or others", where="model.name",
                fix="let the student be made of the teacher: model.name=null",
            )  # fmt: skip
    folder = hub.snapshot(section.name, revision=section.revision)
    _check_head(recipe, folder)
    teacher = distil.load(
        folder, framework=framework, task=recipe.task, dtype=dtype_of(recipe, framework)
    )
    check_length(recipe, teacher.config)
    return teacher


def check_lesson(recipe: Recipe, student: Any, teacher: Any, labels: tuple[str, ...]) -> None:
    """See that the student can learn from the teacher what the recipe asks for.

    Raises:
        ConfigError: It cannot.
    """
    check_pair(student.config, teacher.config, recipe.distillation)
    if recipe.task in ("sequence-classification", "token-classification"):
        check_labels(teacher.config, labels, student.config.num_labels)


def _check_head(recipe: Recipe, folder: Any) -> None:
    """A head made anew would be no teacher."""
    config = DistilBertConfig.from_pretrained(folder)
    with open_checkpoint(folder) as checkpoint:
        report = match_weights(checkpoint, config, recipe.task).report
    if report.missing:
        raise ConfigError(
            f"the teacher was not trained for {recipe.task}",
            expected="a checkpoint with the head of the task",
            found="no " + ", ".join(finding.name for finding in report.missing),
            where="teacher.name", fix="train it first, with `distil train`",
        )  # fmt: skip
