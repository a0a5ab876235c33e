"""How fast a DistilBERT classifier trains: a step of distil, and of transformers.

    python benchmarks/training.py [--workloads full short long] [--only NAME ...] [--rounds 5]

full    batches of 16 rows of 128 tokens, without padding
short   batches of 32 texts of different lengths, about 25 tokens each
long    batches of 16 texts of different lengths, about 290 tokens each, at most 512

A step includes dropout, loss, gradients, clipping and AdamW.  Each entrant runs in a separate
process and they take turns, so that noise affects all alike; ratios are taken round by round,
relative to transformers on PyTorch in float32.  distil batches texts of similar length, as its
recipes do; transformers pads them in the order they come.  Only real tokens are counted.
"""

import argparse
import json
import sys
import tempfile
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from statistics import median

import corpora

from distil.benchmarking.workers import Candidate, Worker, WorkerError

# Batches that an entrant trains on in each round.
WORKLOADS = {"full": 1, "short": 3, "long": 2}
ENVIRONMENT = {
    "PYTHONPATH": str(Path(__file__).parent),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
    "HF_HUB_OFFLINE": "1",
}
FRAMEWORKS = {"pt": ("PyTorch", "torch"), "tf": ("TensorFlow", "tensorflow")}
PRECISIONS = ("float32", "bfloat16")


def candidates(folder, kind, only):
    """All entrants; the first is the baseline."""
    shared = {"folder": folder, "kind": kind, "steps": WORKLOADS[kind]}
    found = []

    def add(name, runner, environment, **options):
        found.append(
            Candidate(
                name=name,
                runner=f"training_entrants:{runner}",
                options={**shared, **options},
                environment={**ENVIRONMENT, **environment},
            )
        )

    if find_spec("transformers") and find_spec("torch"):
        for precision in PRECISIONS:
            name = f"transformers PyTorch {precision}"
            # It would import TensorFlow as well, where that is installed.
            add(name, "TransformersTorch", {"USE_TF": "0"}, precision=precision)
    if kind == "full" and all(map(find_spec, ("transformers", "tensorflow", "tf_keras"))):
        legacy = {"TF_USE_LEGACY_KERAS": "1"}
        add("transformers TensorFlow float32", "TransformersTF", legacy, precision="float32")
    for (key, (title, package)), precision in product(FRAMEWORKS.items(), PRECISIONS):
        if find_spec(package):
            add(f"distil {title} {precision}", "Distil", {}, framework=key, precision=precision)
    chosen = [one for one in found[1:] if not only or any(part in one.name for part in only)]
    return [found[0], *chosen]


def measure(folder, kind, only, rounds):
    """A row for each entrant that can be loaded."""
    workers, padding = {}, {}
    for candidate in candidates(folder, kind, only):
        try:
            worker = Worker(candidate)
            padding[candidate.name] = worker.ask("warm_up").answer
            workers[candidate.name] = worker
        except WorkerError as error:
            print(f"{candidate.name}: {error}".splitlines()[0], file=sys.stderr)
    speeds, memory = {name: [] for name in workers}, {}
    for number in range(rounds):
        for name, worker in workers.items():
            reply = worker.ask("train")
            speeds[name].append(reply.answer / reply.seconds)
            memory[name] = reply.memory
        print(f"{kind}: round {number + 1} of {rounds}", file=sys.stderr)
    for worker in workers.values():
        worker.close()
    base = speeds[next(iter(workers))]
    rows = []
    for name, own in speeds.items():
        ratios = [mine / theirs for mine, theirs in zip(own, base, strict=True)]
        rows.append(
            {"name": name, "x": median(ratios), "least": min(ratios), "most": max(ratios),
             "tokens/s": median(own), "padding": padding[name], "MB": memory[name]}
        )  # fmt: skip
    return rows


def print_table(kind, rows):
    print(f"\n## {kind}\n\n| | times as fast | tokens/s | padding | memory |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['name']} | {row['x']:.2f} ({row['least']:.2f} to {row['most']:.2f}) "
            f"| {row['tokens/s']:.0f} | {row['padding']:.0%} | {row['MB']:.0f} MB |"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workloads", nargs="+", default=tuple(WORKLOADS), choices=WORKLOADS)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="only entrants whose names contain one of these"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = str(corpora.make_checkpoint(temporary))
        for kind in arguments.workloads:
            results[kind] = measure(folder, kind, arguments.only, arguments.rounds)
            print_table(kind, results[kind])
            if arguments.json:
                arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
