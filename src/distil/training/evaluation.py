"""How good a model is on the examples it is judged by, by its task's metrics.

Shapes: w tokens of a window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.steps.batching import Batch, collate, plan_evaluation, prefetched
from distil.common.steps.masking import Masking
from distil.common.steps.recipe import EMBEDDINGS, Recipe
from distil.common.steps.stepping import Step
from distil.common.steps.workers import Workers
from distil.errors import TrainingError
from distil.training import metrics
from distil.training.examples import Examples
from distil.training.features import NONE, Windows
from distil.training.metrics import Metrics

# In place of an epoch, where masks are drawn to be judged by: the same at every evaluation.
_EVALUATION = 2**31

# As for BERT's and DistilBERT's results on SQuAD.
_N_BEST = 20
_LONGEST_ANSWER = 30  # tokens


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
        scored = self.recipe.task != EMBEDDINGS or self.examples.details is not None
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
    labels = judge.examples.features.targets["labels"]
    if judge.recipe.has_several_labels:
        threshold = judge.recipe.evaluation.threshold
        predicted = logits > math.log(threshold / (1 - threshold))  # as probabilities by sigmoid
        exact = (predicted == labels).all(axis=1)
        columns = {"expected": labels, "predicted": predicted, "score": exact}
        return metrics.several_labels(predicted, labels), columns
    predicted = logits.argmax(-1) if judge.labels else logits[:, 0]
    columns = {"expected": labels, "predicted": predicted}
    if not judge.labels:
        return metrics.regression(predicted, labels), columns
    return metrics.classes(predicted, labels), {**columns, "score": predicted == labels}


def _multiple_choice(judge: Judge, outputs: Sequence[Any], loss: float) -> Judged:
    logits = np.stack([output["logits"] for output in outputs])
    predicted, labels = logits.argmax(-1), judge.examples.features.targets["labels"]
    return metrics.choices(predicted, labels), {"score": predicted == labels}


def _token_classification(judge: Judge, outputs: Sequence[Any], loss: float) -> Judged:
    features, details = judge.examples.features, judge.examples.details
    predicted = []
    outside = judge.labels.index("O") if "O" in judge.labels else 0
    for number, tags in enumerate(details.tags):
        words = details.words[features.starts[number] : features.starts[number + 1]]
        tokens = np.flatnonzero(words != NONE)
        # Words that were cut off, or that have no token, are taken for outside.
        found = np.full(len(tags), outside)
        found[words[tokens]] = outputs[number]["logits"][tokens].argmax(-1)
        predicted.append([judge.labels[one] for one in found])
    counts = [metrics.entity_counts(*pair) for pair in zip(predicted, details.tags, strict=True)]
    return metrics.entities(predicted, details.tags), _columns(counts)


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _question_answering(judge: Judge, outputs: Sequence[Any], loss: float) -> Judged:
    features, windows = judge.examples.features, judge.examples.details
    lengths = features.lengths
    starts, ends = (
        [output[name][:length] for output, length in zip(outputs, lengths, strict=True)]
        for name in ("start_logits", "end_logits")
    )
    found = read_answers(starts, ends, features.starts, windows)
    scores = [metrics.answer_scores(*pair) for pair in zip(found, windows.answers, strict=True)]
    return metrics.answers(found, windows.answers), _columns(scores)


def _sentence_embeddings(judge: Judge, outputs: Sequence[Any], loss: float) -> Judged:
    """Cosine to the teacher's vectors, and how cosines of pairs go with their scores."""
    found, scores = {"cosine": 1 - loss}, judge.examples.details
    if scores is not None:
        found |= metrics.similarities(np.stack([output["vectors"] for output in outputs]), scores)
    return found, {}


def read_answers(
    start_logits: Sequence[Array], end_logits: Sequence[Array], starts: Array, windows: Windows
) -> list[str]:
    """The best span of all windows of each question, as for SQuAD; empty where there is none.

    Args:
        start_logits: Scores of each window's tokens (w) as the start of the answer.
        end_logits: Likewise, as its end.
        starts: Where each window's tokens begin among all tokens, and the end of the last.
        windows: The questions they belong to.
    """
    best = np.full(len(windows.contexts), -np.inf)
    found = [""] * len(windows.contexts)
    for number, row in enumerate(windows.rows.tolist()):
        offsets = windows.offsets[starts[number] : starts[number + 1]]  # w 2
        score, first, last = _best_span(start_logits[number], end_logits[number], offsets)
        if score > best[row]:
            best[row] = score
            found[row] = windows.contexts[row][offsets[first, 0] : offsets[last, 1]]
    return found


def _best_span(start_logits: Array, end_logits: Array, offsets: Array) -> tuple[float, int, int]:
    """Score, first and last token of the best span among the best starts and ends."""
    in_context = offsets[:, 0] != NONE
    starts = np.argsort(-start_logits, kind="stable")[:_N_BEST]
    ends = np.argsort(-end_logits, kind="stable")[:_N_BEST]
    starts, ends = starts[in_context[starts]], ends[in_context[ends]]
    length = ends[None, :] - starts[:, None] + 1
    scores = np.where(
        (length >= 1) & (length <= _LONGEST_ANSWER),
        start_logits[starts][:, None] + end_logits[ends][None, :],
        -np.inf,
    )
    if not scores.size:
        return -np.inf, 0, 0
    first, last = np.unravel_index(scores.argmax(), scores.shape)
    return float(scores[first, last]), int(starts[first]), int(ends[last])


_METRICS: dict[str, Callable[[Judge, Sequence[Any], float], Judged]] = {
    "masked-lm": _masked_lm,
    "sequence-classification": _classification,
    "multiple-choice": _multiple_choice,
    "token-classification": _token_classification,
    "question-answering": _question_answering,
    "sentence-embeddings": _sentence_embeddings,
}
