"""Fine-tuning by the recipes in configs/finetune: distil in both frameworks against transformers.

    python benchmarks/finetuning.py --model CHECKPOINT --data FOLDER [--tasks sst2 mrpc ...]
        [--seeds 0 1 2] [--entrants distil-pt distil-tf transformers] --output results.jsonl

Each run is the command at the top of its recipe, caps on rows included, with one seed, in a
separate process.  transformers trains the same checkpoint (converted, if it is a BERT) in
`finetuning_transformers.py` on the same batches.  A run whose result is already in the output is
not repeated, so a list of runs can be interrupted and extended.
"""

import argparse
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from statistics import mean, variance

import distil
from distil.common.steps.recipe import read_recipe
from distil.common.steps.recipe_rules import read_assignments

RECIPES = Path(__file__).parents[1] / "configs" / "finetune"
TASKS = ("sst2", "mrpc", "cola", "rte", "stsb", "wnut17", "hellaswag", "squad")
PEER = Path(__file__).with_name("finetuning_transformers.py")
ENTRANTS = {
    "distil-pt": ("-m", "distil", "train", "--framework", "pt", "--json"),
    "distil-tf": ("-m", "distil", "train", "--framework", "tf", "--json"),
    "transformers": (str(PEER),),
}
COLOURS = {"distil-pt": "#4c78a8", "distil-tf": "#f58518", "transformers": "#54a24b"}


def assignments_of(task):
    """KEY=VALUE of the command at the top of a recipe, which backslashes may continue."""
    text = (RECIPES / f"{task}.yaml").read_text(encoding="utf-8")
    return shlex.split(text.replace("\\\n#", "").splitlines()[1])[4:]


def recipe_of(task):
    return read_recipe(RECIPES / f"{task}.yaml", read_assignments(assignments_of(task)))


def run(task, entrant, seed, model, data):
    """Train once; return the result."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        values = {"model.name": model, "data.folder": data, "seed": seed, "output": folder}
        done = subprocess.run(
            [sys.executable, *ENTRANTS[entrant], str(RECIPES / f"{task}.yaml"),
             *assignments_of(task), *(f"{name}={value}" for name, value in values.items())],
            # Else transformers imports TensorFlow as well, where that is installed.
            env=os.environ | {"USE_TF": "0"}, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    found = json.loads(done.stdout)
    names = ("metric", "metrics", "best_step", "steps", "examples", "tokens", "seconds")
    return {
        "task": task, "entrant": entrant, "seed": seed, **{name: found[name] for name in names},
        "wall": round(time.monotonic() - begin, 1),
    }  # fmt: skip


def run_all(arguments, results):
    """Do the runs that have no result yet, seed by seed, and add theirs, to the file as well."""
    done = {(one["task"], one["entrant"], one["seed"]) for one in results}
    wanted = [
        (task, entrant, seed)
        for seed, task, entrant in product(arguments.seeds, arguments.tasks, arguments.entrants)
        if (task, entrant, seed) not in done
    ]
    with tempfile.TemporaryDirectory() as folder:
        models = dict.fromkeys(ENTRANTS, arguments.model)
        if any(entrant == "transformers" for _, entrant, _ in wanted):
            models["transformers"] = str(Path(folder, "converted"))
            distil.convert(arguments.model, models["transformers"])
        for number, (task, entrant, seed) in enumerate(wanted, start=1):
            found = run(task, entrant, seed, models[entrant], arguments.data)
            results.append(found)
            with arguments.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            print(
                f"{number} of {len(wanted)}: {task} {entrant} seed {seed}: {found['metric']} "
                f"{found['metrics'][found['metric']]:.4f} ({found['wall']:.0f} s)",
                file=sys.stderr, flush=True,
            )  # fmt: skip


def values_of(results, task, entrant):
    """The results of an entrant, one for each seed, in percent."""
    scale = 1 if recipe_of(task).task == "question-answering" else 100  # which is in percent
    return [
        scale * one["metrics"][one["metric"]]
        for one in results
        if (one["task"], one["entrant"]) == (task, entrant)
    ]


def cell(values):
    """Mean, minimum and maximum over several seeds."""
    if not values:
        return "-"
    spread = f" ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else ""
    return f"{mean(values):.1f}{spread}"


def difference(own, theirs):
    """The difference of two means, with its standard error."""
    if min(len(own), len(theirs)) < 2:
        return "-"
    error = math.sqrt(variance(own) / len(own) + variance(theirs) / len(theirs))
    return f"{mean(own) - mean(theirs):+.1f} ± {error:.1f}"


def print_table(results):
    """Markdown: a row for each task, a column for each entrant."""
    entrants = [name for name in ENTRANTS if any(one["entrant"] == name for one in results)]
    titles = [*entrants, "distil-pt less transformers"]
    print(f"| task | metric | examples x epochs | {' | '.join(titles)} |")
    print("|---" * (3 + len(titles)) + "|")
    for task in dict.fromkeys(one["task"] for one in results):
        one = next(one for one in results if one["task"] == task)
        values = {entrant: values_of(results, task, entrant) for entrant in ENTRANTS}
        cells = [cell(values[entrant]) for entrant in entrants]
        cells.append(difference(values["distil-pt"], values["transformers"]))
        size = f"{one['examples']:,} x {recipe_of(task).schedule.epochs}"
        print(f"| {task} | {one['metric']} | {size} | {' | '.join(cells)} |")


def plot(results, path):
    """A point for each run, with the entrants side by side within a task."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    tasks = list(dict.fromkeys(one["task"] for one in results))
    figure, axes = plt.subplots(1, len(tasks), figsize=(1.5 * len(tasks), 3), layout="constrained")
    for axis, task in zip([axes] if len(tasks) == 1 else axes, tasks, strict=True):
        for place, (entrant, colour) in enumerate(COLOURS.items()):
            values = values_of(results, task, entrant)
            axis.plot([place] * len(values), values, "o", color=colour, alpha=0.7, label=entrant)
        metric = next(one["metric"] for one in results if one["task"] == task)
        axis.set(title=f"{task}\n{metric}, %", xlim=(-0.7, 2.7), xticks=[])
        axis.spines[["top", "right"]].set_visible(False)
    handles, names = axis.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of a DistilBERT or BERT checkpoint")
    parser.add_argument("--data", required=True, help="folder with the recipes' files")
    parser.add_argument("--tasks", nargs="+", default=TASKS, help="names of recipes")
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2))
    parser.add_argument("--entrants", nargs="+", default=tuple(ENTRANTS), choices=ENTRANTS)
    parser.add_argument(
        "--output", type=Path, required=True, help="results, a line of JSON for each run"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="plot the table (PNG)")
    arguments = parser.parse_args()
    results = []
    if arguments.output.exists():
        lines = arguments.output.read_text(encoding="utf-8").splitlines()
        results = [json.loads(line) for line in lines]
    run_all(arguments, results)
    print_table(results)
    if arguments.plot:
        plot(results, arguments.plot)


if __name__ == "__main__":
    main()
