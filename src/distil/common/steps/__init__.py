"""What a training step needs, said once for both frameworks."""
