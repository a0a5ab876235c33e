"""A server whose model needs no framework and takes its time: `python serve_slowly.py SECONDS`."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from distil.pipelines import PIPELINES
from distil.serving import serve
from support.folders import make_tokenizer
from support.inference import FakeModel


class Slow(FakeModel):
    def score(self, sequences, **options):
        time.sleep(float(sys.argv[1]))
        self.asked.clear()
        return super().score(sequences, **options)


if __name__ == "__main__":
    tasks = ("sequence-classification", "base")
    serve({task: PIPELINES[task](Slow(task), make_tokenizer()) for task in tasks}, port=0)
