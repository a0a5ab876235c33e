"""One recipe with several seeds, each in its own folder: how much of a result is chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from distil.common.steps.recipe import Recipe
from distil.common.steps.workers import Workers
from distil.errors import ConfigError
from distil.storage.files import write_json
from distil.training.result import TrainingResult

SUMMARY = "seeds.json"


@dataclass(frozen=True, kw_only=True)
class SeedResults:
    """The results of trainings that differ only in their seed.

    Attributes:
        folder: That holds a folder for each, "seed-0" and so on, and a summary, seeds.json.
        results: By seed.
        mean: Of each metric of the models that were kept.
        deviation: Its standard deviation (of a sample).
    """

    folder: Path
    results: Mapping[int, TrainingResult]
    mean: Mapping[str, float]
    deviation: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "folder": str(self.folder),
            "mean": dict(self.mean),
            "deviation": dict(self.deviation),
            "results": {str(seed): one.to_dict() for seed, one in self.results.items()},
        }


def train_seeds(
    train: Callable[..., TrainingResult],
    recipe: Recipe,
    count: int,
    *,
    workers: Workers | None = None,
    **options: Any,
) -> SeedResults:
    """Train with `count` seeds, from that of the recipe on, one after the other.

    The same call continues with the seed at which it was interrupted.

    Args:
        train: `distil.train`, or `distil.distill`.
        recipe: Its `output` gets a folder for each seed.
        count: 2 or more.
        workers: As of `train`.
        **options: Further ones of `train`.

    Raises:
        ConfigError: There would be one seed.
        DistilError: As `train`.
    """
    if count < 2:
        raise ConfigError("one seed shows no deviation", expected="2 or more", found=count)
    folder = Path(recipe.output)
    results = {}
    for seed in range(recipe.seed, recipe.seed + count):
        one = recipe.replace(seed=seed, output=str(folder / f"seed-{seed}"))
        results[seed] = train(one, workers=workers, **options)
    names = next(iter(results.values())).metrics
    values = {name: [one.metrics[name] for one in results.values()] for name in names}
    found = SeedResults(
        folder=folder,
        results=results,
        mean={name: fmean(some) for name, some in values.items()},
        deviation={name: stdev(some) for name, some in values.items()},
    )
    if workers is None or workers.is_first:
        write_json(folder / SUMMARY, found.to_dict())
    return found
