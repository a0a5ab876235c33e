"""The map by which a student of another width is compared with its teacher.

Source: Jiao et al. 2020 (TinyBERT), equation 8: one matrix for the hidden states of all layers, no
bias, learned with the student.  It is a weight of the step, not of the student: checkpoints of a
training have it, the model that is saved does not.
"""

from __future__ import annotations

import numpy as np

from distil.arrays import Array
from distil.common.config import DistilBertConfig
from distil.common.steps.recipe import Recipe

# Its name among the weights of a step.
LINEAR_MAP = "linear_map"


def drawn_map(
    student: DistilBertConfig, teacher: DistilBertConfig, recipe: Recipe
) -> dict[str, Array]:
    """The first values (teacher's dim, student's dim) by name; none where there is no map.

    Drawn from the recipe's seed as a new model's matrices are, the same in both frameworks.
    """
    assert recipe.distillation is not None
    if not recipe.distillation.linear_map:
        return {}
    random = np.random.default_rng([recipe.seed, *LINEAR_MAP.encode()])
    values = random.standard_normal((teacher.dim, student.dim), np.float32)
    return {LINEAR_MAP: values * np.float32(student.initializer_range)}
