"""Dev rows where a recipe has none of its own: some of the training rows, held out.

They are drawn by the seed.  Classes keep their shares (by largest remainder, and a class always
keeps a row to learn from); of several labels, the one that is rarest in the data is the class of a
row (Sechidis et al. 2011).  Of questions, all on the same context stay together, or the model
would be asked about what it has read in training.

Shapes: n training rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain, compress
from random import Random
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.common.labels import REGRESSION
from distil.common.steps.recipe import Recipe
from distil.errors import InputError
from distil.reading import Row
from distil.training.examples import Reader, read_split

# In place of the number of an epoch, where order is drawn by the seed.
_SPLIT = 2**31 + 1


def held_out(recipe: Recipe) -> Array | None:
    """Which of the training rows are dev rows (n) bool; None where the recipe holds out none.

    Raises:
        InputError: A row cannot be read, or there are too few.
    """
    share = recipe.data.dev_share
    if share is None:
        return None
    return set_apart(
        recipe, read_split(recipe.data, "train"), share, where="data.dev_share",
        fix="name dev rows with data.dev, or set it to null",
    )  # fmt: skip


def set_apart(recipe: Recipe, rows: Iterable[Row], share: float, *, where: str, fix: str) -> Array:
    """Which of some rows (n) are set apart, bool.

    Args:
        recipe: Whose rows they are.
        rows: The rows.
        share: How much of them.
        where: What asks for it, in errors.
        fix: What to do where there are too few.

    Raises:
        InputError: There are.
    """
    together, field = False, recipe.model_task.class_column
    if recipe.task == "question-answering":
        together, field = True, "context"
    elif recipe.model.config.get("problem_type") == REGRESSION:
        field = None
    column = None if field is None else recipe.data.columns.get(field, field)
    labels: list[list[str]] = []
    if recipe.has_several_labels:
        reader = Reader(data=recipe.data, tokenizer=None)
        labels = [reader.labels_in(row) for row in rows]
        often = Counter(chain.from_iterable(labels))
        found = [min(some, key=lambda one: (often[one], one), default=None) for some in labels]
    else:
        found = [_class_of(row, column) for row in rows]
    if not found:
        raise InputError(
            "no training rows", expected="at least one", found="none", where="data.train"
        )
    numbers: dict[Hashable, int] = {}
    kinds = np.array([numbers.setdefault(one, len(numbers)) for one in found], np.int64)
    random = np.random.default_rng([recipe.seed, _SPLIT])
    total = max(1, round(len(kinds) * share))
    held = _groups(kinds, total, random) if together else _stratified(kinds, total, random)
    _keep_every_label(held, labels)
    if not held.any():
        raise InputError(
            "too few training rows to set some apart",
            expected="two rows of a class" if not together else "two contexts", found=len(kinds),
            where=where, fix=fix,
        )  # fmt: skip
    return held


def _class_of(row: Row, column: Any) -> Any:
    value = row.values.get(column) if isinstance(column, str) else None
    # Rows with lists of tags are all of one kind.
    return value if isinstance(value, str | int | float) else None


def _keep_every_label(held: Array, labels: Sequence[Sequence[str]]) -> None:
    """Of several labels, too, each keeps a row to learn from.

    Args:
        held: Which rows are set apart (n); changed where a label would have none left.
        labels: Of each row; none where a text has one.
    """
    kept = {*chain.from_iterable(compress(labels, ~held))}
    for number, some in compress(enumerate(labels), held.copy()):
        if not kept.issuperset(some):
            held[number] = False
            kept.update(some)


def sample(rows: Iterable[Row], size: int, *, seed: int) -> list[Row]:
    """Some rows, each as likely as any other, of a stream of unknown length (Vitter 1985, R)."""
    draw = Random(seed)
    kept: list[Row] = []
    for number, row in enumerate(rows):
        if number < size:
            kept.append(row)
        elif (place := draw.randrange(number + 1)) < size:
            kept[place] = row
    return kept


def _stratified(kinds: Array, total: int, random: np.random.Generator) -> Array:
    """About `total` rows, of each kind (n) its share, and never all of one."""
    counts = np.bincount(kinds)
    exact = counts * (total / max(1, len(kinds)))
    taken = np.floor(exact).astype(np.int64)
    rest = np.argsort(taken - exact, kind="stable")[: total - int(taken.sum())]
    taken[rest] += 1
    taken = np.minimum(taken, counts - 1)
    order = random.permutation(len(kinds))
    order = order[np.argsort(kinds[order], kind="stable")]
    begins = np.cumsum(counts) - counts
    held = np.zeros(len(kinds), bool)
    held[order[np.arange(len(order)) - np.repeat(begins, counts) < np.repeat(taken, counts)]] = True
    return held


def _groups(kinds: Array, total: int, random: np.random.Generator) -> Array:
    """Whole kinds (n), as many as it takes for `total` rows, and never all."""
    counts = np.bincount(kinds)
    order = random.permutation(len(counts))
    enough = int(np.searchsorted(np.cumsum(counts[order]), total)) + 1
    held: Array = np.isin(kinds, order[: min(enough, len(order) - 1)])
    return held
