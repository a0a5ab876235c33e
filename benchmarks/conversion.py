"""A DistilBERT-base through every format and back: same bits, peak memory, time.

    python benchmarks/conversion.py [--folder FOLDER] [--json]

Each conversion runs in a separate process; memory is the peak of that process, Python included.
If transformers 4 is installed, its own way (load, then save) is measured as well.  Exit status 1 if
a weight comes back changed, or if memory exceeds 1.5 times the largest weight plus 150 MB (except
for .bin, which PyTorch writes in one go).  Linux only: it reads /proc.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from math import prod
from pathlib import Path

from distil.checkpoints import FORMATS, save_checkpoint
from distil.common.config import DistilBertConfig
from distil.common.initial import initial_weight
from distil.common.spec import parameters

TASK = "masked-lm"
CLASS = "DistilBertForMaskedLM"
WHOLE, SHARDS = None, "100MB"

# Each of the two prints what it took, as JSON, on its last line.
MEASURE = """
import json, re, sys, time
from pathlib import Path
start = time.perf_counter()
{body}
seconds = time.perf_counter() - start
most = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps({{"bytes": most, "seconds": seconds}}))
"""
OURS = """
import distil
distil.convert(sys.argv[1], sys.argv[2], sys.argv[3], max_shard_size=json.loads(sys.argv[4]))
"""
THEIRS = """
import transformers
tf = "h5" in sys.argv[3]
name = ("TF" if tf else "") + "DistilBertForMaskedLM"
other = {"from_pt" if tf else "from_tf": True} if sys.argv[4] == "true" else {}
model = getattr(transformers, name).from_pretrained(sys.argv[1], **other)
model.save_pretrained(sys.argv[2], safe_serialization=sys.argv[3] == "safetensors")
"""


def run(body, *arguments):
    """What a process took that ran `body`; the kind of its error if it failed."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(body=body), *map(str, arguments)],
        env=os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1].partition(":")[0]}
    return json.loads(done.stdout.splitlines()[-1])


def make(folder):
    """Write a random model; give the size of its weights and of the largest."""
    config = DistilBertConfig(architectures=[CLASS], dtype="float32")
    table = list(parameters(config, TASK))
    config.save_pretrained(folder)
    arrays = ((weight.name, initial_weight(config, weight, 0)) for weight in table)
    save_checkpoint(folder, arrays, config=config, task=TASK)
    sizes = [4 * prod(weight.shape) for weight in table]
    return sum(sizes), max(sizes)


def digest(folder):
    with (folder / "model.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def round_trips(root):
    """A row for each conversion to a format and back from it."""
    source = root / "safetensors"
    for name, limit in [(name, limit) for name in FORMATS for limit in (WHOLE, SHARDS)]:
        there, back = root / f"{name}-{limit}", root / f"{name}-{limit}-back"
        label = name if limit is WHOLE else f"{name}, {limit} shards"
        for one, two, to, size in (
            (source, there, name, limit),
            (there, back, "safetensors", WHOLE),
        ):
            found = run(OURS, one, two, to, json.dumps(size))
            names = ("safetensors", label) if one == source else (label, "safetensors")
            found |= {"library": "distil", "from": names[0], "to": names[1], "bin": name == "bin"}
            if one != source and "error" not in found:
                found["same"] = digest(back) == digest(source)
            yield found
        for folder in (there, back):
            subprocess.run(["rm", "-r", str(folder)], check=False)


def transformers_rows(root):
    """The same by transformers, as far as it gets."""
    source = root / "safetensors"
    for one, stored, to in (
        (source, "safetensors", "safetensors"),
        (source, "safetensors", "bin"),
        (source, "safetensors", "h5"),
        (root / "h5", "h5", "safetensors"),
    ):
        crosses = "h5" in (stored, to)
        found = run(THEIRS, one, root / f"theirs-{stored}-{to}", to, json.dumps(crosses))
        yield found | {"library": "transformers", "from": stored, "to": to, "bin": False}


def measured(root):
    """All rows, as they come."""
    yield from round_trips(root)
    if find_spec("transformers") is not None:
        run(OURS, root / "safetensors", root / "h5", "h5", "null")
        yield from transformers_rows(root)


def as_line(row):
    took = (
        f"{row['error']} | "
        if "error" in row
        else f"{row['bytes'] / 1e6:.0f} | {row['seconds']:.1f}"
    )
    same = {True: "same bytes", False: "CHANGED", None: ""}[row.get("same")]
    return f"| {row['library']} | {row['from']} | {row['to']} | {took} | {same} |"


def main():
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where to write the models (2 GB)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder)
        size, largest = make(root / "safetensors")
        limit = 1.5 * largest + 150e6
        if not options.json:
            print(
                f"weights {size / 1e6:.0f} MB, the largest {largest / 1e6:.0f} MB; "
                f"limit {limit / 1e6:.0f} MB\n\n"
                "| | from | to | peak, MB | seconds | back again |\n|---|---|---|---|---|---|"
            )
        for row in measured(root):
            rows.append(row)
            if not options.json:
                print(as_line(row), flush=True)
    ours = [row for row in rows if row["library"] == "distil"]
    good = all(
        "error" not in row and row.get("same", True) and (row["bin"] or row["bytes"] < limit)
        for row in ours
    )
    if options.json:
        print(json.dumps({"good": good, "limit": limit, "rows": rows}))
    return not good


if __name__ == "__main__":
    sys.exit(main())
