"""A recipe: everything that decides how a model is trained, in one file.

    recipe = read_recipe("configs/finetune/sst2.yaml", {"batch.examples": 16})

The same recipe trains in both frameworks, on the same batches, to the same curve.  Its sections
are in `recipe_model`, `recipe_data` and `recipe_course`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distil.common.labels import BINARY, CROSS_ENTROPY
from distil.common.rules import NATURAL, TEXT, one_of
from distil.common.steps.recipe_course import (
    CardSection,
    CheckpointsSection,
    EvaluationSection,
    LogSection,
    LossSection,
    OptimizerSection,
    ScheduleSection,
)
from distil.common.steps.recipe_data import BatchSection, DataSection, MaskingSection
from distil.common.steps.recipe_model import AUTO, DistillationSection, ModelSection, TeacherSection
from distil.common.steps.recipe_rules import (
    Section,
    Table,
    override,
    read_section,
    setting,
    to_table,
)
from distil.common.tasks import TASKS, Task, find_task
from distil.errors import ConfigError
from distil.storage.files import read_yaml
from distil.storage.paths import check_name

PRECISIONS = ("float32", "bfloat16", "float64")
# The task of an encoder without a head.
EMBEDDINGS = "sentence-embeddings"
_TRAINED_TASKS = (*(name for name in TASKS if name != "base"), EMBEDDINGS)


@dataclass(frozen=True, kw_only=True)
class Recipe(Section):
    """A whole recipe.

    Attributes:
        task: The task: masked-lm, sequence-classification, multiple-choice,
            token-classification, question-answering, or sentence-embeddings, which are learned
            from a teacher.
        output: Folder for the model, its checkpoints and its curves.
        seed: Seed of new weights, order of rows, masking and dropout.
        precision: Precision of the arithmetic; with "bfloat16" the weights are still float32.
        teacher: The teacher, for distillation; None trains on the data alone.
        distillation: The distillation loss.
    """

    task: str = setting(one_of(_TRAINED_TASKS))
    output: str = setting(TEXT)
    data: DataSection
    batch: BatchSection
    model: ModelSection = field(default_factory=ModelSection)
    teacher: TeacherSection | None = None
    distillation: DistillationSection = field(default_factory=DistillationSection)
    seed: int = setting(NATURAL, 0)
    precision: str = setting(one_of(PRECISIONS), "float32")
    optimizer: OptimizerSection = field(default_factory=OptimizerSection)
    loss: LossSection = field(default_factory=LossSection)
    schedule: ScheduleSection = field(default_factory=ScheduleSection)
    masking: MaskingSection = field(default_factory=MaskingSection)
    evaluation: EvaluationSection = field(default_factory=EvaluationSection)
    checkpoints: CheckpointsSection = field(default_factory=CheckpointsSection)
    log: LogSection = field(default_factory=LogSection)
    card: CardSection = field(default_factory=CardSection)

    def check_together(self) -> None:  # noqa: D102
        if self.evaluation.masking is not None and self.task != "masked-lm":
            raise ConfigError(
                "only masked-lm masks words", expected="null", found="a section",
                where="evaluation.masking",
            )  # fmt: skip
        if self.data.stride is not None and self.task == "masked-lm":
            raise ConfigError(
                "masked-lm cuts a long text into sequences that share nothing", expected="null",
                found=self.data.stride, where="data.stride",
            )  # fmt: skip
        if self.task == EMBEDDINGS:
            self._check_embeddings()
        self._check_loss()
        if self.has_several_labels and not self.model_task.has_problem_type:
            raise ConfigError(
                "only texts as a whole have several labels", expected="sequence-classification",
                found=self.task, where="model.config.problem_type",
            )  # fmt: skip
        if self.evaluation.patience is not None and not self.data.has_dev:
            raise ConfigError(
                "training cannot stop early without dev rows",
                expected="data.dev or data.dev_share", where="evaluation.patience",
            )  # fmt: skip
        if self.teacher is None:
            if self.model.name is None:
                raise ConfigError("model.name is missing", where="model.name")
            if self.distillation != DistillationSection():
                raise ConfigError(
                    "distillation needs a teacher", expected="a section `teacher`",
                    where="distillation",
                )  # fmt: skip
        elif self.model.vocabulary is not None and not self.may_differ_in_words:
            raise ConfigError(
                "a student has the vocabulary of its teacher, unless vectors alone are compared",
                expected="null", found=self.model.vocabulary, where="model.vocabulary",
                fix="set it in the recipe that trains the teacher",
            )  # fmt: skip
        elif self.model.name is not None and self.teacher.layers is not None:
            raise ConfigError(
                "a student is either loaded or made from layers of its teacher",
                expected="model.name or teacher.layers",
                found=f"{self.model.name!r} and {to_table(self.teacher)['layers']}",
                where="teacher.layers", fix="set one of them to null",
            )  # fmt: skip
        elif self.teacher.layers == AUTO and self.model.new_weights:
            raise ConfigError(
                "random weights do not depend on the layers chosen",
                expected="layers by number", found=AUTO, where="teacher.layers",
            )  # fmt: skip
        if self.teacher is not None and self.teacher.cache and not self.may_differ_in_words:
            raise ConfigError(
                "the teacher's outputs are kept where its vectors alone are compared",
                expected="null", found=self.teacher.cache, where="teacher.cache",
                fix="set it to null, or the weights of the losses of tokens to 0",
            )  # fmt: skip

    def _check_loss(self) -> None:
        """Refuse what has no effect on the loss of this task."""
        task = TASKS.get(self.task)
        is_plain = self.model.config.get("problem_type") in (None, CROSS_ENTROPY)
        learns = self.teacher is None or self.distillation.alpha_task
        has = {
            "class_weights": is_plain and task is not None and task.class_column is not None,
            "label_smoothing": is_plain and task is not None and task.targets == ("labels",),
        }
        for name, fits in has.items():
            if getattr(self.loss, name) and not (fits and learns):
                raise ConfigError(
                    f"the loss has no {name}", found=f"a recipe for {self.task}"
                    + ("" if is_plain else f", {self.model.config['problem_type']}")
                    + ("" if learns else " that learns from its teacher alone"),
                    where=f"loss.{name}", fix="leave it out",
                )  # fmt: skip

    def _check_embeddings(self) -> None:
        if self.teacher is None:
            raise ConfigError(
                "sentence embeddings are learned from a teacher", expected="a section `teacher`",
                where="task", fix="set teacher.name, and use `distil distill`",
            )  # fmt: skip
        for name in ("alpha_ce", "alpha_task"):
            weight = getattr(self.distillation, name)
            if weight:
                raise ConfigError(
                    "an encoder without a head makes no predictions to compare",
                    expected="0", found=weight, where=f"distillation.{name}",
                    fix=f"set distillation.{name} to 0, and distillation.alpha_vector above it",
                )  # fmt: skip

    @property
    def may_differ_in_words(self) -> bool:
        """Whether student and teacher may have different vocabularies."""
        return self.task == EMBEDDINGS and not self.distillation.compares_tokens

    @property
    def model_task(self) -> Task:
        """The task that the model is loaded for."""
        return find_task(self.task)

    @property
    def has_several_labels(self) -> bool:
        """Whether a text may have several labels, or none."""
        return bool(self.model.config.get("problem_type") == BINARY)

    @property
    def origin(self) -> ModelSection | TeacherSection:
        """Where the model's first weights come from, and its tokenizer."""
        if self.model.name is not None or self.teacher is None:
            return self.model
        return self.teacher

    def to_table(self) -> Table:
        """The recipe as plain data, every default written out."""
        return to_table(self)

    def replace(self, **assignments: Any) -> Recipe:
        """A copy with some values set, by dotted name, and checked."""
        return read_section(Recipe, override(self.to_table(), assignments))


def read_recipe(
    source: str | Path | Mapping[str, Any] | Recipe, assignments: Mapping[str, Any] | None = None
) -> Recipe:
    """The recipe in a YAML file.

    Args:
        source: The file; or what it would hold; or a recipe.
        assignments: Values to set instead, by dotted name.

    Raises:
        CheckpointNotFoundError: There is no such file.
        ConfigError: A name is unknown or missing, or a value breaks its rule.
    """
    if isinstance(source, Recipe):
        return source.replace(**(assignments or {}))
    if isinstance(source, Mapping):
        try:
            return read_section(Recipe, override(source, assignments or {}))
        except RecursionError:
            raise ConfigError("the recipe is nested without an end") from None
    check_name(source, "recipe")
    try:
        return read_section(Recipe, override(read_yaml(Path(source)), assignments or {}))
    except ConfigError as error:
        # A file that cannot be read names itself; a value that was set is not the file's.
        if error.where == Path(source) or str(error.where) in (assignments or {}):
            raise
        raise error.at(source) from None
