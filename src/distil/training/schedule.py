"""The learning rate of each step."""

from __future__ import annotations

import math

from distil.common.steps.recipe_course import ScheduleSection


def rate_factor(schedule: ScheduleSection, step: int, total: int) -> float:
    """What the highest learning rate is multiplied by.

    The formulas are those of transformers' schedules, so that curves can be laid beside its own:
    the rate rises from 0 over the warm-up, and would be 0 again at step `total`.

    Args:
        schedule: Of the recipe.
        step: Number of the step, counted from 0.
        total: Number of steps.
    """
    warmup = math.ceil(total * schedule.warmup)
    if step < warmup:
        return step / warmup
    if schedule.kind == "constant":
        return 1.0
    done = (step - warmup) / max(1, total - warmup)
    if schedule.kind == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return max(0.0, 1 - done)
