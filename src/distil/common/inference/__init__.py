"""What every form of a model for inference alone has in common."""
