"""Models for inference alone, in TensorFlow."""
