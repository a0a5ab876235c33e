"""`distil bench`: which framework, engine and type is fastest on this machine."""

from __future__ import annotations

import argparse
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from distil.cli import _arguments, _output
from distil.cli._output import BAD, FAINT, GOOD
from distil.reading import RowFile, rows_of, table_of, to_input

DESCRIPTION = """\
Run a model in every way that is installed (PyTorch, TensorFlow, OpenVINO, ONNX
Runtime; float32, bfloat16, int8), each in a separate process, taking turns.
Print, for each, its speed relative to the plain padded model, the time for one
text and to the first answer, the memory, and how many answers equal the plain
model's; with labels, how many are right.

Without a file, texts are made up.  Better use texts like your own: speed depends
on their length."""
EXAMPLES = (
    ("on made-up texts", "distil bench distilbert/distilbert-base-uncased-finetuned-sst-2-english"),
    (
        "on your own, with the right answers, for a program",
        "distil bench distilbert/distilbert-base-uncased-finetuned-sst-2-english "
        "--file reviews.csv --text-column review --label-column label --json",
    ),
    ("only two types, one round", "distil bench ./my-model --dtype float32 int8 --rounds 1"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    _output.add_name(parser)
    parser.add_argument("--task", help="task to load the model for (its own)")
    parser.add_argument("--file", type=Path, help="texts to run on: lines, .jsonl, .csv, .tsv, ...")
    _arguments.add_columns(parser, "text", "label")
    parser.add_argument(
        "--rows", type=int, default=256, metavar="N", help="use the first N rows (256)"
    )
    parser.add_argument(
        "--dtype",
        nargs="+",
        default=("float32", "bfloat16", "int8"),
        choices=("float32", "bfloat16", "int8"),
        help="types to compute in (all)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        metavar="N",
        help="number of rounds; each way takes one turn a round (3)",
    )
    _output.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; return 1 if nothing answers as well as the plain model."""
    from distil.benchmarking import bench  # noqa: PLC0415 - after --help is out of the way

    rows, labels = _rows(arguments)
    with _output.doing() as progress:
        found = bench(
            arguments.name,
            rows,
            task=arguments.task,
            labels=labels,
            dtypes=arguments.dtype,
            rounds=arguments.rounds,
            progress=progress,
        )
    if arguments.json:
        _output.print_json(found.to_dict())
    else:
        _print(found)
    return 0 if found.best is not None else 1


def _rows(arguments: argparse.Namespace) -> tuple[list[Any] | None, list[Any] | None]:
    """The first rows of the file and their labels; None where there are none."""
    from distil.benchmarking import task_of  # noqa: PLC0415 - see `run`
    from distil.prediction.files import fields_read  # noqa: PLC0415

    if arguments.file is None:
        return None, None
    task = task_of(arguments.name, arguments.task)
    columns = fields_read(task, {"text": arguments.text_column}, is_given=False)
    if arguments.label_column is not None:
        columns["label"] = arguments.label_column
    rows, labels = [], []
    with closing(RowFile(arguments.file)) as file:
        table = table_of(file)
        read = [
            to_input(row, columns, table=table) for row in islice(rows_of(file), arguments.rows)
        ]
    for row in read:
        if isinstance(row, dict) and arguments.label_column is not None:
            labels.append(row.pop("label"))
            row = row["text"] if set(row) == {"text"} else row  # noqa: PLW2901
        rows.append(row)
    return rows, labels if arguments.label_column is not None else None


def _print(found: Any) -> None:
    main = found.measurements[0].main
    columns = ("", "speed", "worst", "texts/s", "one text", "start", "memory", "same",
               *([] if main is None else [main, "95% interval"]))  # fmt: skip
    rows = [_row(one, len(columns), best=one is found.best) for one in found.measurements]
    _output.print_table(
        columns, rows, right=columns[1:], title=f"{found.task}, {found.texts} texts"
    )
    _output.print_line(
        "speed: relative to the plain model, in the same round; start: time to the first answer; "
        "same: answers equal to the plain model's",
        FAINT,
    )
    _output.print_line()
    if found.best is None:
        _output.print_line("Nothing answers as well as the plain model.", BAD)
        return
    options = "".join(f', {name}="{value}"' for name, value in found.best.options.items())
    _output.print_line(f'Use distil.pipeline("{found.task}", model="{found.name}"{options})', GOOD)


def _row(one: Any, width: int, *, best: bool) -> tuple[Any, ...]:
    name = _output.text(one.name, GOOD if best else "")
    if one.problem is not None:
        return (_output.text(f"{one.name}: {one.problem}", FAINT), *[None] * (width - 1))
    return (
        name,
        f"{one.speed:.2f}x",
        f"{one.slowest:.2f}x",
        f"{one.texts_per_second:.0f}",
        f"{1000 * one.latency:.1f} ms",
        f"{one.start:.1f} s",
        None if one.memory is None else f"{one.memory:.0f} MB",
        f"{one.same:.1%}",
        *_figure(one),
    )


def _figure(one: Any) -> list[str]:
    """The main metric with its interval, where labels are known."""
    if one.main is None:
        return []
    metric = one.metrics[one.main]
    return [f"{metric['value']:.4f}", f"{metric['low']:.4f} to {metric['high']:.4f}"]
