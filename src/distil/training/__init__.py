"""Training by recipes, the same for both frameworks: data, loop, checkpoints, report."""

from distil.training.run import TrainingResult, train

__all__ = ["TrainingResult", "train"]
