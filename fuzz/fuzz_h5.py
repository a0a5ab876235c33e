"""Fuzz the reader of .h5 files."""

from harness import fuzz
from weights import files_of, read_weights

NAME = "tf_model.h5"

if __name__ == "__main__":
    fuzz(NAME, files_of(NAME, format="h5"), read_weights)
