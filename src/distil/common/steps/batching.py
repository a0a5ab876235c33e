"""Batches of rows of similar length, the same in both frameworks, prepared ahead of use.

Everything here is a function of the data, the seed and the position in the data: training that
was interrupted continues with exactly the batch that would have come next.

Shapes: b rows of a batch, s length of its longest, n examples, t tokens of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from distil.arrays import Array
from distil.common.labels import IGNORED
from distil.common.steps.recipe_data import BatchSection

Integers = NDArray[np.int64]
Prepared = TypeVar("Prepared")

_AHEAD = 4

# Before the names of what a teacher with a vocabulary of its own is given.
OF_TEACHER = "teacher_"
# After that: its vectors of texts (b, d), where they are known.
VECTORS = "vectors"


@dataclass(frozen=True, kw_only=True)
class Features:
    """Examples as numbers, concatenated without padding.

    Attributes:
        ids: Token ids of all sequences (t), int32; may be mapped from a file.
        starts: Where each sequence begins in `ids`, and the end of the last (n * choices + 1).
        choices: Sequences that make one example.
        targets: What is learned, by name of the model's argument, one for each example (n).
        token_targets: Likewise, one for each token (t).
        teacher: The same examples in the tokens of a teacher that has another vocabulary; None
            where it has the same.
    """

    ids: Array
    starts: Integers
    choices: int = 1
    targets: Mapping[str, Array] = field(default_factory=dict)
    token_targets: Mapping[str, Array] = field(default_factory=dict)
    teacher: Features | None = None

    def __len__(self) -> int:
        return (len(self.starts) - 1) // self.choices

    @property
    def tokens(self) -> Integers:
        """Tokens in each example, of all its sequences (n)."""
        total: Integers = np.diff(self.starts[:: self.choices])
        return total

    @property
    def lengths(self) -> Integers:
        """Tokens in the longest sequence of each example (n)."""
        each = np.diff(self.starts).reshape(-1, self.choices)
        longest: Integers = each.max(axis=1)
        return longest


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The inputs of one forward pass.

    Attributes:
        inputs: Its arguments by name; no attention_mask where there is no padding.
        rows: Numbers of the examples (b).
        tokens: Tokens, padding not counted.
        size: Numbers in `input_ids`, padding counted.
        counted: Labels that are not ignored; the loss is their mean.
    """

    inputs: Mapping[str, Array]
    rows: Integers
    tokens: int
    size: int
    counted: int


def plan_epoch(
    lengths: Integers, batch: BatchSection, *, choices: int, seed: int, epoch: int
) -> list[Integers]:
    """Which examples make the batches of one epoch, and in which order.

    Examples are shuffled and cut into windows.  Each window is sorted by length and cut into
    batches, and the batches of all windows are shuffled.

    Args:
        lengths: Tokens in each example (n).
        batch: Of the recipe.
        choices: Sequences that make an example.
        seed: Of the recipe.
        epoch: Counted from 0.

    Returns:
        Numbers of examples (b), for each batch.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    per_batch = batch.examples or max(1, round(_fitting(lengths, batch.tokens, choices)))
    # Windows of about equal size: batches of a small last one would be padded the most.
    windows = np.array_split(order, max(1, round(len(order) / (per_batch * batch.window))))
    plan: list[Integers] = []
    for window in windows:
        rows = window[np.argsort(-lengths[window], kind="stable")] if batch.window > 1 else window
        plan += cut(rows, lengths, examples=batch.examples, tokens=batch.tokens, choices=choices)
    return [plan[number] for number in random.permutation(len(plan))]


def plan_evaluation(lengths: Integers, *, tokens: int, choices: int = 1) -> list[Integers]:
    """Batches of all examples, the longest first."""
    return cut(np.argsort(-lengths, kind="stable"), lengths, tokens=tokens, choices=choices)


def cut(
    rows: Integers,
    lengths: Integers,
    *,
    examples: int | None = None,
    tokens: int | None = None,
    choices: int = 1,
) -> list[Integers]:
    """Cut rows into batches of so many examples, or of so many tokens with their padding.

    A row with more tokens than that is a batch of its own.
    """
    if examples is not None:
        return [rows[begin : begin + examples] for begin in range(0, len(rows), examples)]
    assert tokens is not None
    batches, begin, longest = [], 0, 0
    for end, length in enumerate(lengths[rows].tolist()):
        longest = max(longest, length)
        if end > begin and (end - begin + 1) * choices * longest > tokens:
            batches.append(rows[begin:end])
            begin, longest = end, length
    return [*batches, rows[begin:]] if begin < len(rows) else batches


def collate(features: Features, rows: Integers, *, pad: int) -> Batch:
    """One batch.

    Args:
        features: All examples.
        rows: Numbers of those wanted (b).
        pad: The padding token.
    """
    inputs, shown = _padded(features, rows, pad)
    tokens, size = int(shown.sum()), shown.size
    if features.teacher is not None:
        # What fills up is hidden; 0 is a token of any vocabulary.
        theirs, _ = _padded(features.teacher, rows, 0)
        inputs |= {OF_TEACHER + name: values for name, values in theirs.items()}
    return Batch(
        inputs=inputs, rows=rows, tokens=tokens, size=size, counted=count_labels(inputs, len(rows))
    )  # fmt: skip


def _padded(features: Features, rows: Integers, pad: int) -> tuple[dict[str, Array], Array]:
    """The inputs of a batch, and which of its tokens are not padding (b * choices, s)."""
    sequences = (rows[:, None] * features.choices + np.arange(features.choices)).ravel()
    begins, ends = features.starts[sequences], features.starts[sequences + 1]
    width = int((ends - begins).max())
    shown = np.arange(width) < (ends - begins)[:, None]  # b s
    places = (begins[:, None] + np.arange(width))[shown]
    shape = (len(rows), width) if features.choices == 1 else (len(rows), features.choices, width)

    def padded(values: Array, filler: int) -> Array:
        table = np.full(shown.shape, filler, np.int32)
        table[shown] = values[places]
        return table.reshape(shape)

    inputs = {"input_ids": padded(features.ids, pad)}
    if not shown.all():
        inputs["attention_mask"] = shown.astype(np.int32).reshape(shape)
    for name, values in features.token_targets.items():
        inputs[name] = padded(values, IGNORED)
    for name, values in features.targets.items():
        inputs[name] = values[rows]
    return inputs, shown


def for_each(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of a batch's inputs those of the student, and those of its teacher."""
    own = {name: x for name, x in inputs.items() if not name.startswith(OF_TEACHER)}
    theirs = {
        name.removeprefix(OF_TEACHER): x
        for name, x in inputs.items()
        if name.startswith(OF_TEACHER)
    }
    return own, theirs or own


def prefetched(
    jobs: Iterable[Any], prepare: Callable[[Any], Prepared], ahead: int = _AHEAD
) -> Iterator[Prepared]:
    """`prepare(job)` for each job in order, computed in a thread a few jobs ahead."""
    with ThreadPoolExecutor(1, thread_name_prefix="distil-batches") as thread:
        waiting = []
        try:
            for job in jobs:
                waiting.append(thread.submit(prepare, job))
                if len(waiting) > ahead:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for task in waiting:
                task.cancel()


def count_labels(inputs: Mapping[str, Array], rows: int) -> int:
    """How many labels of a batch's inputs are not ignored; the rows, where it has no labels."""
    labels = inputs.get("labels")
    return rows if labels is None else int((labels != IGNORED).sum())


def padding_share(batches: Iterable[Batch]) -> float:
    """How much of what the model computes on is padding, from 0 to 1."""
    tokens, size = np.array([(batch.tokens, batch.size) for batch in batches]).sum(axis=0)
    return 1 - float(tokens / size)


def _fitting(lengths: Integers, tokens: int | None, choices: int) -> float:
    assert tokens is not None
    return tokens / (choices * float(lengths.mean()))
