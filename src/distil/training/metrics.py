"""How good predictions are, by the metrics that the field uses for each task.

Those of classes and of numbers are scikit-learn's and scipy's, those of entities seqeval's, which
follows CoNLL-2003 (Tjong Kim Sang and De Meulder 2003).  Those of answers follow SQuAD
(Rajpurkar et al. 2016 and 2018), see `distil.measures.answers`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.labels import BINARY, REGRESSION
from distil.common.steps.recipe import EMBEDDINGS, Recipe
from distil.common.steps.recipe_course import EvaluationSection
from distil.errors import TrainingError, not_installed, shown
from distil.measures.answers import (
    OF_IMPOSSIBLE,
    POSSIBLE_ANSWERS,
    THRESHOLDS,
    answer_scores,
)
from distil.measures.metrics import LABELS
from distil.measures.table import Table, values

Metrics = dict[str, float]

# What tells the better of two models for regression, and where a text may have several labels;
# for other tasks see `Task.metric`.
REGRESSION_METRIC, LABELS_METRIC = "pearson", "f1_micro"

# Of these, less is better.
LESS_IS_BETTER = ("loss", "perplexity", "unigram_loss")

# Of each task, beside the loss.
_NAMES = {
    "masked-lm": ("perplexity", "accuracy", "unigram_loss"),
    "sequence-classification": ("accuracy", "f1", "matthews"),
    "multiple-choice": ("accuracy",),
    "token-classification": ("precision", "recall", "f1", "accuracy"),
    "question-answering": ("exact_match", "f1", *OF_IMPOSSIBLE),
    "sentence-embeddings": ("cosine", "pearson", "spearman"),
}


def classes(predicted: Array, labels: Array) -> Metrics:
    """Accuracy, F1 (of class 1 where there are two, else the mean of all) and Matthews' phi.

    Args:
        predicted: Numbers of the classes (n).
        labels: The right ones (n).

    Raises:
        FrameworkError: scikit-learn is not installed.
    """
    scores = _sklearn_metrics()
    two = max(int(labels.max(initial=0)), int(predicted.max(initial=0))) <= 1
    return {
        "accuracy": float(scores.accuracy_score(labels, predicted)),
        "f1": float(
            scores.f1_score(
                labels, predicted, average="binary" if two else "macro", zero_division=0.0
            )
        ),
        # Of one class alone it is not defined, and scikit-learn would warn.
        "matthews": float(scores.matthews_corrcoef(labels, predicted))
        if len({*labels.tolist(), *predicted.tolist()}) > 1
        else 0.0,
    }


def several_labels(predicted: Array, labels: Array) -> Metrics:
    """F1 over all labels of all texts (micro), its mean over labels (macro), and exact match.

    Args:
        predicted: Whether each label is predicted (n c).
        labels: Whether it applies (n c).

    Returns:
        scikit-learn's values for a matrix of labels, of a single column as well.
    """
    exact = (labels == predicted).all(axis=1)
    columns = {"expected": labels, "predicted": predicted, "score": exact}
    once = np.ones((1, len(labels)))
    return {name: float(one.of(columns)(once)[0]) for name, one in LABELS.items()}


def choices(predicted: Array, labels: Array) -> Metrics:
    """The share of right choices; arguments as for `classes`."""
    return {"accuracy": float((predicted == labels).mean())}


def regression(predicted: Array, labels: Array) -> Metrics:
    """Correlations of numbers (n) with the right ones (n), by Pearson and by Spearman.

    Numbers that are all the same go along with nothing: 0.

    Raises:
        FrameworkError: scipy is not installed.
    """
    stats = _optional("scipy.stats", "scipy")
    if np.ptp(predicted) == 0 or np.ptp(labels) == 0:
        return {"pearson": 0.0, "spearman": 0.0}
    return {
        "pearson": float(stats.pearsonr(predicted, labels)[0]),
        "spearman": float(stats.spearmanr(predicted, labels)[0]),
    }


def similarities(vectors: Array, scores: Array) -> Metrics:
    """Correlations of cosines with scores.

    Args:
        vectors: Of the first and the second text of each pair, in turn (2n, d).
        scores: How alike the texts are (n).

    Raises:
        FrameworkError: scipy is not installed.
    """
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled = vectors / np.where(lengths == 0, 1, lengths)
    return regression((scaled[::2] * scaled[1::2]).sum(-1), scores)


def entities(predicted: Sequence[Sequence[str]], labels: Sequence[Sequence[str]]) -> Metrics:
    """Precision, recall and F1 of whole entities, and the accuracy of tags.

    An entity counts if all its words and its type are right.

    Args:
        predicted: Tags of the words of each sentence: O, and B- and I- with a type.
        labels: The right ones.

    Raises:
        FrameworkError: seqeval is not installed.
    """
    scores = _optional("seqeval.metrics", "seqeval")
    return {
        name: float(score(labels, predicted, zero_division=0))
        for name, score in (
            ("precision", scores.precision_score),
            ("recall", scores.recall_score),
            ("f1", scores.f1_score),
        )
    } | {"accuracy": float(scores.accuracy_score(labels, predicted))}


def entity_counts(predicted: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """Of one sentence, what the sums of entity metrics are made of.

    Args:
        predicted: Tags of its words.
        labels: The right ones.

    Raises:
        FrameworkError: seqeval is not installed.
    """
    entities_in = _optional("seqeval.metrics.sequence_labeling", "seqeval").get_entities
    expected, found = set(entities_in(list(labels))), set(entities_in(list(predicted)))
    return {
        "right": len(expected & found),
        "found": len(found),
        "expected": len(expected),
        "tags_right": sum(map(str.__eq__, predicted, labels)),
        "tags": len(labels),
    }


def answers(predicted: Sequence[str], labels: Sequence[Sequence[str]]) -> Metrics:
    """Exact match and F1 of answers, in percent as SQuAD has them.

    Args:
        predicted: An answer to each question.
        labels: Right answers to each, of which the nearest counts.
    """
    scores = [answer_scores(*pair) for pair in zip(predicted, labels, strict=True)]
    exact, overlap = ([one[name] for one in scores] for name in ("exact", "score"))
    return {"exact_match": 100 * float(np.mean(exact)), "f1": 100 * float(np.mean(overlap))}


def possible_answers(columns: Mapping[str, Array]) -> Metrics:
    """Metrics of answers where some questions have none, in percent but for thresholds.

    Args:
        columns: Of each question, as `answer_numbers` gives them.
    """
    found = values(Table.of(columns), POSSIBLE_ANSWERS)
    return {name: value if name in THRESHOLDS else 100 * value for name, value in found.items()}


def names_of(recipe: Recipe) -> tuple[str, ...]:
    """Names of the metrics that a recipe's model is judged by."""
    if recipe.model.config.get("problem_type") == REGRESSION:
        return ("loss", "pearson", "spearman")
    if recipe.has_several_labels:
        return ("loss", *LABELS)
    return ("loss", *_NAMES[recipe.task])


def check_metric(recipe: Recipe) -> None:
    """See that the metric which decides what is best is one of the task's, and a threshold used.

    Raises:
        TrainingError: It is not.
    """
    threshold = recipe.evaluation.threshold
    if threshold != EvaluationSection().threshold and not recipe.has_several_labels:
        raise TrainingError(
            "only several labels have a threshold",
            expected=f"model.config.problem_type {BINARY}", found=threshold,
            where="evaluation.threshold", fix="leave it out",
        )  # fmt: skip
    found, names = recipe.evaluation.metric, names_of(recipe)
    if found is not None and found not in names:
        near = get_close_matches(found, names, n=1)
        raise TrainingError(
            "unknown metric", expected=", ".join(names), found=shown(found),
            where="evaluation.metric", fix=f"did you mean {near[0]}?" if near else None,
        )  # fmt: skip


def check_packages(recipe: Recipe) -> None:
    """See that what training needs in the end is there before anything is computed.

    Raises:
        FrameworkError: A package is not installed.
    """
    task = recipe.model_task
    needed = ["matplotlib"]
    if recipe.data.has_dev and recipe.task == EMBEDDINGS:
        needed.append("scipy")
    if recipe.data.has_dev and task.class_column is not None and not recipe.has_several_labels:
        is_regression = recipe.model.config.get("problem_type") == REGRESSION
        scores = "scipy" if is_regression else "scikit-learn"
        needed.append("seqeval" if task.scores_tokens else scores)
    for package in needed:
        if find_spec({"scikit-learn": "sklearn"}.get(package, package)) is None:
            raise not_installed(
                package, where="train", extra="train", use="judge a model, and draw"
            )
    if recipe.log.tensorboard and find_spec("tensorboard") is None:
        raise not_installed(
            "tensorboard", where="log.tensorboard", use="write its event files",
            fix='pip install "distil[tensorboard]", or set log.tensorboard to false',
        )  # fmt: skip


def _sklearn_metrics() -> Any:
    return _optional("sklearn.metrics", "scikit-learn")


def _optional(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise not_installed(
            package, where="evaluation", extra="train", use="compute metrics"
        ) from None
