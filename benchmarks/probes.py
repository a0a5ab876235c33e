"""What sentence encoders know with nothing fine-tuned, each figure with its 95% interval.

    python benchmarks/probes.py MODEL... --data FOLDER --output probes.jsonl

- STS-B: Spearman and Pearson of cosines with people's scores (`--sts train` judges by other rows,
  for choices that must not be made on the dev rows).
- SQuAD: one question for each of up to 14 paragraphs of an article, among all these paragraphs:
  MRR@10, recall@1.
- SST-2 and AG News: logistic regression on vectors of texts.
- WikiANN: logistic regression on the states of each word's first token; F1 of tags but O.

The first two are `distil evaluate`'s; the probes are scikit-learn's, whose intervals are of the dev
rows alone.  A model that has a line in the output already is left out, so that the same command
continues after an interruption.
"""

import argparse
import json
import random
from dataclasses import asdict
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import distil
from distil.measures.metrics import f1_of_sums
from distil.measures.statistics import wilson
from distil.measures.table import Table, estimate
from distil.reading import rows_from

PARAGRAPHS = 14

# Files to train and to judge by, columns of text and class, rows of each, tokens of a text.
CLASSES = {
    "sst2": ("sst2/train.tsv.gz", "sst2/dev.tsv", "sentence", "label", 4000, None, 128),
    "agnews": ("agnews/train.tsv", "agnews/dev.tsv", "text", "label", 1200, 800, 64),
}
SENTENCES = 1500, 1000
METRICS = (
    "stsb spearman", "stsb pearson", "squad mrr@10", "squad recall@1", "sst2", "agnews", "wikiann"
)  # fmt: skip


def judge(model, data, *, split="dev", probes=True, framework="pt"):
    """Figures of a model by name, in percent: value, lower and upper end of the interval."""
    pipe = distil.pipeline("sentence-embeddings", model, framework=framework, truncation=True)
    pairs = {"text": "sentence1", "text_pair": "sentence2", "label": "score"}
    found = distil.evaluate(pipe, str(data / f"stsb/{split}.csv"), columns=pairs)
    figures = {f"stsb {name}": found.metrics[name] for name in ("spearman", "pearson")}
    found = distil.evaluate(pipe, questions(data), task="retrieval")
    figures |= {f"squad {name}": found.metrics[name] for name in ("mrr@10", "recall@1")}
    if probes:
        figures |= {name: probe_classes(pipe, data, *CLASSES[name]) for name in CLASSES}
        figures["wikiann"] = probe_words(pipe, data)
    return {
        name: {part: round(100 * x, 2) for part, x in asdict(figure).items()}
        for name, figure in figures.items()
    }


def questions(data):
    """Questions with their paragraphs."""
    draw = random.Random(1)
    articles = json.loads((data / "squad/dev-v1.1.json").read_text(encoding="utf-8"))["data"]
    return [
        {"text": draw.choice(one["qas"])["question"], "text_pair": one["context"]}
        for article in articles
        for one in article["paragraphs"][:PARAGRAPHS]
    ]


def drawn(path, count):
    """Some rows of a file, or all of them."""
    rows = [row.values for row in rows_from(str(path))]
    if count is not None:
        random.Random(1).shuffle(rows)
    return rows[:count]


def probe_classes(pipe, data, train, dev, text, label, rows, dev_rows, length):
    """The share of dev rows whose class logistic regression on their vectors finds."""
    sets = [drawn(data / train, rows), drawn(data / dev, dev_rows)]
    (x, found), (y, expected) = (
        (
            pipe([row[text] for row in one], as_array=True, max_length=length),
            np.array([str(row[label]) for row in one]),
        )
        for one in sets
    )
    right = classifier().fit(x, found).predict(y) == expected
    return wilson(int(right.sum()), len(right))


def probe_words(pipe, data):
    """F1 of the tags of words other than O, from the states of their first tokens."""
    sets = [
        drawn(data / f"wikiann_en/{split}.conll", count)
        for split, count in zip(("train", "dev"), SENTENCES, strict=True)
    ]
    (x, found, _), (y, expected, sentences) = (states_of_words(pipe, one) for one in sets)
    predicted = classifier().fit(x, found).predict(y)
    table = Table()
    for number in range(sentences[-1] + 1):
        own = sentences == number
        tags, guessed = expected[own], predicted[own]
        table.add(
            {
                "right": int(((tags == guessed) & (tags != "O")).sum()),
                "predicted": int((guessed != "O").sum()), "expected": int((tags != "O").sum()),
            }
        )  # fmt: skip
    return estimate(table, f1_of_sums("right", "predicted", "expected"), seed=0)


def states_of_words(pipe, rows):
    """States (n, d) of the first tokens of words, their tags (n), numbers of sentences (n)."""
    encoded = pipe.tokenizer(
        [row["words"] for row in rows], is_split_into_words=True, truncation=True, max_length=128
    )
    sequences = [np.array(ids, np.int32) for ids in encoded["input_ids"]]
    places, tags, sentences = [], [], []
    for number, row in enumerate(rows):
        words = encoded.word_ids(number)
        first = [n for n, word in enumerate(words) if word is not None and word != words[n - 1]]
        places.append(np.array(first, np.int64))
        tags += [row["tags"][words[n]] for n in first]
        sentences += [number] * len(first)
    states = np.concatenate(list(pipe.model.score(sequences, wanted=places)))
    return states, np.array(tags), np.array(sentences)


def classifier():
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))


def known(path):
    """Lines of results that are whole."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def table(results):
    """Results as lines of Markdown."""
    yield "| model | " + " | ".join(METRICS) + " |"
    yield "|---" * (1 + len(METRICS)) + "|"
    for one in results:
        cells = [one["figures"].get(name) for name in METRICS]
        shown = ["" if x is None else f"{x['value']} ({x['low']} to {x['high']})" for x in cells]
        yield f"| {one['model']} | " + " | ".join(shown) + " |"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")
    parser.add_argument("--sts", choices=("dev", "train"), default="dev")
    parser.add_argument("--no-probes", action="store_true", help="similarity and retrieval alone")
    arguments = parser.parse_args()
    results = known(arguments.output)
    for model in arguments.models:
        if all(one["model"] != model for one in results):
            figures = judge(
                model, arguments.data, split=arguments.sts, probes=not arguments.no_probes
            )
            results.append({"model": model, "sts": arguments.sts, "figures": figures})
            text = "".join(json.dumps(one) + "\n" for one in results)
            arguments.output.write_text(text, encoding="utf-8")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
