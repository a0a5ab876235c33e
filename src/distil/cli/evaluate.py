"""`distil evaluate`: a model's metrics on labelled rows, with confidence intervals."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from distil.cli import _arguments, _output
from distil.cli._output import BAD, FAINT, GOOD
from distil.cli._progress import progress

DESCRIPTION = """\
Run a model on labelled rows, and print the task's metrics with 95% confidence
intervals, calibration, a confusion matrix, and speed.

With --against, another model, or another form of the same model ("int8",
"openvino bfloat16", "tf"), runs on the same rows: how much better the first one
is, whether that could be chance (McNemar's exact test or a paired bootstrap),
and how many rows they answer differently."""
EXAMPLES = (
    ("a sentiment model on SST-2", "distil evaluate sst2-small data/sst2/dev.tsv"),
    ("is int8 as good?", "distil evaluate sst2-small data/sst2/dev.tsv --against int8"),
    (
        "on your own rows, also by length of text, with a report as an HTML page",
        "distil evaluate ./my-model reviews.csv --text-column review --slices length "
        "--report report.html",
    ),
    (
        "whole long reviews, in windows that overlap by 64 tokens",
        "distil evaluate ./reviews reviews.csv --text-column review --stride 64",
    ),
    (
        "questions that may have no answer, by the rules of SQuAD 2",
        "distil evaluate ./my-squad2 data/squad/dev-v2.0.json --handle-impossible-answer",
    ),
    (
        "sentence embeddings, on pairs with scores, for a program",
        "distil evaluate distilbert-base-uncased data/stsb/dev.csv --task sentence-embeddings "
        "--columns text=sentence1 text_pair=sentence2 label=score --json",
    ),
    (
        "several labels a text, each in a column of 0 and 1",
        "distil evaluate ./my-topics rows.csv --columns label=sport label=politics --threshold 0.4",
    ),
)

# What messages call an option by, that is called otherwise here.
ALIASES = {"doc_stride": "--stride"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    _output.add_name(parser)
    parser.add_argument("file", metavar="FILE", help=".csv, .tsv, .jsonl, .parquet, .conll, ...")
    parser.add_argument("--task", help="task to load the model for (its own)")
    _arguments.add_columns(parser, "text", "text_pair", "label")
    _arguments.add_other_columns(parser)
    parser.add_argument(
        "--against", metavar="OTHER", help="another model, or another form of this one: int8, ..."
    )
    _arguments.add_form(parser, dtype=None)
    _arguments.add_long_texts(parser)
    parser.add_argument(
        "--slices", nargs="+", default=[], metavar="NAME",
        help='also measure parts of the rows: by "length", or by columns',
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=float, metavar="P",
        help="of several labels a text, predict those with a probability above this (0.5)",
    )  # fmt: skip
    parser.add_argument("--rows", type=int, metavar="N", help="use the first N rows")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the resampling for intervals (0)"
    )
    parser.add_argument("--skip-bad-rows", action="store_true", help="count bad rows and skip them")
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="write a report with plots"
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE",
        help="write all answers: .csv, .jsonl or .parquet",
    )
    _output.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    from distil.evaluation import evaluate  # noqa: PLC0415 - after --help is out of the way

    with progress("evaluating") as tell:
        found = evaluate(
            arguments.name,
            arguments.file,
            task=arguments.task,
            against=arguments.against,
            framework=arguments.framework,
            engine=arguments.engine,
            dtype=arguments.dtype,
            columns=_arguments.every_column_of(arguments),
            threshold=arguments.threshold,
            slices=arguments.slices,
            seed=arguments.seed,
            max_rows=arguments.rows,
            skip_bad_rows=arguments.skip_bad_rows,
            report=arguments.report,
            predictions=arguments.predictions,
            progress=lambda rows: tell(rows, arguments.rows, f"{rows:,} rows"),
            revision=arguments.revision,
            **_arguments.options_for_long_texts(arguments, _task(arguments)),
        )
    if arguments.json:
        _output.print_json(found.to_dict())
    else:
        _print(found)
    return 0


def _task(arguments: argparse.Namespace) -> str:
    """The task that the model is loaded for, where an option is called by it."""
    from distil.common.config import DistilBertConfig  # noqa: PLC0415
    from distil.common.tasks import find_task, task_of_checkpoint  # noqa: PLC0415

    if arguments.stride is None or arguments.task == "retrieval":
        return ""
    if arguments.task is not None:
        return find_task(arguments.task).name
    name, revision = arguments.name, arguments.revision
    return task_of_checkpoint(DistilBertConfig.from_pretrained(name, revision=revision), name).name


def _print(found: Any) -> None:
    columns, rows = ["", "value", "95% interval"], []
    against = found.against
    if against is not None:
        columns += [against.model, "difference", "95% interval ", "p"]
    for name, one in found.metrics.items():
        row: list[Any] = [
            _output.text(name, GOOD if name == found.main else ""), f"{one.value:.4f}",
            f"{one.low:.4f} to {one.high:.4f}",
        ]  # fmt: skip
        if against is not None:
            gain = against.differences[name]
            row += [
                f"{against.metrics[name].value:.4f}", f"{gain.difference:+.4f}",
                f"{gain.low:+.4f} to {gain.high:+.4f}", f"{gain.p:.3g}",
            ]  # fmt: skip
        rows.append(row)
    skipped = f", {found.skipped:,} skipped" if found.skipped else ""
    title = f"{found.model}: {found.task}, {found.rows:,} rows{skipped}"
    _output.print_table(columns, rows, right=columns[1:], title=title)
    if against is not None:
        gain = against.differences[found.main]
        _output.print_line(
            f"{against.changed:,} rows are answered differently.  With this many rows, a "
            f"difference of {gain.detectable:.4f} in {found.main} would be detected "
            "four times in five.",
            FAINT,
        )
    if found.calibration is not None:
        one = found.calibration
        _output.print_line(
            f"calibration: ECE {one.ece:.4f}, Brier {one.brier:.4f}, NLL {one.nll:.4f}", FAINT
        )
    _output.print_line(
        f"{found.speed.tokens_per_second:,.0f} tokens/s; one row at a time: "
        f"{found.speed.p50:.1f} ms (p50), {found.speed.p99:.1f} ms (p99)",
        FAINT,
    )
    _print_confusion(found.confusion)
    _print_labels(found.labels)
    if found.slices:
        _output.print_table(
            ("by", "slice", "rows", found.main, "95% interval", "p"),
            [
                (one.by, one.value, f"{one.rows:,}", f"{one.metric.value:.4f}",
                 f"{one.metric.low:.4f} to {one.metric.high:.4f}",
                 _output.text(f"{one.p:.3g}", BAD if one.p < 0.05 else ""))
                for one in found.slices
            ],
            right=("rows", found.main, "95% interval", "p"),
            title="slices, each against all other rows",
        )  # fmt: skip


def _print_labels(labels: Any) -> None:
    if labels is None:
        return
    names = ("precision", "recall", "f1")
    columns = ("label", "rows", *names)
    _output.print_table(
        columns,
        [
            (label, f"{one.rows:,}", *(_with_interval(getattr(one, name)) for name in names))
            for label, one in labels.items()
        ],
        right=columns[1:],
        title="labels, each by itself",
    )


def _with_interval(one: Any) -> str:
    return f"{one.value:.4f} ({one.low:.4f} to {one.high:.4f})"


def _print_confusion(confusion: Any) -> None:
    if confusion is None:
        return
    labels = tuple(confusion)
    _output.print_table(
        ("label", *labels),
        [(right, *(f"{line[one]:,}" for one in labels)) for right, line in confusion.items()],
        right=labels,
        title="confusion matrix: expected labels down, predicted labels across",
    )
