"""What all inference-only forms of a model share."""
