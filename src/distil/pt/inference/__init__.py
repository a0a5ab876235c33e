"""Models for inference alone, in PyTorch."""
