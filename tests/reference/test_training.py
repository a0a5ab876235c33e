"""Training against transformers 4.57's models in a plain loop: the same losses, step by step."""

import numpy as np
import pytest

from distil.common.spec import parameters
from distil.common.steps.stepping import decays
from distil.common.tasks import TASKS
from support.models import ALL_TASKS, NO_DROPOUT, batch_for, build, config_for, spread
from support.training import part, recipe_for, tame

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
torch = pytest.importorskip("torch", reason="no PyTorch here")

pytestmark = pytest.mark.pt

STEPS, RATE = 30, 2**-11

# Between the norms of the gradients: some are clipped, some are not.
CLIPS = dict.fromkeys(ALL_TASKS, 5.0) | {"masked-lm": 2.5}

# Largest seen: 1.5e-14.
TOLERANCE = 1e-12


def theirs(task, config, weights):
    """Losses and norms of gradients of transformers' model, trained by torch.optim.AdamW."""
    settings = transformers.DistilBertConfig(**config.to_dict(), attn_implementation="eager")
    model = getattr(transformers, TASKS[task].class_name)(settings).double().train()
    named = {name: torch.from_numpy(value) for name, value in weights.items()}
    _, unexpected = model.load_state_dict(named, strict=False)
    assert not unexpected
    decayed = {weight.name for weight in parameters(config, task) if decays(weight)}
    groups = [
        {"params": [p for n, p in model.named_parameters() if (n in decayed) == decay],
         "weight_decay": 0.01 * decay}
        for decay in (True, False)
    ]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    losses, norms = [], []
    for number in range(STEPS):
        batch = batch_for(config, task, seed=number % 10)
        loss = model(**{name: torch.from_numpy(array) for name, array in batch.items()}).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIPS[task]).item())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, norms


@pytest.mark.parametrize("task", [task for task in ALL_TASKS if task != "base"])
def test_the_same_curve_as_in_a_plain_loop(task):
    from distil.pt.training.step import Step

    config = config_for(task, **NO_DROPOUT)
    weights = tame(spread(config, task))
    recipe = recipe_for(task, precision="float64", **{"optimizer.clip": CLIPS[task]})
    step = Step(build("pt", config, task, weights), recipe)
    found = [
        step.train([part(config, task, number % 10)], RATE, [0, number]) for number in range(STEPS)
    ]
    losses, norms = theirs(task, config, weights)
    assert max(norms) > CLIPS[task] > min(norms)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    np.testing.assert_allclose([one["loss"] for one in found], losses, rtol=TOLERANCE)
    np.testing.assert_allclose([one["gradient_norm"] for one in found], norms, rtol=TOLERANCE)
