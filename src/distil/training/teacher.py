"""The teacher of a recipe: loaded, and seen to fit its student."""

from __future__ import annotations

from typing import Any

from distil.api import load_located, load_tokenizer
from distil.checkpoints.located import Located, locate
from distil.checkpoints.trained_head import missing_head
from distil.common.steps.recipe import Recipe
from distil.common.steps.recipe_model import TeacherSection
from distil.common.steps.teaching_rules import check_labels, check_pair
from distil.errors import ConfigError
from distil.frameworks import choose_form
from distil.storage.hub import HubOptions
from distil.training.preparing import Prepared, check_length, dtype_of


def load_teacher(
    recipe: Recipe, section: TeacherSection, framework: str, prepared: Prepared
) -> Any:
    """The model that a student learns from.

    Args:
        recipe: Of the training.
        section: Its `teacher`.
        framework: To load it in.
        prepared: The data; its tokenizer is the student's.

    Raises:
        ConfigError: It was not trained for the recipe's task, or reads other tokens, or shorter
            sequences.
        CheckpointError: Its files are damaged or missing.
    """
    if section is not recipe.origin and prepared.train.features.teacher is None:
        tokenizer = load_tokenizer(section.name, revision=section.revision)
        if tokenizer.get_vocab() != prepared.tokenizer.get_vocab():
            raise ConfigError(
                "student and teacher have different vocabularies",
                expected=f"that of {section.name!r}: {len(tokenizer):,} tokens",
                found=f"{len(prepared.tokenizer):,} tokens, or others", where="model.name",
                fix="make the student from the teacher: model.name=null",
            )  # fmt: skip
    form = choose_form(framework=framework, dtype=dtype_of(recipe, framework))
    with locate(section.name, HubOptions(revision=section.revision)) as found:
        _check_head(recipe, found)
        _check_pooling(recipe, found)
        teacher = load_located(found, recipe.model_task, form)
    check_length(recipe, teacher.config)
    return teacher


def check_lesson(recipe: Recipe, student: Any, teacher: Any, prepared: Prepared) -> None:
    """See that the student can learn from the teacher what the recipe asks for.

    Raises:
        ConfigError: It cannot.
    """
    check_pair(
        student.config, teacher.config, recipe.distillation,
        one_vocabulary=prepared.train.features.teacher is None,
    )  # fmt: skip
    if recipe.model_task.class_column is not None:
        check_labels(teacher.config, prepared.labels, student.config.num_labels)


def _check_pooling(recipe: Recipe, found: Located) -> None:
    """The student pools by the mean, and so must the teacher."""
    encoding = found.encoding if recipe.distillation.needs_vectors else None
    if encoding is not None and encoding.pooling != "mean":
        raise ConfigError(
            "the teacher does not pool by the mean", expected="pooling mean",
            found=f"pooling {encoding.pooling}", where="teacher.name",
            fix="compare hidden states alone: set the weights of vectors to 0",
        )  # fmt: skip


def _check_head(recipe: Recipe, found: Located) -> None:
    """A new head would have nothing to teach."""
    reason = missing_head(found, recipe.model_task)
    if reason is not None:
        raise ConfigError(
            f"the teacher was not trained for {recipe.task}",
            expected="a checkpoint with the head of the task",
            found=reason, where="teacher.name", fix="train it first, with `distil train`",
        )  # fmt: skip
