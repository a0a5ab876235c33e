"""How fast a DistilBERT classifier runs here: distil in every way, and other installed libraries.

    python benchmarks/inference.py [--only NAME ...] [--rounds 5] [--json FILE] [--plots FOLDER]

Each way runs in a separate process and they take turns, so that noise affects all alike.  Ratios
are taken round by round, relative to transformers on PyTorch (plain distil if that is missing):
padded batches of 32, in the order of the texts.  Only real tokens are counted; the share of the
matrix peak counts the arithmetic of the plain model, including what is skipped.

short   raw texts -> probabilities, about 25 tokens each        long    about 290, at most 512
latency one text of 16, 128 and 512 tokens                      start   a new process's first answer
"""

import argparse
import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import corpora

import distil
from distil.benchmarking.entrants import ways
from distil.benchmarking.workers import Candidate, Worker, WorkerError

WORKLOADS = ("short", "long", "latency", "start")
LATENCY_TOKENS = {16: 15, 128: 7, 512: 3}  # how often, for each number of tokens
DTYPES = ("float32", "bfloat16", "int8")
ENVIRONMENT = {
    "PYTHONPATH": str(Path(__file__).parent),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
    "HF_HUB_OFFLINE": "1",
}
# Name, class in inference_peers, options, packages that it needs.
PEERS = (
    ("transformers PyTorch", "TransformersTorch", {}, ("transformers", "torch")),
    ("transformers PyTorch, sorted", "TransformersTorch", {"sort": True},
     ("transformers", "torch")),
    ("transformers PyTorch bfloat16, sorted", "TransformersTorch",
     {"sort": True, "dtype": "bfloat16"}, ("transformers", "torch")),
    ("transformers PyTorch int8, sorted", "TransformersTorchInt8", {"sort": True},
     ("transformers", "torch")),
    ("transformers pipeline", "TransformersPipeline", {}, ("transformers", "torch")),
    ("transformers TensorFlow, sorted", "TransformersTF", {"sort": True},
     ("transformers", "tensorflow", "tf_keras")),
)  # fmt: skip


def candidates(folder, only):
    """Other libraries first: the first of all is the baseline."""
    found = [
        Candidate(
            name=name,
            runner=f"inference_peers:{runner}",
            options={"name": str(folder), **options},
            environment={**ENVIRONMENT, "TF_USE_LEGACY_KERAS": "1"},
        )
        for name, runner, options, packages in PEERS
        if all(map(find_spec, packages))
    ]
    found += [way.candidate for way in ways(str(folder), "sequence-classification", DTYPES)]
    chosen = [one for one in found[1:] if not only or any(part in one.name for part in only)]
    return [found[0], *chosen]


def precision(name):
    return next((dtype for dtype in DTYPES if dtype in name), "float32")


def arithmetic(config, lengths):
    """Floating-point operations of the plain encoder for sequences of these lengths."""
    linear = config.n_layers * (4 * config.dim**2 + 2 * config.dim * config.hidden_dim)
    return sum(2 * linear * n + 4 * n * n * config.dim * config.n_layers for n in lengths)


def start(chosen, text):
    """Workers by name, except those that cannot be loaded or cannot predict."""
    workers = {}
    for candidate in chosen:
        try:
            worker = workers[candidate.name] = Worker(candidate)
            worker.ask("predict", rows=[text])
        except WorkerError as error:
            print(f"{candidate.name}: {error}".splitlines()[0], file=sys.stderr)
            workers.pop(candidate.name, None)
    return workers


def measure_corpus(folder, chosen, kind, count, rounds):
    """Tokens a second, ratios, shares of the peak, differences and memory."""
    texts = corpora.make_texts(folder, kind, count)
    ids = distil.load_tokenizer(folder)(texts, truncation=True)["input_ids"]
    lengths = [len(row) for row in ids]
    work = arithmetic(distil.DistilBertConfig.from_pretrained(folder), lengths)
    workers = start(chosen, texts[0])
    machine = Worker(
        Candidate(name="machine", runner="inference_peers:Machine", environment=ENVIRONMENT)
    )
    seconds = {name: [] for name in workers}
    peaks = {dtype: [] for dtype in DTYPES}
    for number in range(rounds + 1):
        for dtype in DTYPES:
            peaks[dtype].append(machine.ask("peak", dtype=dtype).answer)
        for name, worker in workers.items():
            reply = worker.ask("predict", rows=texts)
            if number:  # the first round warms up
                seconds[name].append(reply.seconds)
        print(f"{kind}: round {number} of {rounds}", file=sys.stderr)
    answers = {name: worker.ask("answers") for name, worker in workers.items()}
    for worker in (*workers.values(), machine):
        worker.close()
    first = next(iter(workers))
    rows = []
    for name, own in seconds.items():
        apart = [
            abs(a - b)
            for (same, (a, *_)), (also, (b, *_)) in zip(
                answers[name].answer, answers[first].answer, strict=True
            )
            if same[0] == also[0]
        ]
        share = [work / s / 1e9 / p for s, p in zip(own, peaks[precision(name)][1:], strict=True)]
        rows.append(
            {
                "name": name,
                "x": median(a / b for a, b in zip(seconds[first], own, strict=True)),
                "tokens/s": sum(lengths) / median(own),
                "of peak": median(share),
                "same": len(apart) / len(texts),
                "max |dp|": max(apart, default=0.0),
                "MB": answers[name].memory,
            }
        )
    rows.sort(key=lambda row: -row["x"])
    about = {
        "texts": count,
        "mean tokens": sum(lengths) / count,
        "padded tokens": sum(
            max(lengths[i : i + 32]) * len(lengths[i : i + 32]) for i in range(0, count, 32)
        ),
        "tokens": sum(lengths),
        "peak GFLOP/s": {dtype: median(found) for dtype, found in peaks.items()},
    }
    return {"about": about, "rows": rows}


def measure_latency(folder, chosen, rounds):
    """Milliseconds for a single text, and ratios."""
    vocabulary = (Path(folder) / "vocab.txt").read_text(encoding="utf-8").splitlines()
    words = [word for word in vocabulary if word.isascii() and word.isalpha()][-512:]
    texts = {n: " ".join(words[: n - 2]) for n in LATENCY_TOKENS}
    workers = start(chosen, texts[16])
    seconds = {name: {n: [] for n in texts} for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            for n, text in texts.items():
                worker.ask("latency", row=text, repeat=2)  # warms up
                found = worker.ask("latency", row=text, repeat=LATENCY_TOKENS[n]).answer
                seconds[name][n].append(found)
    for worker in workers.values():
        worker.close()
    base = seconds[next(iter(workers))]
    rows = [
        {"name": name}
        | {f"{n} ms": 1000 * median(own[n]) for n in texts}
        | {f"{n} x": median(a / b for a, b in zip(base[n], own[n], strict=True)) for n in texts}
        for name, own in seconds.items()
    ]
    return {"rows": sorted(rows, key=lambda row: -row["16 x"])}


def measure_start(folder, chosen, rounds):
    """Seconds from the start of a process to its first answer, and its memory at that point."""
    text = corpora.make_texts(folder, "short", 1)
    found = {candidate.name: [] for candidate in chosen}
    for _ in range(rounds):
        for candidate in chosen:
            try:
                worker = Worker(candidate)
                reply = worker.ask("predict", rows=text)
            except WorkerError:
                continue
            found[candidate.name].append((worker.seconds_to_start + reply.seconds, reply.memory))
            worker.close()
    base = median(seconds for seconds, _ in found[chosen[0].name])
    rows = [
        {"name": name, "seconds": median(s for s, _ in own),
         "share": median(s for s, _ in own) / base, "MB": median(m for _, m in own)}
        for name, own in found.items() if own
    ]  # fmt: skip
    return {"rows": sorted(rows, key=lambda row: row["seconds"])}


def print_table(title, found):
    print(f"\n## {title}\n")
    about = found.get("about")
    if about:
        peaks = ", ".join(f"{k} {v:.0f}" for k, v in about["peak GFLOP/s"].items())
        print(
            f"{about['texts']} texts of {about['mean tokens']:.0f} tokens; peak GFLOP/s: {peaks}\n"
        )
    columns = list(found["rows"][0])
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in found["rows"]:
        print("| " + " | ".join(cell(column, value) for column, value in row.items()) + " |")


def cell(column, value):
    if not isinstance(value, float):
        return str(value)
    if column == "max |dp|":
        return f"{value:.0e}"
    return f"{value:.0f}" if column in ("tokens/s", "MB") else f"{value:.2f}"


def plot(results, folder):
    """Bar charts of the ratios, one for each corpus."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    colours = {"float32": "#4c78a8", "bfloat16": "#f58518", "int8": "#54a24b"}
    for kind in ("short", "long"):
        if kind not in results:
            continue
        rows = results[kind]["rows"][::-1]
        figure, axes = plt.subplots(figsize=(9, 0.32 * len(rows) + 1.2), layout="constrained")
        bars = axes.barh(
            [row["name"] for row in rows],
            [row["x"] for row in rows],
            color=[colours[precision(row["name"])] for row in rows],
        )
        for bar, row in zip(bars, rows, strict=True):
            bar.set_alpha(0.45 if row["name"].startswith("transformers") else 1.0)
        axes.bar_label(bars, [f"{row['x']:.1f}x" for row in rows], padding=3, fontsize=8)
        axes.margins(x=0.08)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("times as fast as transformers PyTorch, padded batches of 32")
        axes.set_title(
            f"{kind} texts, {results[kind]['about']['mean tokens']:.0f} tokens on average"
        )
        figure.savefig(Path(folder) / f"inference-{kind}.png", dpi=150)
        plt.close(figure)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="folder of a two-label classifier (default: a random one)")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="only ways whose names contain one of these"
    )
    parser.add_argument("--workloads", nargs="+", default=WORKLOADS, choices=WORKLOADS)
    parser.add_argument("--texts", type=int, default=256, help="texts in a corpus (256)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="draw bar charts into this folder"
    )
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.model or corpora.make_checkpoint(temporary)
        chosen = candidates(folder, arguments.only)
        for kind in arguments.workloads:
            if kind == "latency":
                results[kind] = measure_latency(folder, chosen, arguments.rounds)
            elif kind == "start":
                results[kind] = measure_start(folder, chosen, arguments.rounds)
            else:
                results[kind] = measure_corpus(
                    folder, chosen, kind, arguments.texts, arguments.rounds
                )
            print_table(kind, results[kind])
            if arguments.json:
                arguments.json.write_text(json.dumps(results, indent=1))
    if arguments.plots:
        plot(results, arguments.plots)


if __name__ == "__main__":
    main()
