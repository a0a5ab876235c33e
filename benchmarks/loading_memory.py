"""Peak memory and time of loading a DistilBERT-base, in every format and both frameworks.

    python benchmarks/loading_memory.py [--folder FOLDER] [--json]

Each load runs in a separate process.  Memory is the peak while loading, minus what the process
held after importing the framework, as a multiple of the size of the weights.  Linux only: it
reads /proc.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from math import prod
from pathlib import Path

FORMATS = ("safetensors", "tf-safetensors", "bin", "h5")
TASK = "sequence-classification"


def memory(field):
    """A field of /proc/self/status in bytes: VmRSS (now) or VmHWM (peak)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise ValueError(field)


def load(folder, framework):
    """Load in this process; print memory and time."""
    import importlib

    importlib.import_module(f"distil.{framework}")
    if Path(folder, "pytorch_model.bin").exists():
        import torch  # noqa: F401 - what reading a .bin needs is part of the bare import
    import distil

    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from here
    start = time.perf_counter()
    model = distil.load(folder, framework=framework)
    seconds = time.perf_counter() - start
    sum(float(array.reshape(-1)[::512].sum()) for _, array in model.named_arrays())  # every page
    print(json.dumps({"bytes": memory("VmHWM") - before, "seconds": seconds}))


def make(folder):
    """Write the same random model in every format."""
    from distil.checkpoints import save_checkpoint
    from distil.common.config import DistilBertConfig
    from distil.common.initial import initial_weight
    from distil.common.spec import parameters

    config = DistilBertConfig(architectures=["DistilBertForSequenceClassification"])
    table = list(parameters(config, TASK))
    for name in FORMATS:
        config.save_pretrained(folder / name)
        arrays = ((w.name, initial_weight(config, w, 0)) for w in table)
        save_checkpoint(folder / name, arrays, config=config, task=TASK, format=name)
    return sum(4 * prod(w.shape) for w in table)


def main():
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where to write the models (1.1 GB)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--load", nargs=2, metavar=("FOLDER", "FRAMEWORK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        return load(*options.load)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        size = make(Path(folder))
        rows = []
        for framework in ("pt", "tf"):
            for name in FORMATS:
                command = [sys.executable, __file__, "--load", str(Path(folder, name)), framework]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found = json.loads(done.stdout.splitlines()[-1])
                rows.append((framework, name, found["bytes"] / size, found["seconds"]))
    if options.json:
        names = ("framework", "format", "peak", "seconds")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return None
    print(f"weights: {size / 1e6:.0f} MB\n")
    print("| framework | format | peak / weights | seconds |\n|---|---|---|---|")
    for framework, name, peak, seconds in rows:
        print(f"| {framework} | {name} | {peak:.2f} | {seconds:.2f} |")
    return None


if __name__ == "__main__":
    main()
