"""`distil predict`: what a model says about texts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distil.cli import _output
from distil.cli._output import BAD, FAINT, GOOD
from distil.cli._texts import read_lines
from distil.common.errors import InputError

SUMMARY = "let a model classify, tag, answer, fill in, choose or embed texts"
DESCRIPTION = """\
Load a model and let it say what it can about texts: labels, tags of words,
answers, words for [MASK], choices, or, without a head, sentence embeddings
and how similar they are.

Texts come from the command line, from a file (a text a line, blank lines left
out) or, if there are neither, from what is piped in.  With --framework both,
exit status 1 if the frameworks' outputs differ by more than 1e-4."""
EXAMPLES = (
    (
        "sentiment",
        "distil predict distilbert/distilbert-base-uncased-finetuned-sst-2-english "
        '"A joy from start to end." "Two hours I will not get back."',
    ),
    (
        "the same in both frameworks, of all lines of a file, for a program",
        "distil predict distilbert/distilbert-base-uncased-finetuned-sst-2-english "
        "--file reviews.txt --framework both --json",
    ),
    (
        "words for a mask",
        'distil predict distilbert/distilbert-base-uncased "Paris is the [MASK] of France." '
        "--top-k 3",
    ),
    (
        "an answer",
        "distil predict distilbert/distilbert-base-cased-distilled-squad "
        '"Who built it?" --context "The bridge was built by John Rennie in 1831."',
    ),
    (
        "names of people and places",
        "distil predict elastic/distilbert-base-uncased-finetuned-conll03-english "
        '"Ada Lovelace was born in London."',
    ),
    (
        "a choice",
        'distil predict ./my-choices "The kettle boils, so" --choices "it is switched off." '
        '"it starts to rain."',
    ),
    (
        "how similar sentences are",
        "distil predict sentence-transformers/all-MiniLM-L6-v2 "
        '"A cat sleeps." "A kitten naps." "Stocks fell."',
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    _output.add_name(parser)
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text, question or prompt")
    parser.add_argument("--file", type=Path, help="read texts from a file; - is stdin")
    parser.add_argument("--task", help="what to load the model for; its own task otherwise")
    parser.add_argument(
        "--framework", choices=("pt", "tf", "both"), help="PyTorch, TensorFlow, or both compared"
    )
    parser.add_argument(
        "--pair",
        nargs="+",
        metavar="TEXT",
        help="second texts for a sequence classifier: one for each text, or one for all",
    )
    parser.add_argument(
        "--context", nargs="+", metavar="TEXT", help="where to look for answers, likewise"
    )
    parser.add_argument("--choices", nargs="+", metavar="TEXT", help="what to choose from")
    parser.add_argument(
        "--top-k", type=int, default=5, metavar="K", help="labels or words to give (5)"
    )
    _output.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 if both frameworks ran and differ."""
    from distil.prediction import predict  # noqa: PLC0415 - after --help is out of the way

    texts = list(arguments.texts)
    if arguments.file is not None:
        texts += read_lines(arguments.file)
    elif not texts and not sys.stdin.isatty():
        texts = read_lines(None)
    if not texts:
        raise InputError(
            "there is no text", fix="add texts or --file FILE, or pipe texts in, one a line"
        )
    if _needs_tensorflow(arguments.framework):
        _output.start_tensorflow()
    prediction = predict(
        arguments.name,
        texts,
        task=arguments.task,
        framework=arguments.framework,
        pair=arguments.pair,
        context=arguments.context,
        choices=arguments.choices,
        top_k=arguments.top_k,
        revision=arguments.revision,
    )
    if arguments.json:
        _output.print_json(prediction.to_dict())
    else:
        _PRINTERS[prediction.task](prediction.results)
        _print_difference(prediction)
    return 0 if prediction.agrees else 1


def _needs_tensorflow(framework: str | None) -> bool:
    from distil.api import find_framework  # noqa: PLC0415

    return framework == "both" or find_framework(framework) == "tf"


def _print_difference(prediction: Any) -> None:
    if prediction.difference is not None:
        verb, style = ("agree", GOOD) if prediction.agrees else ("do NOT agree", BAD)
        _output.print_line()
        _output.print_line(
            f"PyTorch and TensorFlow {verb}: largest difference {prediction.difference:.1e}.",
            style,
        )


def _print_classifications(results: Sequence[Any]) -> None:
    rows = [
        (
            _output.text(best.label, GOOD),
            f"{best.score:.4f}",
            one.text if one.pair is None else f"{one.text} | {one.pair}",
            _output.text(_scores(others), FAINT),
        )
        for one in results
        for best, *others in [one.scores]
    ]
    _output.print_table(("label", "score", "text", "then"), rows, right=("score",))


def _print_tags(results: Sequence[Any]) -> None:
    rows: list[Sequence[Any]] = []
    for number, one in enumerate(results):
        if number:
            rows.append([None] * 3)
        for word in one.words:
            # "O" is what taggers call a word that has no tag.
            style = FAINT if word.tag == "O" else GOOD
            rows.append((word.word, _output.text(word.tag, style), f"{word.score:.4f}"))
    _output.print_table(("word", "tag", "score"), rows, right=("score",))


def _print_answers(results: Sequence[Any]) -> None:
    rows = [
        (_output.text(one.answer, GOOD), f"{one.score:.4f}", f"{one.start}-{one.end}", one.question)
        for one in results
    ]
    columns = ("answer", "score", "characters", "question")
    _output.print_table(columns, rows, right=("score", "characters"))


def _print_words(results: Sequence[Any]) -> None:
    rows: list[Sequence[Any]] = []
    for one in results:
        for number, words in enumerate(one.masks, start=1):
            for rank, word in enumerate(words):
                style = FAINT if rank else GOOD
                which = f"{one.text}  (mask {number})" if len(one.masks) > 1 else one.text
                score = f"{word.score:.4f}"
                rows.append((_output.text(word.label, style), score, None if rank else which))
    _output.print_table(("word", "score", "text"), rows, right=("score",))


def _print_choices(results: Sequence[Any]) -> None:
    rows = [
        (_output.text(choice.label, FAINT if rank else GOOD), f"{choice.score:.4f}",
         None if rank else one.prompt)
        for one in results
        for rank, choice in enumerate(one.scores)
    ]  # fmt: skip
    _output.print_table(("choice", "score", "prompt"), rows, right=("score",))


def _print_embeddings(results: Sequence[Any]) -> None:
    from distil.readout import cosine_similarities  # noqa: PLC0415

    if len(results) == 1:
        start = ", ".join(f"{value:+.4f}" for value in results[0].vector[:4])
        _output.print_line(
            f"[{start}, ...]  {len(results[0].vector)} numbers; --json gives them all"
        )
        return
    similarities = cosine_similarities(results)
    numbers = [str(number) for number in range(1, len(results) + 1)]
    rows = [
        (number, *(f"{value:.3f}" for value in line), one.text)
        for number, line, one in zip(numbers, similarities, results, strict=True)
    ]
    _output.print_table(("", *numbers, "text"), rows, right=numbers, title="cosine similarities")


def _scores(scores: Sequence[Any]) -> str:
    return ", ".join(f"{score.label} {score.score:.4f}" for score in scores)


_PRINTERS: Mapping[str, Callable[[Sequence[Any]], None]] = {
    "base": _print_embeddings,
    "masked-lm": _print_words,
    "sequence-classification": _print_classifications,
    "multiple-choice": _print_choices,
    "token-classification": _print_tags,
    "question-answering": _print_answers,
}
