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

from distil.common.config import ALIASES, DistilBertConfig
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
    """What is trained.

    Attributes:
        name: A folder, a bundled checkpoint, or a name on the hub; None makes a student of the
            recipe's teacher.
        framework: "pt" or "tf"; None as `distil.load` chooses.
        revision: Branch, tag or commit on the hub.
        config: Fields of the configuration to set (`dropout: 0.0`).
        new_head: Make the head anew where the checkpoint has one for other labels.
        new_weights: Draw all weights anew: of what `name` stands for only the configuration and the
            tokenizer are taken; of a student made of its teacher only the size.
        vocabulary: How many tokens to keep: special tokens, single characters, and of the others
            those that occur most often in the training rows.  None keeps all.
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
                    "config", f"{name} to be said by {_SAID_ELSEWHERE[name]}", self.config
                )
            if name not in _CONFIG_FIELDS:
                near = get_close_matches(name, _CONFIG_FIELDS, n=1)
                raise ConfigError(
                    "config has a field that no configuration has",
                    expected="fields of DistilBertConfig", found=shown(given), where="config",
                    fix=f"did you mean {near[0]}?" if near else None,
                )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TeacherSection(Section):
    """Whom the model learns from besides the data.

    Attributes:
        name: A folder, a bundled checkpoint, or a name on the hub, of a model that was trained
            for the recipe's task.
        revision: Branch, tag or commit on the hub.
        layers: Those of its layers that a student is made of; None takes every other one, from
            the first.
    """

    name: str = setting(TEXT)
    revision: str | None = setting(or_none(TEXT), None)
    layers: tuple[int, ...] | None = setting(or_none(NUMBERS), None)


@dataclass(frozen=True, kw_only=True)
class DistillationSection(Section):
    """What a student learns from its teacher: losses that are added up, each times its weight.

    A loss whose weight is 0 is not computed.  Those of masked-LM are the triple loss of Sanh et
    al. 2019, with their weights.

    Attributes:
        temperature: What logits are divided by for L_ce.
        alpha_ce: Of L_ce, between the predictions of the two; for regression, of the mean
            squared difference of their scores.
        alpha_task: Of the loss of the labels, for masked-LM L_mlm.
        alpha_cos: Of L_cos, the cosine distance of the last hidden states.
        alpha_hidden: Of the mean squared difference of hidden states, layer by layer.
        alpha_attention: Of that of attention weights, in training those after dropout.
        restrict_to_mask: Compute L_ce of masked-LM at the hidden tokens alone, not at all.
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
    """What it is trained on: local files, or a data set on the hub.

    Attributes:
        folder: Files are looked for in here.
        train: Files to learn from.
        dev: Files to be judged by.
        format: Of the files; None goes by their names (.tsv, .csv, .jsonl, .parquet, .txt,
            .conll, .json for SQuAD), with or without .gz.
        hub: Name of a data set on the hub instead of files, for the package `datasets`.
        subset: Which of its configurations.
        train_split: Its split to learn from.
        dev_split: Its split to be judged by, or null.
        columns: Where what is needed stands, if it is called otherwise in the files: text,
            text_pair, choices, words, tags, label, id, question, context, answers.
        header: Names of the columns of a tsv or csv file that does not begin with them.
        quoting: Whether quotation marks enclose values in tsv and csv files.
        labels: Names of the classes in order; None takes those in the training rows, sorted.
        unit: What is one text of a text file: a line, or a paragraph (up to a blank line).
        max_length: Longest sequence in tokens.
        stride: Tokens that two windows of a long context share (question answering).
        max_train_rows: Take only the first so many rows.
        max_dev_rows: Likewise.
        cache: Folder that keeps tokenized data, from where it is mapped into memory; needed for
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
            raise refused("train", "files to learn from, or else `hub`", self.train)


@dataclass(frozen=True, kw_only=True)
class BatchSection(Section):
    """What goes through the model at once; either `examples` or `tokens` says how much.

    Attributes:
        examples: Rows in a batch.
        tokens: Tokens in a batch, padding included; rows as many as fit.
        accumulation: Batches whose gradients make one step.
        window: Batches that are cut from rows sorted by length; 1 sorts nothing.
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
    """AdamW (Loshchilov and Hutter 2019); biases and LayerNorms do not decay.

    Attributes:
        learning_rate: The highest.
        weight_decay: Share of the learning rate that a weight loses of itself at each step.
        beta_1: Decay of the mean of gradients.
        beta_2: Decay of the mean of their squares.
        epsilon: Added to the root of those.
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
    """How long, and how the learning rate changes meanwhile.

    Attributes:
        epochs: Times that every row is seen.
        steps: Steps after which training ends; None goes by `epochs`.
        kind: What follows the warm-up: "linear" or "cosine" to 0, or "constant".
        warmup: Share of the steps in which the rate rises from 0.
    """

    epochs: int = setting(integer(1, _MOST_EPOCHS), 3)
    steps: int | None = setting(or_none(COUNT), None)
    kind: str = setting(one_of(SCHEDULES), "linear")
    warmup: float = setting(SHARE, 0.1)


@dataclass(frozen=True, kw_only=True)
class MaskingSection(Section):
    """Which tokens masked-LM training guesses, drawn anew each time a batch is made.

    Attributes:
        share: Of the tokens.
        word_mask: Share of those that become [MASK].
        word_keep: Share that stays.
        word_random: Share that becomes any token.
        smoothing: Tokens that occur n times in the data are drawn with weight n^-smoothing.
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
    """When the model is judged, and by what.

    Attributes:
        every: Steps between; None judges after every epoch.
        metric: Which one decides what is best; None takes the task's usual one.
        tokens: Tokens in a batch, padding included.
    """

    every: int | None = setting(or_none(COUNT), None)
    metric: str | None = setting(or_none(TEXT), None)
    tokens: int = setting(COUNT, 4096)


@dataclass(frozen=True, kw_only=True)
class CheckpointsSection(Section):
    """What is kept, to go on after an interruption and to use in the end.

    Attributes:
        every: Steps between; None keeps one after every epoch.
        model: Which model training ends with: the "best" by the metric, or the "last".
    """

    every: int | None = setting(or_none(COUNT), None)
    model: str = setting(one_of(("best", "last")), "best")


@dataclass(frozen=True, kw_only=True)
class LogSection(Section):
    """What is written down meanwhile.

    Attributes:
        every: Steps whose mean makes a point of the curve.
        tensorboard: Write for TensorBoard as well, if that is installed.
    """

    every: int = setting(COUNT, 10)
    tensorboard: bool = setting(FLAG, False)


@dataclass(frozen=True, kw_only=True)
class Recipe(Section):
    """All of it.

    Attributes:
        task: What the model learns: a name of `distil.common.tasks`.
        output: Folder for the model, its checkpoints and its curves.
        seed: Of new weights, order, masking and dropout.
        precision: Of the arithmetic; weights are float32 with "bfloat16" as well.
        teacher: For distillation; None for training by the data alone.
        distillation: What is learned from the teacher.
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
                    "there is nobody to learn from", expected="a section `teacher`",
                    where="distillation",
                )  # fmt: skip
        elif self.model.vocabulary is not None:
            raise ConfigError(
                "a student reads what its teacher reads", expected="null",
                found=self.model.vocabulary, where="model.vocabulary",
                fix="set it in the recipe that trains the teacher",
            )  # fmt: skip
        elif self.model.name is not None and self.teacher.layers is not None:
            raise ConfigError(
                "a student is loaded, or made of layers of its teacher",
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
        if error.where == Path(source):
            raise
        raise error.at(source) from None
