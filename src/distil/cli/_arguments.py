"""Options that several commands have, declared once."""

from __future__ import annotations

import argparse
from typing import Any

from distil.errors import InputError

# Options for the columns of a row's fields: option, field, help.
_COLUMNS = (
    ("--text-column", "text", "column of the text, question or prompt"),
    ("--pair-column", "text_pair", "column of the second text"),
    ("--context-column", "context", "column of the context"),
    ("--choices-column", "choices", "column of the list of choices"),
    ("--label-column", "label", "column of the label (a name or a number)"),
)


def add_columns(parser: argparse.ArgumentParser, *fields: str) -> None:
    """The options that name columns.

    Args:
        parser: Of the command.
        *fields: The fields it reads.
    """
    for option, field, words in _COLUMNS:
        if field in fields:
            parser.add_argument(option, metavar="NAME", help=words)


def add_other_columns(parser: argparse.ArgumentParser) -> None:
    """The option for columns that have no option of their own."""
    parser.add_argument(
        "--columns", nargs="+", default=[], metavar="FIELD=NAME",
        help="columns of other fields: choices, words, tags, question, context, answers, ...; "
        "label=A label=B names a column of 0 and 1 for each of several labels",
    )  # fmt: skip


def columns_of(arguments: argparse.Namespace) -> dict[str, str]:
    """The columns that are named by an option of their own, by field."""
    found = {}
    for option, field, _ in _COLUMNS:
        column = getattr(arguments, option[2:].replace("-", "_"), None)
        if column is not None:
            found[field] = column
    return found


def every_column_of(arguments: argparse.Namespace) -> dict[str, str | list[str]]:
    """Likewise with --columns; a list where that names several for a field.

    Raises:
        InputError: What follows --columns is no FIELD=NAME.
    """
    named: dict[str, list[str]] = {}
    for assignment in arguments.columns:
        field, equals, name = assignment.partition("=")
        if not equals:
            raise InputError("not FIELD=NAME", found=repr(assignment), where="--columns")
        named.setdefault(field, []).append(name)
    others = {field: some if some[1:] else some[0] for field, some in named.items()}
    return {**columns_of(arguments), **others}


def add_form(
    parser: argparse.ArgumentParser, *frameworks: str, dtype: str | None = "float32"
) -> None:
    """The options for framework, engine and type.

    Args:
        parser: Of the command.
        *frameworks: Further values of --framework, besides "pt" and "tf".
        dtype: The default; None leaves it to the function.
    """
    both = ", or both compared" if "both" in frameworks else ""
    parser.add_argument(
        "--framework", choices=("pt", "tf", *frameworks), help=f"PyTorch, TensorFlow{both}"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "int8"),
        default=dtype,
        help="type to compute in (float32)",
    )
    parser.add_argument(
        "--engine",
        choices=("packed", "openvino", "onnxruntime"),
        help="inference engine (packed: the framework itself)",
    )


def add_long_texts(parser: argparse.ArgumentParser) -> None:
    """The options for long texts, and for questions that may have no answer."""
    parser.add_argument(
        "--stride",
        type=int,
        metavar="N",
        help="read long texts in windows that share N tokens, instead of cutting them",
    )
    parser.add_argument(
        "--handle-impossible-answer",
        action="store_true",
        default=None,
        help="a question may have no answer, as in SQuAD 2",
    )
    parser.add_argument(
        "--null-score-diff-threshold",
        type=float,
        metavar="T",
        help="how far the log odds of no answer must be above 0 (0)",
    )


def options_for_long_texts(arguments: argparse.Namespace, task: str) -> dict[str, Any]:
    """What of this was given, by the names that the pipeline of a task knows."""
    stride = "doc_stride" if task == "question-answering" else "stride"
    given = {
        stride: arguments.stride,
        "handle_impossible_answer": arguments.handle_impossible_answer,
        "null_score_diff_threshold": arguments.null_score_diff_threshold,
    }
    return {name: value for name, value in given.items() if value is not None}
