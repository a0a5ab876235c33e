"""Training by recipes, the same for both frameworks: data, loop, checkpoints, report."""

from distil.training.result import TrainingResult
from distil.training.run import distill, train
from distil.training.seeds import SeedResults, train_seeds

__all__ = ["SeedResults", "TrainingResult", "distill", "train", "train_seeds"]
