"""How good a model is on the examples it is judged by, by its task's metrics.

Rows that are read in several windows are judged as rows; the loss is the mean over windows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.probabilities import sigmoid, softmax
from distil.common.steps.batching import Batch, collate, plan_evaluation, prefetched
from distil.common.steps.masking import Masking
from distil.common.steps.recipe import EMBEDDINGS, Recipe
from distil.common.steps.stepping import Step
from distil.common.steps.workers import Workers
from distil.common.windows import first_windows, mean_of_windows
from distil.errors import TrainingError
from distil.measures.answers import OF_IMPOSSIBLE, answer_numbers, answer_scores
from distil.training import metrics
from distil.training.examples import NONE, Examples
from distil.training.metrics import Metrics
from distil.training.questions import read_answers

# In place of an epoch, where masks are drawn to be judged by: the same at every evaluation.
_EVALUATION = 2**31


@dataclass(kw_only=True)
class Judge:
    """Judges a model.

    Attributes:
        recipe: Of the training.
        examples: To be judged by.
        labels: Names of the classes; none for regression.
        pad: The padding token.
        masking: Of masked-LM as it is trained, else None.
        columns: Of the last judgement, what is known of each row, as the metrics of
            `distil.measures` ask for it; none of masked-LM.
    """

    recipe: Recipe
    examples: Examples
    labels: tuple[str, ...]
    pad: int
    masking: Masking | None = None
    columns: Mapping[str, Array] = field(default_factory=dict)

    @cached_property
    def _masking(self) -> Masking | None:
        """Of the examples to be judged by."""
        return self.masking and self.masking.by(self.recipe.evaluation.masking)

    @property
    def metric(self) -> str:
        """What decides which model is the best."""
        if self.recipe.evaluation.metric is not None:
            return self.recipe.evaluation.metric
        if self.recipe.task == EMBEDDINGS:
            return "cosine" if self.examples.details is None else "spearman"
        task = self.recipe.model_task
        if task.has_problem_type and not self.labels:
            return metrics.REGRESSION_METRIC
        if self.recipe.has_several_labels:
            return metrics.LABELS_METRIC
        return str(task.metric)

    def check(self) -> None:
        """See that the examples have what the metric needs.

        Raises:
            TrainingError: They have not.
        """
        details = self.examples.details
        if self.metric in OF_IMPOSSIBLE and not details.some_impossible:
            raise TrainingError(
                "every dev question has an answer", expected="some that have none, as in SQuAD 2",
                found=f"evaluation.metric {self.metric}", where="evaluation.metric",
            )  # fmt: skip
        scored = self.recipe.task != EMBEDDINGS or details is not None
        if not scored and self.metric not in ("loss", "cosine"):
            raise TrainingError(
                "dev rows have no scores", expected="columns sentence1, sentence2 and score",
                found=f"evaluation.metric {self.metric}", where="data.dev",
                fix="name the columns with data.columns, or judge by the cosine",
            )  # fmt: skip

    def is_better(self, found: float, best: float | None) -> bool:
        """Whether a value of the metric is better than the best so far."""
        if best is None or math.isnan(best):
            return True
        return found < best if self.metric in metrics.LESS_IS_BETTER else found > best

    def judge(self, step: Step, workers: Workers) -> Metrics:
        """The metrics of a model, its loss among them.

        Each worker computes some of the batches; all of them get the metrics of all.
        """
        features = self.examples.features
        plan = plan_evaluation(
            features.lengths, tokens=self.recipe.evaluation.tokens, choices=features.choices
        )
        outputs: list[Any] = [None] * len(features)
        loss, counted = 0.0, 0
        own = list(enumerate(plan))[workers.rank :: workers.size]
        for found in workers.gather(self._found(step, own)):
            for part_loss, part_counted, rows in found:
                loss += part_loss * part_counted
                counted += part_counted
                for row, output in rows.items():
                    outputs[row] = output
        mean = loss / max(1, counted)
        found_metrics, self.columns = _METRICS[self.recipe.task](self, outputs, mean)
        return {"loss": mean, **found_metrics}

    def _found(
        self, step: Step, jobs: Sequence[tuple[int, Array]]
    ) -> list[tuple[float, int, dict[int, Any]]]:
        """Of each batch its loss, over how many labels, and the outputs by row."""
        found = []
        for batch in prefetched(jobs, self._batch):
            evaluation = step.evaluate(batch.inputs)
            if self._masking is not None:  # whose labels are a list of the batch's
                labels = batch.inputs["labels"]
                words = {
                    "right": evaluation.outputs["predicted"] == labels,
                    "unigram": self._masking.unigram_losses(labels),
                }
                rows = {int(batch.rows[0]): words}
            else:
                rows = {
                    int(row): {name: values[place] for name, values in evaluation.outputs.items()}
                    for place, row in enumerate(batch.rows)
                }
            found.append((evaluation.loss, batch.counted, rows))
        return found

    def _batch(self, job: tuple[int, Array]) -> Batch:
        number, rows = job
        batch = collate(self.examples.features, rows, pad=self.pad)
        if self._masking is None:
            return batch
        return self._masking.apply(batch, [self.recipe.seed, _EVALUATION, number])


# The metrics of a task, and what is known of each row.
Judged = tuple[Metrics, Mapping[str, Array]]


def _masked_lm(judge: Judge, outputs: Sequence[Any], loss: float) -> Judged:
    batches = [found for found in outputs if found is not None]
    right, unigram = (
        float(np.concatenate([found[name] for found in batches]).mean())
        for name in ("right", "unigram")
    )
    # What is past e^700 is no number any more.
    perplexity = math.exp(min(loss, 700))
    return {"perplexity": perplexity, "accuracy": right, "unigram_loss": unigram}, {}


def _classification(judge: Judge, outputs: Sequence[Any], loss: float) -> Judged:
    logits = np.stack([output["logits"] for output in outputs])
    if judge.recipe.has_several_labels:
        scores, labels = _of_texts(judge, logits, sigmoid)
        threshold = judge.recipe.evaluation.threshold
        if judge.examples.details is None:  # these are logits
            threshold = math.log(threshold / (1 - threshold))
        predicted = scores > threshold
        exact = (predicted == labels).all(axis=1)
        columns = {"expected": labels, "predicted": predicted, "score": exact}
        return metrics.several_labels(predicted, labels), columns
    logits, labels = _of_texts(judge, logits, softmax if judge.labels else np.asarray)
    predicted = logits.argmax(-1) if judge.labels else logits[:, 0]
    columns = {"expected": labels, "predicted": predicted}
    if not judge.labels:
        return metrics.regression(predicted, labels), columns
    return metrics.classes(predicted, labels), {**columns, "score": predicted == labels}


def _multiple_choice(judge: Judge, outputs: Sequence[Any], loss: float) -> Judged:
    logits = np.stack([output["logits"] for output in outputs])
    logits, labels = _of_texts(judge, logits, softmax)
    predicted = logits.argmax(-1)
    return metrics.choices(predicted, labels), {"score": predicted == labels}


def _of_texts(
    judge: Judge, logits: Array, function: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """Logits (n, k) of examples as scores of texts (r, k), and the labels of the texts (r).

    Where texts are read in windows these are means of what a function makes of the logits, of
    probabilities, as in pipelines: one window cannot outvote all others.
    """
    features, details = judge.examples.features, judge.examples.details
    labels = features.targets["labels"]
    if details is None:
        return logits, labels
    means = mean_of_windows(function(logits), details.rows, features.tokens)
    return means, labels[first_windows(details.rows)]


def _token_classification(judge: Judge, outputs: Sequence[Any], loss: float) -> Judged:
    features, details = judge.examples.features, judge.examples.details
    outside = judge.labels.index("O") if "O" in judge.labels else 0
    # Words that were cut off, or that have no token, are taken for outside.
    found = [np.full(len(tags), outside) for tags in details.tags]
    for number, row in enumerate(details.rows.tolist()):
        words = details.words[features.starts[number] : features.starts[number + 1]]
        tokens = np.flatnonzero(words != NONE)
        found[row][words[tokens]] = outputs[number]["logits"][tokens].argmax(-1)
    predicted = [[judge.labels[one] for one in tags] for tags in found]
    counts = [metrics.entity_counts(*pair) for pair in zip(predicted, details.tags, strict=True)]
    return metrics.entities(predicted, details.tags), _columns(counts)


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _question_answering(judge: Judge, outputs: Sequence[Any], loss: float) -> Judged:
    features, questions = judge.examples.features, judge.examples.details
    lengths = features.lengths
    starts, ends = (
        [output[name][:length] for output, length in zip(outputs, lengths, strict=True)]
        for name in ("start_logits", "end_logits")
    )
    found = read_answers(starts, ends, features.starts, questions)
    if questions.some_impossible:
        columns = _columns([
            answer_numbers(one.text, one.null_odds, right, number=number)
            for number, (one, right) in enumerate(zip(found, questions.answers, strict=True))
        ])  # fmt: skip
        return metrics.possible_answers(columns), columns
    texts = [one.text for one in found]
    scores = [answer_scores(*pair) for pair in zip(texts, questions.answers, strict=True)]
    return metrics.answers(texts, questions.answers), _columns(scores)


def _sentence_embeddings(judge: Judge, outputs: Sequence[Any], loss: float) -> Judged:
    """Cosine to the teacher's vectors, and how cosines of pairs go with their scores."""
    found, details = {"cosine": 1 - loss}, judge.examples.details
    if details is not None:
        vectors = np.stack([output["vectors"] for output in outputs])
        vectors = mean_of_windows(vectors, details.rows, judge.examples.features.tokens)
        found |= metrics.similarities(vectors, details.scores)
    return found, {}


_METRICS: dict[str, Callable[[Judge, Sequence[Any], float], Judged]] = {
    "masked-lm": _masked_lm,
    "sequence-classification": _classification,
    "multiple-choice": _multiple_choice,
    "token-classification": _token_classification,
    "question-answering": _question_answering,
    "sentence-embeddings": _sentence_embeddings,
}
