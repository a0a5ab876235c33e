"""A job of `predict` without a framework: `python predict_parts.py FILE FOLDER`."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from distil.pipelines import PIPELINES
from distil.prediction.files import write_parts
from support.folders import make_tokenizer
from support.inference import FakeModel


class Slow(FakeModel):
    def score(self, sequences, **options):
        time.sleep(0.01)
        return super().score(sequences, **options)


if __name__ == "__main__":
    task = "sequence-classification"
    pipe = PIPELINES[task](Slow(task), make_tokenizer())
    print("ready", flush=True)
    write_parts(
        pipe, sys.argv[1], sys.argv[2], identity={}, several=False, part_rows=50,
        columns={"text": "review"},
    )  # fmt: skip
