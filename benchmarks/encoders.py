"""Sentence encoders of fewer layers: which layers, which losses, how many tokens.

    python benchmarks/encoders.py --model CHECKPOINT --data FOLDER --texts FILE... --output FOLDER

CHECKPOINT is a sentence encoder, the teacher; the texts are what students learn from, a text a line
(without STS-B's).  Experiments (`--only` chooses):

1. layers: every choice of three layers with nothing learned, by STS-B's training rows, which are
   used for nothing else; the best of them and the default once more by its dev rows.
2. points: students by vectors and last states (configs/distill/sentence-embeddings.yaml) after more
   and more tokens, each with a schedule of its own.
3. losses: all of them, each left out, each alone.
4. starts: from the layers, from random weights; 3, 2, 1 layers; all words, 10,000 words.

Every student is judged as `benchmarks/probes.py` does.  After an interruption the same command
continues, and repeats nothing.  Results are written to encoders.jsonl and encoders.md in the output
folder.
"""

import argparse
import itertools
import json
import shutil
from pathlib import Path

from probes import METRICS, judge
from trainings import NEVER, Trainings, table

import distil

RECIPE = "distill/sentence-embeddings.yaml"
TOKENS = (100_000, 200_000, 400_000, 1_000_000, 4_000_000, 10_000_000, 30_000_000)
# The losses of an encoder without a head, each by its weight in the recipe.
LOSSES = {
    "vectors": {"alpha_vector": 1.0}, "states": {"alpha_cos": 1.0},
    "similarities": {"alpha_similarity": 1.0}, "relations": {"alpha_relations": 1.0},
}  # fmt: skip
NONE = {name: 0.0 for one in LOSSES.values() for name in one}
USUAL = ("vectors", "states")
EXPERIMENTS = ("layers", "points", "losses", "starts")


class Encoders(Trainings):
    """All students of this benchmark, each made, taught and judged once."""

    def __init__(self, arguments):
        super().__init__(
            arguments.output, "encoders", report,
            **{
                "data.folder": str(arguments.data), "precision": arguments.precision,
                "model.framework": "pt", "teacher.name": arguments.model,
                "data.train": [str(Path(text).resolve()) for text in arguments.texts],
                "data.format": None, "data.dev": None, "data.dev_share": None,
                "data.cache": str(arguments.output.resolve() / "cache"),
                "evaluation.every": NEVER, "batch.tokens": arguments.batch,
            },
        )  # fmt: skip
        self.arguments = arguments
        self.teacher = None
        path = self.output / "encoders.jsonl"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            self.results = [json.loads(line) for line in lines]

    def judge(self, experiment, name, model, *, split="dev", probes=True, **facts):
        """Judge a model, unless that is done already."""
        done = {(one["experiment"], one["model"], one["sts"]) for one in self.results}
        if (experiment, name, split) not in done:
            figures = judge(model, self.arguments.data, split=split, probes=probes)
            self.add(experiment=experiment, model=name, sts=split, figures=figures, **facts)

    def untaught(self, layers):
        """A folder with some layers of the teacher, nothing learned."""
        folder = self.output / "start" / "-".join(map(str, layers))
        if not (folder / "modules.json").exists():
            if self.teacher is None:
                self.teacher = distil.load(self.arguments.model, framework="pt", task="base")
            student = distil.make_student(self.teacher, layers=layers)
            distil.save(
                student, folder, tokenizer=distil.load_tokenizer(self.arguments.model),
                encoding=distil.SentenceEncoding(max_length=256),
            )  # fmt: skip
        return folder

    def teach(self, experiment, name, tokens, seed, losses=USUAL, **settings):
        """Teach a student by so many tokens and judge it."""
        weights = dict(NONE)
        for loss in losses:
            weights |= LOSSES[loss]
        label = f"{name} {seed}"
        folder, found = self.run(
            experiment, label, distil.distill, RECIPE,
            **{
                "seed": seed, "schedule.steps": max(1, round(tokens / self.arguments.batch)),
                "teacher.layers": self.arguments.layers,
                **{f"distillation.{loss}": weight for loss, weight in weights.items()}, **settings,
            },
        )  # fmt: skip
        facts = {"tokens": found.tokens, "seconds": found.seconds, "seed": seed, "student": name}
        self.judge(experiment, label, str(folder), **facts)


def try_layers(runs):
    """Every choice of three layers, then the best and the default by the dev rows."""
    own = distil.DistilBertConfig.from_pretrained(runs.arguments.model).n_layers
    for layers in itertools.combinations(range(own), 3):
        folder, name = str(runs.untaught(layers)), ", ".join(map(str, layers))
        runs.judge("layers", name, folder, split="train", probes=False)
    scores = {
        one["model"]: one["figures"]["stsb spearman"]["value"]
        for one in runs.results
        if one["experiment"] == "layers" and one["sts"] == "train"
    }
    best = max(scores, key=scores.get)
    for name in dict.fromkeys((best, ", ".join(map(str, runs.arguments.layers or ())), "0, 2, 4")):
        if name in scores:
            runs.judge("layers", name, str(runs.untaught(tuple(map(int, name.split(", "))))))


def try_points(runs):
    for seed in range(runs.arguments.seeds):
        for tokens in TOKENS:
            if tokens <= runs.arguments.tokens:
                runs.teach("points", f"{tokens:,} tokens", tokens, seed)


def try_losses(runs):
    sets = {
        "all": tuple(LOSSES),
        **{f"without {one}": tuple(x for x in LOSSES if x != one) for one in LOSSES},
        **{f"{one} alone": (one,) for one in LOSSES},
    }
    for seed in range(runs.arguments.seeds):
        for name, losses in sets.items():
            runs.teach("losses", name, runs.arguments.tokens, seed, losses)


def try_starts(runs):
    own = distil.DistilBertConfig.from_pretrained(runs.arguments.model).n_layers
    starts = {
        "layers": {},
        # Frozen embeddings are of no use where they were drawn at random.
        "random weights": {"model.new_weights": True, "model.freeze": None},
        "2 layers": {"teacher.layers": [0, own - 1]},
        "1 layer": {"teacher.layers": [own - 1]},
        "10,000 words": {"model.vocabulary": 10000},
    }
    for seed in range(runs.arguments.seeds):
        for name, settings in starts.items():
            losses = ("vectors",) if "model.vocabulary" in settings else USUAL
            runs.teach("starts", name, runs.arguments.tokens, seed, losses, **settings)


def report(results):
    """The results so far, a table for each experiment; "kept" is of the teacher."""
    teacher = next((one["figures"] for one in results if one["experiment"] == "teacher"), {})
    lines = []
    for experiment in dict.fromkeys(one["experiment"] for one in results):
        rows = [("model", "sts", *METRICS, "kept", "tokens", "seconds")]
        rows += [row_of(one, teacher) for one in results if one["experiment"] == experiment]
        lines += [f"## {experiment}", "", *table(rows)]
    return "\n".join(lines)


def row_of(result, teacher):
    figures = result["figures"]
    cells = [
        f"{figures[name]['value']} ({figures[name]['low']} to {figures[name]['high']})"
        if name in figures else ""
        for name in METRICS
    ]  # fmt: skip
    kept = ""
    if result["sts"] == "dev" and teacher:
        own, whole = figures["stsb spearman"]["value"], teacher["stsb spearman"]["value"]
        kept = f"{100 * own / whole:.1f}%"
    facts = (f"{result.get('tokens', 0):,}", result.get("seconds", ""))
    return (result["model"], result["sts"], *cells, kept, *facts)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="the sentence encoder that teaches")
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--texts", required=True, nargs="+", metavar="FILE", help="a text a line")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--layers", nargs="+", type=int, default=[0, 3, 5], help="(0 3 5)")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="of a student (1,000,000)")
    parser.add_argument("--batch", type=int, default=1024, help="tokens of a step (1024)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", default="bfloat16", choices=("float32", "bfloat16"))
    runs = Encoders(parser.parse_args())
    runs.judge("teacher", "teacher", runs.arguments.model)
    experiments = {
        "layers": try_layers, "points": try_points, "losses": try_losses, "starts": try_starts
    }  # fmt: skip
    for name in runs.arguments.only:
        experiments[name](runs)
    shutil.rmtree(runs.output / "start", ignore_errors=True)
    print(report(runs.results))


if __name__ == "__main__":
    main()
