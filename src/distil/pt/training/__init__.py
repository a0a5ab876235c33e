"""A training step in PyTorch."""
