"""The six things a DistilBERT is loaded for, and the names that people call them by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from distil.common.config import DistilBertConfig
from distil.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Attributes:
        name: Its name in `distil.load`, and the key of its head in `distil.common.spec.HEADS`.
        class_name: The PyTorch class; the TensorFlow class has "TF" before it.
        aliases: Other names accepted for it, those of transformers' pipelines among them.
        bert_classes: BERT classes whose checkpoints are loaded for it unless told otherwise.
        tf_model: What transformers calls the model in the names of a tf_model.h5.
    """

    name: str
    class_name: str
    aliases: tuple[str, ...] = ()
    bert_classes: tuple[str, ...] = ()
    tf_model: str


_TASKS = (
    Task(
        name="base",
        class_name="DistilBertModel",
        aliases=("feature-extraction", "embeddings", "sentence-embeddings", "sentence-similarity"),
        bert_classes=("BertModel",),
        tf_model="tf_distil_bert_model",
    ),
    Task(
        name="masked-lm",
        class_name="DistilBertForMaskedLM",
        aliases=("fill-mask", "mlm"),
        bert_classes=("BertForMaskedLM", "BertForPreTraining"),
        tf_model="tf_distil_bert_for_masked_lm",
    ),
    Task(
        name="sequence-classification",
        class_name="DistilBertForSequenceClassification",
        aliases=("text-classification", "sentiment-analysis"),
        bert_classes=("BertForSequenceClassification",),
        tf_model="tf_distil_bert_for_sequence_classification",
    ),
    Task(
        name="multiple-choice",
        class_name="DistilBertForMultipleChoice",
        bert_classes=("BertForMultipleChoice",),
        tf_model="tf_distil_bert_for_multiple_choice",
    ),
    Task(
        name="token-classification",
        class_name="DistilBertForTokenClassification",
        aliases=("ner", "named-entity-recognition"),
        bert_classes=("BertForTokenClassification",),
        tf_model="tf_distil_bert_for_token_classification",
    ),
    Task(
        name="question-answering",
        class_name="DistilBertForQuestionAnswering",
        aliases=("qa", "extractive-question-answering"),
        bert_classes=("BertForQuestionAnswering",),
        tf_model="tf_distil_bert_for_question_answering",
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
        InputError: No task is called so; the message names the nearest one.
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


def task_of_class(class_name: str) -> Task | None:
    """The task that a class named in config.json's ``architectures`` serves, if any."""
    return _BY_CLASS.get(class_name)


def task_of_checkpoint(config: DistilBertConfig, name: str | Path) -> Task:
    """The task that a checkpoint was saved for; the encoder alone where it does not say.

    Raises:
        InputError: It was saved from a class that is not known here.
    """
    if not config.architectures:
        return TASKS["base"]
    task = task_of_class(config.architectures[0])
    if task is None:
        raise InputError(
            "the checkpoint is of a class that is not known here",
            expected=", ".join(task.class_name for task in TASKS.values()),
            found=repr(config.architectures[0]),
            where=name,
            fix="say what it is loaded for: task=" + ", ".join(map(repr, TASKS)),
        )
    return task
