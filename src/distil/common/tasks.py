"""The six tasks a DistilBERT is loaded for: one row each, with everything that depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, get_args

from distil.common.config import DistilBertConfig
from distil.common.outputs import EncoderOutput, HeadOutput, ModelOutput, QuestionAnsweringOutput
from distil.errors import InputError
from distil.storage.hub import DEFAULT

TaskName = Literal[
    "base", "masked-lm", "sequence-classification", "multiple-choice", "token-classification",
    "question-answering",
]  # fmt: skip

# The names that callers may use, for type checkers too; its own name first.
Features = Literal["feature-extraction"]
Embeddings = Literal["embeddings", "sentence-embeddings", "sentence-similarity"]
Base = Literal["base", Features, Embeddings]
MaskedLM = Literal["masked-lm", "fill-mask", "mlm"]
SequenceClassification = Literal[
    "sequence-classification", "text-classification", "sentiment-analysis"
]
MultipleChoice = Literal["multiple-choice"]
TokenClassification = Literal["token-classification", "ner", "named-entity-recognition"]
QuestionAnswering = Literal["question-answering", "qa", "extractive-question-answering"]
AnyTask = (
    Base | MaskedLM | SequenceClassification | MultipleChoice | TokenClassification
    | QuestionAnswering
)  # fmt: skip

# Fields of an output that are not the scores of its head.
_BESIDE_SCORES = ("loss", "hidden_states", "attentions")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Attributes:
        name: Its name in `distil.load`, and the key of its head in `distil.common.spec.HEADS`.
        class_name: The PyTorch class; the TensorFlow class has "TF" before it.
        aliases: Other names accepted for it, those of transformers' pipelines among them.
        bert_classes: BERT classes whose checkpoints are loaded for it unless told otherwise.
        tf_model: What transformers calls the model in the names of a tf_model.h5.
        output: What its models return.
        targets: Arguments of the model that hold what it is to learn; none for the base model.
        metric: Decides which of two models is better in training.
        reads_first: Whether its head reads only the first token of a sequence.
        scores_tokens: Whether its head makes a prediction for every token.
        has_choices: Whether its inputs have an axis of choices: (batch, choices, length).
        masks_words: Whether it learns from words masked in the text itself.
        class_column: The column that names the classes in rows of data; None without classes.
        has_problem_type: Whether `problem_type` may turn it into a regression, or give a text
            several labels.
        num_labels: How many labels its head must have, None where the configuration says.
        row: What a row for its pipeline is made of: its text, and what goes with that.
        needs_second: Whether the second of these must be there.
        top_k: Results for a row, unless told otherwise; None gives all.
        bundled: The checkpoint of the package for those who name none.
    """

    name: TaskName
    class_name: str
    aliases: tuple[str, ...] = ()
    bert_classes: tuple[str, ...] = ()
    tf_model: str
    output: type[ModelOutput] = HeadOutput
    targets: tuple[str, ...] = ("labels",)
    metric: str | None = None
    reads_first: bool = False
    scores_tokens: bool = False
    has_choices: bool = False
    masks_words: bool = False
    class_column: str | None = None
    has_problem_type: bool = False
    num_labels: int | None = None
    row: tuple[str, str | None] = ("text", None)
    needs_second: bool = False
    top_k: int | None = None
    bundled: str | None = None

    @property
    def scores(self) -> tuple[str, ...]:
        """The fields of its output that hold the scores of its head."""
        names = (field.name for field in fields(self.output))
        return tuple(name for name in names if name not in _BESIDE_SCORES)


_TASKS = (
    Task(
        name="base",
        class_name="DistilBertModel",
        aliases=get_args(Base)[1:],
        bert_classes=("BertModel",),
        tf_model="tf_distil_bert_model",
        output=EncoderOutput,
        targets=(),
        bundled="sentence-small",
    ),
    Task(
        name="masked-lm",
        class_name="DistilBertForMaskedLM",
        aliases=get_args(MaskedLM)[1:],
        bert_classes=("BertForMaskedLM", "BertForPreTraining"),
        tf_model="tf_distil_bert_for_masked_lm",
        metric="loss",
        scores_tokens=True,
        masks_words=True,
        top_k=5,
    ),
    Task(
        name="sequence-classification",
        class_name="DistilBertForSequenceClassification",
        aliases=get_args(SequenceClassification)[1:],
        bert_classes=("BertForSequenceClassification",),
        tf_model="tf_distil_bert_for_sequence_classification",
        metric="accuracy",
        reads_first=True,
        class_column="label",
        has_problem_type=True,
        row=("text", "text_pair"),
        top_k=5,
        bundled=DEFAULT,
    ),
    Task(
        name="multiple-choice",
        class_name="DistilBertForMultipleChoice",
        bert_classes=("BertForMultipleChoice",),
        tf_model="tf_distil_bert_for_multiple_choice",
        metric="accuracy",
        reads_first=True,
        has_choices=True,
        row=("prompt", "choices"),
        needs_second=True,
    ),
    Task(
        name="token-classification",
        class_name="DistilBertForTokenClassification",
        aliases=get_args(TokenClassification)[1:],
        bert_classes=("BertForTokenClassification",),
        tf_model="tf_distil_bert_for_token_classification",
        metric="f1",
        scores_tokens=True,
        class_column="tags",
    ),
    Task(
        name="question-answering",
        class_name="DistilBertForQuestionAnswering",
        aliases=get_args(QuestionAnswering)[1:],
        bert_classes=("BertForQuestionAnswering",),
        tf_model="tf_distil_bert_for_question_answering",
        output=QuestionAnsweringOutput,
        targets=("start_positions", "end_positions"),
        metric="f1",
        num_labels=2,
        row=("question", "context"),
        needs_second=True,
        top_k=1,
    ),
)

TASKS: Mapping[str, Task] = {task.name: task for task in _TASKS}
_BY_ANY_NAME = {name: task for task in _TASKS for name in (task.name, *task.aliases)}
_BY_CLASS = {
    name: task
    for task in _TASKS
    for name in (task.class_name, f"TF{task.class_name}", *task.bert_classes)
} | {f"TF{name}": task for task in _TASKS for name in task.bert_classes}


def find_task(name: str) -> Task:
    """The task called `name`, by its own name or an alias.

    Raises:
        InputError: There is no such task; the message names the nearest one.
    """
    task = _BY_ANY_NAME.get(name.replace("_", "-").lower()) if isinstance(name, str) else None
    if task is None:
        near = get_close_matches(str(name), _BY_ANY_NAME, n=1)
        raise InputError(
            "unknown task",
            expected=", ".join(TASKS),
            found=repr(name),
            where="task",
            fix=f"did you mean {near[0]!r}?" if near else None,
        )
    return task


def bundled_for(name: str | None) -> str:
    """The name of the bundled checkpoint that is used when a caller names none.

    Args:
        name: Of the task, as callers give it; None for no particular task.

    Raises:
        InputError: There is no such task, or no bundled checkpoint for it.
    """
    if name is None:
        return DEFAULT
    task = find_task(name)
    # Hidden states of a sentence encoder are not what others expect of feature extraction.
    if task.bundled is None or name.replace("_", "-").lower() in get_args(Features):
        raise InputError(
            "no bundled model for this task",
            expected="text-classification or sentence-embeddings", found=name, where="model",
            fix="name a model",
        )  # fmt: skip
    return task.bundled


def task_of_class(class_name: str) -> Task | None:
    """The task that a class named in config.json's ``architectures`` serves, if any."""
    return _BY_CLASS.get(class_name)


def task_of_checkpoint(config: DistilBertConfig, name: str | Path) -> Task:
    """The task that a checkpoint was saved for; the encoder alone where it does not say.

    Raises:
        InputError: It was saved from an unknown class.
    """
    if not config.architectures:
        return TASKS["base"]
    task = task_of_class(config.architectures[0])
    if task is None:
        raise InputError(
            "the checkpoint was saved from an unknown class",
            expected=", ".join(task.class_name for task in TASKS.values()),
            found=repr(config.architectures[0]),
            where=name,
            fix="name the task to load it for: task=" + ", ".join(map(repr, TASKS)),
        )
    return task
