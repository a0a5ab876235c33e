"""A training step in TensorFlow."""
