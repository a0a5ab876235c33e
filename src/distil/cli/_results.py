"""Results of `distil predict` as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distil.cli import _output
from distil.cli._output import FAINT, GOOD

# A larger matrix of similarities does not fit on a terminal.
_MOST_COMPARED = 30


def print_results(task: str, results: Sequence[Mapping[str, Any]]) -> None:
    """Print the results of a task's pipeline for some rows.

    Args:
        task: Of the pipeline.
        results: As in `distil.prediction.Prediction`.
    """
    _PRINTERS[task](results)


def _print_classifications(results: Sequence[Mapping[str, Any]]) -> None:
    rows = []
    for one in results:
        best, *others = one["result"]
        rest = ", ".join(f"{label['label']} {label['score']:.4f}" for label in others)
        text = f"{one['text']} | {one['text_pair']}" if "text_pair" in one else one["text"]
        rows.append(
            (_output.text(best["label"], GOOD), f"{best['score']:.4f}", text,
             _output.text(rest, FAINT))
        )  # fmt: skip
    _output.print_table(("label", "score", "text", "other labels"), rows, right=("score",))


def _print_entities(results: Sequence[Mapping[str, Any]]) -> None:
    rows: list[Sequence[Any]] = []
    for one in results:
        text = one["text"]
        if not one["result"]:
            rows.append((_output.text("-", FAINT), None, None, text))
        for number, entity in enumerate(one["result"]):
            start, end = entity["start"], entity["end"]
            label = entity.get("entity_group", entity.get("entity"))
            rows.append(
                (_output.text(label, GOOD), f"{entity['score']:.4f}", text[start:end],
                 None if number else text)
            )  # fmt: skip
    _output.print_table(("label", "score", "words", "text"), rows, right=("score",))


def _print_answers(results: Sequence[Mapping[str, Any]]) -> None:
    rows: list[Sequence[Any]] = []
    for one in results:
        found = one["result"]
        for rank, answer in enumerate([found] if isinstance(found, dict) else found):
            style = FAINT if rank else GOOD
            rows.append(
                (_output.text(answer["answer"] or "(no answer)", style), f"{answer['score']:.4f}",
                 f"{answer['start']}-{answer['end']}", None if rank else one["question"])
            )  # fmt: skip
    columns = ("answer", "score", "characters", "question")
    _output.print_table(columns, rows, right=("score", "characters"))


def _print_words(results: Sequence[Mapping[str, Any]]) -> None:
    rows: list[Sequence[Any]] = []
    for one in results:
        found = one["result"]
        masks = [found] if isinstance(found[0], dict) else found
        for number, words in enumerate(masks, start=1):
            text = f"{one['text']}  (mask {number})" if len(masks) > 1 else one["text"]
            for rank, word in enumerate(words):
                style = FAINT if rank else GOOD
                rows.append(
                    (_output.text(word["token_str"], style), f"{word['score']:.4f}",
                     None if rank else text)
                )  # fmt: skip
    _output.print_table(("word", "score", "text"), rows, right=("score",))


def _print_choices(results: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (_output.text(choice["choice"], FAINT if rank else GOOD), f"{choice['score']:.4f}",
         None if rank else one["prompt"])
        for one in results
        for rank, choice in enumerate(one["result"])
    ]  # fmt: skip
    _output.print_table(("choice", "score", "prompt"), rows, right=("score",))


def _print_embeddings(results: Sequence[Mapping[str, Any]]) -> None:
    if not 1 < len(results) <= _MOST_COMPARED:
        for one in results:
            vector = one["result"]
            start = ", ".join(f"{value:+.4f}" for value in vector[:4])
            _output.print_line(f"[{start}, ...]  {len(vector)} numbers; --json gives them all")
        return
    numbers = [str(number) for number in range(1, len(results) + 1)]
    rows = [
        (number, *(f"{value:.3f}" for value in line), one["text"])
        for number, line, one in zip(numbers, _cosines(results), results, strict=True)
    ]
    _output.print_table(("", *numbers, "text"), rows, right=numbers, title="cosine similarities")


def _cosines(results: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Cosines of all pairs; the vectors have length one."""
    import numpy as np  # noqa: PLC0415 - `distil --help` needs none

    vectors = np.array([one["result"] for one in results])
    found: list[list[float]] = (vectors @ vectors.T).tolist()
    return found


_PRINTERS: Mapping[str, Callable[[Sequence[Mapping[str, Any]]], None]] = {
    "base": _print_embeddings,
    "masked-lm": _print_words,
    "sequence-classification": _print_classifications,
    "multiple-choice": _print_choices,
    "token-classification": _print_entities,
    "question-answering": _print_answers,
}
