"""`distil parity`: compare a checkpoint in both frameworks, layer by layer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distil.cli import _output
from distil.cli._output import BAD, FAINT, GOOD
from distil.reading import read_lines

DESCRIPTION = """\
Load one checkpoint in PyTorch and in TensorFlow, run the same padded texts
through both, and compare hidden states, attention weights, logits, the loss
and the gradient of every weight, layer by layer.

Differences are relative to the largest value of the tensor, or, for gradients, to
the largest gradient of the module.  Exit status, for use in CI: 0 if every
difference is within the tolerance, 1 if one is not."""
EXAMPLES = (
    (
        "as the model is used, in float32",
        "distil parity distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    ),
    (
        "in float64, where a real difference cannot pass for rounding",
        "distil parity distilbert/distilbert-base-uncased --dtype float64",
    ),
    (
        "with a new head, on your own texts, for a program",
        "distil parity sentence-transformers/all-MiniLM-L6-v2 --task question-answering "
        "--texts reviews.txt --rows 4 --json",
    ),
)

_TITLES = {"output": "outputs", "padding": "at padding", "gradient": "gradients"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    _output.add_name(parser)
    parser.add_argument("--task", help="task to load the model for (its own)")
    parser.add_argument(
        "--dtype",
        default="float32",
        choices=("float32", "float64"),
        help="type to compute in (float32)",
    )
    parser.add_argument("--texts", type=Path, metavar="FILE", help="texts to run on, one per line")
    parser.add_argument(
        "--rows", type=int, metavar="N", help="use only the first N texts (12 of a file)"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="X",
        help="for all relative differences (1e-12 in float64; in float32 1e-5 for outputs, "
        "1e-4 for gradients and for outputs at padding)",
    )
    _output.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; return 1 if the frameworks disagree."""
    from distil.parity import TEXTS, compare  # noqa: PLC0415 - after --help is out of the way

    texts, rows = None, arguments.rows
    if arguments.texts is not None:
        texts, rows = read_lines(arguments.texts), len(TEXTS) if rows is None else rows
    _output.start_tensorflow()
    comparison = compare(
        arguments.name,
        task=arguments.task,
        dtype=arguments.dtype,
        texts=texts,
        tolerance=arguments.tolerance,
        rows=rows,
        revision=arguments.revision,
    )
    if arguments.json:
        _output.print_json(comparison.to_dict())
    else:
        _print(comparison)
    return 0 if comparison.agrees else 1


def _print(comparison: Any) -> None:
    padding = comparison.rows * comparison.length - comparison.shown
    _output.print_fields(
        {
            "checkpoint": comparison.name,
            "task": comparison.task,
            "batch": f"{comparison.rows} rows of {comparison.length} tokens, "
            f"{padding} of {comparison.rows * comparison.length} padding",
            "loss": None if comparison.loss is None else f"{comparison.loss:.6f}",
            "arithmetic": f"{comparison.dtype} on the CPU, PyTorch and TensorFlow",
        }
    )
    columns = ["", "outputs", "at padding", "gradients", "worst", ""]
    rows = [_row(comparison, part) for part in comparison.parts]
    worst = {kind: comparison.worst(kind) for kind in _TITLES}
    rows.append(
        [
            _output.text("tolerance", FAINT),
            *(_output.text(f"{one.tolerance:.0e}" if one else "", FAINT) for one in worst.values()),
        ]
    )
    _output.print_table(
        columns, rows, right=columns[1:4], title="largest relative difference, part by part"
    )
    _output.print_line()
    largest = ", ".join(f"{_TITLES[kind]} {one.relative:.1e}" for kind, one in worst.items() if one)
    if comparison.agrees:
        _output.print_line(f"The frameworks agree.  Largest differences: {largest}.", GOOD)
        return
    wrong = sum(not finding.agrees for finding in comparison.findings)
    first = comparison.first_disagreement
    _output.print_line(
        f"The frameworks do NOT agree: {wrong} of {len(comparison.findings)} differences are above "
        f"the tolerance.  The first is {first.name} in {first.part}: {first.relative:.1e}, "
        f"{first.absolute:.1e} absolute.",
        BAD,
    )


def _row(comparison: Any, part: str) -> Sequence[Any]:
    """A line of the table: the largest difference of each kind, and the name of the worst."""
    found = {kind: comparison.worst(kind, part) for kind in _TITLES}
    cells = [
        _output.text(f"{one.relative:.1e}", "" if one.agrees else BAD) if one else ""
        for one in found.values()
    ]
    worst = max((one for one in found.values() if one), key=lambda one: one.excess)
    name = worst.name.removeprefix("distilbert.").removeprefix(
        f"transformer.layer.{part.removeprefix('layer ')}."
    )
    verdict = _output.text("ok", GOOD) if worst.agrees else _output.text("differs", BAD)
    return [part, *cells, _output.text(name, FAINT), verdict]
