"""The learning rate of each step."""

from __future__ import annotations

import math

from distil.common.steps.recipe_course import ScheduleSection

# Where there is no warm-up, "inverse-sqrt" decays as if there had been one of so many steps.
_STEPS_OF_NO_WARMUP = 10_000


def rate_factor(schedule: ScheduleSection, step: int, total: int) -> float:
    """What the highest learning rate is multiplied by.

    The formulas are those of transformers' schedules, so that curves can be laid beside its own:
    the rate rises from 0 over the warm-up, and would be at its floor at step `total`.

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
    if schedule.kind == "inverse-sqrt":
        scale = warmup or _STEPS_OF_NO_WARMUP
        return math.sqrt(scale / (step - warmup + scale))
    if schedule.kind == "warmup-stable-decay":
        steps = math.ceil(total * schedule.decay)
        left = min(1.0, (total - step) / max(1, steps))
    else:
        done = min(1.0, (step - warmup) / max(1, total - warmup))
        left = _left(schedule, done)
    return schedule.floor + (1 - schedule.floor) * left


def _left(schedule: ScheduleSection, done: float) -> float:
    """What is left of the rate above its floor, `done` being the share of the decay so far."""
    if schedule.kind == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if schedule.kind == "cosine-restarts":
        place = math.fmod(schedule.cycles * done, 1.0)
        return 0.0 if done >= 1 else 0.5 * (1 + math.cos(math.pi * place))
    return float((1 - done) ** (schedule.power if schedule.kind == "polynomial" else 1))
