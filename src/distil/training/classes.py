"""The classes of a training, or its labels where a text may have several."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from distil.arrays import Array
from distil.common.labels import REGRESSION
from distil.common.steps.recipe import Recipe
from distil.errors import InputError, listed, printable, shown
from distil.training.examples import Reader, labels_of, read_split

# Rows of a class that is common; classes that are named at most, and characters of each.
_OFTEN, _NAMED, _LONGEST_NAME = 50, 20, 50


def classes_of(recipe: Recipe, held: Array | None) -> Mapping[str, int | None]:
    """The classes or labels of a recipe, and how often each is in the training rows.

    Args:
        recipe: Names them, or leaves them to the rows; then how often is None.
        held: Which of the training rows are dev rows (n); None for none of them.

    Raises:
        InputError: A row cannot be read, or there are too few classes.
    """
    column, several = recipe.model_task.class_column, recipe.has_several_labels
    if column is None or recipe.model.config.get("problem_type") == REGRESSION:
        return {}
    found: Mapping[str, int | None]
    if recipe.data.labels is not None:
        found = dict.fromkeys(recipe.data.labels)
    else:
        reader = Reader(data=recipe.data, tokenizer=None, several=several)
        counts = labels_of(read_split(recipe.data, "train", held), reader, column)
        _warn_of_rare(counts)
        found = dict(counts)
        named = recipe.data.columns.get(column, column)
        if not isinstance(named, str):  # a column for each label, also for one that never applies
            found = {name: counts.get(name, 0) for name in named}
    if several and not found:
        raise InputError(
            "no training row has a label", expected="one or more", where="data.labels",
            fix="list the labels",
        )  # fmt: skip
    if len(found) == 1 and not several:  # which the model would take for regression
        raise InputError(
            "there is only one class", expected="two or more", found=next(iter(found)),
            where="data.labels", fix="list all classes, if some are not in the training rows",
        )  # fmt: skip
    return found


def _warn_of_rare(counts: Mapping[str, int]) -> None:
    """Warn of labels that occur once where others occur often: misspelt, perhaps."""
    once = [name for name, count in counts.items() if count == 1]
    if once and sorted(counts.values())[len(counts) // 2] >= _OFTEN:
        warnings.warn(
            f"{listed(map(shown, once))}: a class of one training row, where most have "
            f"{_OFTEN} or more; if it is a mistake, list the classes in data.labels, and it will "
            "be found",
            stacklevel=2,
        )


def described(counts: Mapping[str, int | None]) -> str:
    """The classes of a training, with how often they are in its rows."""
    names = [
        printable(name[:_LONGEST_NAME]) + ("" if count is None else f" ({count:,})")
        for name, count in counts.items()
    ]
    return listed(names, _NAMED)
