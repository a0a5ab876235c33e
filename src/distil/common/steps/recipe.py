"""A recipe: everything that decides how a model is trained, in one file.

    recipe = read_recipe("configs/finetune/sst2.yaml", {"batch.examples": 16})

The same recipe trains in both frameworks, on the same batches, to the same curve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from distil.common.config import DistilBertConfig
from distil.common.config_values import ALIASES
from distil.common.rules import (
    AMOUNT,
    COUNT,
    FLAG,
    NATURAL,
    POSITIVE,
    RATE,
    SHARE,
    TEXT,
    integer,
    one_of,
    or_none,
)
from distil.common.steps.recipe_rules import (
    COLUMNS,
    FILES,
    NAMES,
    NUMBERS,
    OPTIONS,
    Section,
    Table,
    override,
    read_section,
    refused,
    setting,
    to_table,
)
from distil.common.tasks import TASKS
from distil.errors import ConfigError, shown
from distil.storage.files import read_yaml

FORMATS = ("tsv", "csv", "jsonl", "parquet", "text", "conll", "squad")
SCHEDULES = ("linear", "cosine", "constant")
PRECISIONS = ("float32", "bfloat16", "float64")
UNITS = ("line", "paragraph")
# Batches of every epoch are counted before the first; `schedule.steps` has no such limit.
_MOST_EPOCHS = 10_000
# Fields of the configuration that other parts of a recipe decide.
_SAID_ELSEWHERE = {
    "dtype": "precision", "num_labels": "data.labels", "id2label": "data.labels",
    "label2id": "data.labels", "architectures": "task",
}  # fmt: skip
_CONFIG_FIELDS = tuple(f.name for f in fields(DistilBertConfig) if f.name != "extra")
_TRAINED_TASKS = tuple(name for name in TASKS if name != "base")


@dataclass(frozen=True, kw_only=True)
class ModelSection(Section):
    """The model to train.

    Attributes:
        name: A folder, a bundled checkpoint, or a name on the hub; None makes a student from the
            recipe's teacher.
        framework: "pt" or "tf"; None chooses as `distil.load` does.
        revision: Branch, tag or commit on the hub.
        config: Fields of the configuration to override (`dropout: 0.0`).
        new_head: Replace the checkpoint's head if it has one for other labels.
        new_weights: Start from random weights: only the configuration and the tokenizer of `name`
            are used, or only the size of a student made from its teacher.
        vocabulary: Size to shrink the vocabulary to: special tokens and single characters stay,
            then the tokens that are most frequent in the training rows.  None keeps all.
    """

    name: str | None = setting(or_none(TEXT), None)
    framework: str | None = setting(one_of(("pt", "tf"), or_none=True), None)
    revision: str | None = setting(or_none(TEXT), None)
    config: dict[str, Any] = field(default_factory=dict, metadata={"rule": OPTIONS})
    new_head: bool = setting(FLAG, False)
    new_weights: bool = setting(FLAG, False)
    vocabulary: int | None = setting(or_none(COUNT), None)

    def check_together(self) -> None:  # noqa: D102
        for given in self.config:
            name = ALIASES.get(given, given)
            if name in _SAID_ELSEWHERE:
                raise refused(
                    "config", f"no {name}, which {_SAID_ELSEWHERE[name]} decides", self.config
                )
            if name not in _CONFIG_FIELDS:
                near = get_close_matches(name, _CONFIG_FIELDS, n=1)
                raise ConfigError(
                    "config has an unknown field",
                    expected="fields of DistilBertConfig", found=shown(given), where="config",
                    fix=f"did you mean {near[0]}?" if near else None,
                )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TeacherSection(Section):
    """The teacher, for distillation.

    Attributes:
        name: A folder, a bundled checkpoint, or a name on the hub: a model trained for the
            recipe's task.
        revision: Branch, tag or commit on the hub.
        layers: The teacher's layers that initialise the student; None takes every other one,
            starting with the first.
    """

    name: str = setting(TEXT)
    revision: str | None = setting(or_none(TEXT), None)
    layers: tuple[int, ...] | None = setting(or_none(NUMBERS), None)


@dataclass(frozen=True, kw_only=True)
class DistillationSection(Section):
    """The distillation loss: a weighted sum of up to five losses.

    A loss of weight 0 is not computed.  The defaults are the triple loss of Sanh et al. 2019, with
    its weights.

    Attributes:
        temperature: Softmax temperature of L_ce.
        alpha_ce: Weight of L_ce, between the predictions of student and teacher; for regression,
            of the mean squared error between their scores.
        alpha_task: Weight of the loss on the labels; for masked-LM that is L_mlm.
        alpha_cos: Weight of L_cos, the cosine distance between the last hidden states.
        alpha_hidden: Weight of the mean squared error between hidden states, layer by layer.
        alpha_attention: Weight of the mean squared error between attention weights (in training
            those after dropout).
        restrict_to_mask: Compute L_ce of masked-LM at the masked tokens only, not at all tokens.
    """

    temperature: float = setting(POSITIVE, 2.0)
    alpha_ce: float = setting(AMOUNT, 5.0)
    alpha_task: float = setting(AMOUNT, 2.0)
    alpha_cos: float = setting(AMOUNT, 1.0)
    alpha_hidden: float = setting(AMOUNT, 0.0)
    alpha_attention: float = setting(AMOUNT, 0.0)
    restrict_to_mask: bool = setting(FLAG, False)

    def check_together(self) -> None:  # noqa: D102
        weights = (
            self.alpha_ce, self.alpha_task, self.alpha_cos, self.alpha_hidden, self.alpha_attention
        )  # fmt: skip
        if not any(weights):
            raise refused("alpha_ce", "one of the weights above 0", self.alpha_ce)


@dataclass(frozen=True, kw_only=True)
class DataSection(Section):
    """The data: local files, or a data set on the hub.

    Attributes:
        folder: Folder of the files.
        train: Training files.
        dev: Files to evaluate on.
        format: Format of the files; None goes by their names (.tsv, .csv, .jsonl, .parquet,
            .txt, .conll, .json for SQuAD), with or without .gz.
        hub: Name of a data set on the hub, instead of files; needs the package `datasets`.
        subset: Which of its configurations to use.
        train_split: Its split to train on.
        dev_split: Its split to evaluate on, or null.
        columns: Names of columns in the files, where they differ from the usual ones: text,
            text_pair, choices, words, tags, label, id, question, context, answers.
        header: Names of the columns of a tsv or csv file without a header row.
        quoting: Whether quotation marks enclose values in tsv and csv files.
        labels: Names of the classes, in order; None takes those in the training rows, sorted.
        unit: What counts as one text in a text file: a line, or a paragraph (up to a blank line).
        max_length: Longest sequence, in tokens.
        stride: Overlap, in tokens, of two windows of a long context (question answering).
        max_train_rows: Use only the first so many rows.
        max_dev_rows: Likewise.
        cache: Folder that keeps the tokenized data, which is memory-mapped from there; needed for
            data larger than memory.
    """

    folder: str = setting(TEXT, ".")
    train: tuple[str, ...] | None = setting(or_none(FILES), None)
    dev: tuple[str, ...] | None = setting(or_none(FILES), None)
    format: str | None = setting(one_of(FORMATS, or_none=True), None)
    hub: str | None = setting(or_none(TEXT), None)
    subset: str | None = setting(or_none(TEXT), None)
    train_split: str = setting(TEXT, "train")
    dev_split: str | None = setting(or_none(TEXT), "validation")
    columns: dict[str, Any] = field(default_factory=dict, metadata={"rule": COLUMNS})
    header: tuple[str, ...] | None = setting(or_none(NAMES), None)
    quoting: bool = setting(FLAG, True)
    labels: tuple[str, ...] | None = setting(or_none(NAMES), None)
    unit: str = setting(one_of(UNITS), "line")
    max_length: int = setting(COUNT, 128)
    stride: int = setting(NATURAL, 128)
    max_train_rows: int | None = setting(or_none(COUNT), None)
    max_dev_rows: int | None = setting(or_none(COUNT), None)
    cache: str | None = setting(or_none(TEXT), None)

    def check_together(self) -> None:  # noqa: D102
        if (self.train is None) == (self.hub is None):
            raise refused("train", "either files to train on, or `hub`", self.train)


@dataclass(frozen=True, kw_only=True)
class BatchSection(Section):
    """Batch size, as either `examples` or `tokens`.

    Attributes:
        examples: Rows in a batch.
        tokens: Tokens in a batch, padding included; as many rows as fit.
        accumulation: Batches whose gradients are accumulated for one step.
        window: Batches cut from one run of rows sorted by length; 1 does not sort.
    """

    examples: int | None = setting(or_none(COUNT), None)
    tokens: int | None = setting(or_none(COUNT), None)
    accumulation: int = setting(COUNT, 1)
    window: int = setting(COUNT, 100)

    def check_together(self) -> None:  # noqa: D102
        if (self.examples is None) == (self.tokens is None):
            raise refused("examples", "either examples or tokens", (self.examples, self.tokens))


@dataclass(frozen=True, kw_only=True)
class OptimizerSection(Section):
    """AdamW (Loshchilov and Hutter 2019), without decay of biases and LayerNorms.

    Attributes:
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay, multiplied by the learning rate.
        beta_1: Decay of the running mean of gradients.
        beta_2: Decay of the running mean of squared gradients.
        epsilon: Added to the denominator.
        clip: Largest norm of all gradients together; None does not clip.
    """

    learning_rate: float = setting(POSITIVE, 5e-5)
    weight_decay: float = setting(AMOUNT, 0.01)
    beta_1: float = setting(RATE, 0.9)
    beta_2: float = setting(RATE, 0.999)
    epsilon: float = setting(POSITIVE, 1e-8)
    clip: float | None = setting(or_none(POSITIVE), 1.0)


@dataclass(frozen=True, kw_only=True)
class ScheduleSection(Section):
    """Length of the training, and learning rate over time.

    Attributes:
        epochs: Passes over the training rows.
        steps: Number of steps; None goes by `epochs`.
        kind: Decay after the warm-up: "linear" or "cosine" to 0, or "constant".
        warmup: Fraction of the steps in which the rate rises from 0.
    """

    epochs: int = setting(integer(1, _MOST_EPOCHS), 3)
    steps: int | None = setting(or_none(COUNT), None)
    kind: str = setting(one_of(SCHEDULES), "linear")
    warmup: float = setting(SHARE, 0.1)


@dataclass(frozen=True, kw_only=True)
class MaskingSection(Section):
    """Masking for masked-LM, drawn anew for each batch.

    Attributes:
        share: Fraction of the tokens to predict.
        word_mask: Fraction of these that is replaced by [MASK].
        word_keep: Fraction that is kept as it is.
        word_random: Fraction that is replaced by a random token.
        smoothing: A token that occurs n times in the data is drawn with weight n^-smoothing.
    """

    share: float = setting(SHARE, 0.15)
    word_mask: float = setting(SHARE, 0.8)
    word_keep: float = setting(SHARE, 0.1)
    word_random: float = setting(SHARE, 0.1)
    smoothing: float = setting(AMOUNT, 0.7)

    def check_together(self) -> None:  # noqa: D102
        total = self.word_mask + self.word_keep + self.word_random
        if abs(total - 1) > 1e-6:
            raise refused("word_mask", "word_mask + word_keep + word_random = 1", total)


@dataclass(frozen=True, kw_only=True)
class EvaluationSection(Section):
    """Evaluation on the dev rows.

    Attributes:
        every: Steps between evaluations; None evaluates after every epoch.
        metric: The metric that decides which model is best; None takes the task's usual one.
        tokens: Tokens in a batch, padding included.
    """

    every: int | None = setting(or_none(COUNT), None)
    metric: str | None = setting(or_none(TEXT), None)
    tokens: int = setting(COUNT, 4096)


@dataclass(frozen=True, kw_only=True)
class CheckpointsSection(Section):
    """Checkpoints, and which model is kept.

    Attributes:
        every: Steps between checkpoints, from which an interrupted training continues; None saves
            one after every epoch.
        model: Which model is kept: the "best" by the metric, or the "last".
    """

    every: int | None = setting(or_none(COUNT), None)
    model: str = setting(one_of(("best", "last")), "best")


@dataclass(frozen=True, kw_only=True)
class LogSection(Section):
    """The log.

    Attributes:
        every: Steps that are averaged to one point of the curve.
        tensorboard: Write event files for TensorBoard as well, which must be installed.
    """

    every: int = setting(COUNT, 10)
    tensorboard: bool = setting(FLAG, False)


@dataclass(frozen=True, kw_only=True)
class Recipe(Section):
    """A whole recipe.

    Attributes:
        task: The task, by a name of `distil.common.tasks`.
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
    schedule: ScheduleSection = field(default_factory=ScheduleSection)
    masking: MaskingSection = field(default_factory=MaskingSection)
    evaluation: EvaluationSection = field(default_factory=EvaluationSection)
    checkpoints: CheckpointsSection = field(default_factory=CheckpointsSection)
    log: LogSection = field(default_factory=LogSection)

    def check_together(self) -> None:  # noqa: D102
        if self.teacher is None:
            if self.model.name is None:
                raise ConfigError("model.name is missing", where="model.name")
            if self.distillation != DistillationSection():
                raise ConfigError(
                    "distillation needs a teacher", expected="a section `teacher`",
                    where="distillation",
                )  # fmt: skip
        elif self.model.vocabulary is not None:
            raise ConfigError(
                "a student has the vocabulary of its teacher", expected="null",
                found=self.model.vocabulary, where="model.vocabulary",
                fix="set it in the recipe that trains the teacher",
            )  # fmt: skip
        elif self.model.name is not None and self.teacher.layers is not None:
            raise ConfigError(
                "a student is either loaded or made from layers of its teacher",
                expected="model.name or teacher.layers",
                found=f"{self.model.name!r} and {list(self.teacher.layers)}",
                where="teacher.layers", fix="set one of them to null",
            )  # fmt: skip

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
    try:
        return read_section(Recipe, override(read_yaml(Path(source)), assignments or {}))
    except ConfigError as error:
        # A file that cannot be read names itself; a value that was set is not the file's.
        if error.where == Path(source) or str(error.where) in (assignments or {}):
            raise
        raise error.at(source) from None
