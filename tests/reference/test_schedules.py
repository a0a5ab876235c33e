"""Learning rates are those of transformers' schedules, step by step."""

import pytest
import torch
from transformers import optimization

from distil.common.steps.recipe_course import ScheduleSection
from distil.training.schedule import rate_factor

TOTAL, WARMUP = 40, 8
SCHEDULES = {
    "linear": ({}, "linear", {}),
    "cosine": ({}, "cosine", {}),
    "cosine to a floor": (
        {"kind": "cosine", "floor": 0.25}, "cosine_with_min_lr", {"min_lr_rate": 0.25},
    ),
    "cosine-restarts": ({"cycles": 3}, "cosine_with_restarts", {"num_cycles": 3}),
    "polynomial": (
        {"power": 3.0, "floor": 0.125}, "polynomial", {"power": 3.0, "lr_end": 0.125},
    ),
    "inverse-sqrt": ({}, "inverse_sqrt", {}),
    "warmup-stable-decay": (
        {"decay": 0.25}, "warmup_stable_decay",
        {"num_decay_steps": 10, "decay_type": "linear"},
    ),
}  # fmt: skip


@pytest.mark.pt
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_of_transformers(name):
    settings, theirs, options = SCHEDULES[name]
    ours = ScheduleSection(**{"kind": name, "warmup": WARMUP / TOTAL} | settings)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = optimization.get_scheduler(
        theirs, optimizer, num_warmup_steps=WARMUP,
        num_training_steps=None if theirs == "inverse_sqrt" else TOTAL,
        scheduler_specific_kwargs=options,
    )  # fmt: skip
    for step in range(TOTAL):
        (expected,) = schedule.get_last_lr()
        assert rate_factor(ours, step, TOTAL) == pytest.approx(expected, abs=1e-12), step
        optimizer.step()
        schedule.step()
