"""What a training step needs, shared by both frameworks."""
