"""Training by recipes, the same for both frameworks: data, loop, checkpoints, report."""

from distil.training.run import TrainingResult, distill, train

__all__ = ["TrainingResult", "distill", "train"]
