"""Fuzz the reader of .safetensors files."""

from harness import fuzz
from weights import files_of, read_weights

NAME = "model.safetensors"

if __name__ == "__main__":
    seeds = [*files_of(NAME), *files_of(NAME, format="tf-safetensors")]
    fuzz(NAME, seeds, read_weights)
