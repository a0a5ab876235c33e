"""The exported page against transformers.js, on one thread of a browser: from texts to labels.

    npm install --prefix FOLDER --ignore-scripts @huggingface/transformers@4.3.1
    python benchmarks/browser.py --modules FOLDER/node_modules --data DATA --output EXPORTS
        [--rounds 9]

Both classify the same texts, one by one, in float32: the page with its own worker, tokenizer and
model, transformers.js with what torch.onnx writes of the same model (`pip install onnxscript`), and
with the folder of `distil export --to onnx`.  Each has a browser of its own; they take turns, and
ratios are taken within a round, of the processor's time.  Needs the extras pt and onnxruntime,
Node.js, a browser and `npm --prefix web ci`.
"""

import argparse
import csv
import json
import os
import sys
from pathlib import Path
from statistics import median

import distil
from distil.benchmarking.workers import Candidate, Worker

COUNTS = {"short": 48, "long": 4}
OURS, THEIRS, BOTH = "distil's page", "transformers.js", "transformers.js, distil's ONNX"


def write_torch(name, folder):
    """A folder that transformers.js loads, with the graph that torch.onnx writes."""
    import torch

    distil.export(name, folder, check=False)
    model = distil.load(name, framework="pt").eval()

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    axes = {0: torch.export.Dim("batch_size"), 1: torch.export.Dim("sequence_length", max=512)}
    example = torch.ones((2, 5), dtype=torch.int64), torch.ones((2, 5), dtype=torch.int64)
    torch.onnx.export(
        Logits().eval(), example, str(folder / "onnx/model.onnx"), dynamo=True, external_data=False,
        opset_version=20, input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes={"input_ids": axes, "attention_mask": axes},
    )  # fmt: skip


WRITERS = {
    "page": lambda name, folder: distil.export(name, folder, "web", check=False),
    "ours": lambda name, folder: distil.export(name, folder, check=False),
    "torch": write_torch,
}


def texts_of(data):
    """Sentences of SST-2 and reviews of IMDb."""
    with (data / "sst2/dev.tsv").open(encoding="utf-8") as file:
        short = [row["sentence"] for row in csv.DictReader(file, delimiter="\t", quoting=3)]
    with (data / "imdb/dev.jsonl").open(encoding="utf-8") as file:
        long = [json.loads(next(file))["text"] for _ in range(COUNTS["long"])]
    return {"short": short[: COUNTS["short"]], "long": long}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modules", required=True, metavar="FOLDER", help="with transformers.js")
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="of exports")
    parser.add_argument("--model", default="sst2-small")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    tokenizer = distil.load_tokenizer(arguments.model)
    texts = texts_of(arguments.data)
    folder = arguments.output
    for name, write in WRITERS.items():
        if not (folder / name).exists():
            write(arguments.model, folder / name)
    options = {
        OURS: {"kind": "page", "path": str(folder / "page")},
        THEIRS: {"kind": "transformers", "path": str(folder), "model": "torch"},
        BOTH: {"kind": "transformers", "path": str(folder), "model": "ours"},
    }
    workers = {
        name: Worker(
            Candidate(
                name=name, runner="on_device_runtimes:Browser",
                options={"modules": str(Path(arguments.modules).resolve()), **own},
                environment={"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        )
        for name, own in options.items()
    }  # fmt: skip
    for kind, own in texts.items():
        tokens = sum(map(len, tokenizer(own, truncation=True)["input_ids"]))
        found = {name: [] for name in workers}
        labels = {}
        for number in range(arguments.rounds + 1):
            for name, worker in workers.items():
                answer = worker.ask("texts", texts=own).answer
                labels[name] = [one["label"] for one in answer["labels"]]
                if number:  # the first round warms up
                    found[name].append(answer["milliseconds"])
        assert len(set(map(tuple, labels.values()))) == 1, labels
        print(f"{kind}: {len(own)} texts, {tokens / len(own):.0f} tokens on average")
        for name, times in found.items():
            ratios = [a / b for a, b in zip(found[THEIRS], times, strict=True)]
            speed = tokens / median(times) * 1000
            ends = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(f"  {name}: {speed:.0f} tokens/s, {median(ratios):.2f} times ({ends})")
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
