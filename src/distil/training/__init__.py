"""Training by recipes, the same for both frameworks: data, loop, checkpoints, report."""

from distil.training.result import TrainingResult
from distil.training.run import distill, train

__all__ = ["TrainingResult", "distill", "train"]
