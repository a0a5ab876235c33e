"""Choices of a teacher's layers to try, and for how long each round tries them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from itertools import combinations, islice

from distil.common.config import DistilBertConfig
from distil.common.steps.layers import default_layers
from distil.common.steps.recipe_model import LayerSearchSection
from distil.errors import InputError

Layers = tuple[int, ...]

# Draws that may give a choice which was there before.
_DRAWS = 1000


def candidates(search: LayerSearchSection, teacher: DistilBertConfig, *, seed: int) -> list[Layers]:
    """Choices to try, the default first: all that keep the first layer, or some of them.

    Args:
        search: Of the recipe.
        teacher: Its configuration.
        seed: Of the choices that are drawn where there are too many.

    Raises:
        InputError: The teacher has fewer layers than the student is to have.
    """
    own = teacher.n_layers
    count = search.layers or len(default_layers(own))
    if count > own:
        raise InputError(
            "the teacher has fewer layers", expected=f"at most {own}", found=count,
            where="teacher.search.layers",
        )  # fmt: skip
    rules = [default_layers(own, count), tuple(range(count)), (0, *range(own - count + 1, own))]
    others: Iterable[Layers] = _drawn(own, count, seed)
    if math.comb(own - 1, count - 1) <= search.choices:
        others = ((0, *rest) for rest in combinations(range(1, own), count - 1))
    return list(islice(dict.fromkeys((*rules, *others)), search.choices))


def plan(choices: int, steps: int) -> list[tuple[int, int]]:
    """How many choices are trained in each round, and for how many steps."""
    rounds = []
    while choices > 1:
        rounds.append((choices, steps))
        choices, steps = -(-choices // 2), 2 * steps
    return rounds


def _drawn(own: int, count: int, seed: int) -> Iterator[Layers]:
    """Choices at random that keep the first layer."""
    draw = random.Random(seed)
    for _ in range(_DRAWS):
        yield (0, *sorted(draw.sample(range(1, own), count - 1)))
