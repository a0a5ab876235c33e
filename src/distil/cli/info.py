"""`distil info`: what a checkpoint holds, and what it loads for."""

from __future__ import annotations

import argparse
from typing import Any

from distil.cli import _output
from distil.cli._output import BAD, FAINT, GOOD, UNSURE
from distil.errors import listed

DESCRIPTION = """\
Show a checkpoint's architecture, parameters, files, tokenizer and labels, and
for each task whether it loads as it is, loads with a new head, or cannot be
loaded, and why.  No model is built, and no framework is needed (except to read
a .bin)."""
EXAMPLES = (
    ("a model on the hub", "distil info distilbert/distilbert-base-uncased"),
    ("a folder, for a program", "distil info ./my-model --json"),
)

_STYLES = {"loads": GOOD, "new head": UNSURE, "no": BAD}
_MOST_LABELS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    _output.add_name(parser)
    _output.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    from distil.inspection import info  # noqa: PLC0415 - after --help is out of the way

    found = info(arguments.name, revision=arguments.revision)
    if arguments.json:
        _output.print_json(found.to_dict())
    else:
        _print(found)
    return 0


def _print(found: Any) -> None:
    from distil.frameworks import title_of  # noqa: PLC0415 - after --help is out of the way

    sizes = found.sizes
    folded = " (folded into a DistilBERT when loaded)" if found.model_type == "bert" else ""
    _output.print_fields(
        {
            "checkpoint": found.name,
            "folder": found.folder if found.folder != found.name else None,
            "class": ", ".join(found.architectures) or "not given",
            "task": found.task or "unknown; name one with task= when loading",
            "model type": found.model_type + folded,
            "layers": f"{sizes['n_layers']} of {sizes['n_heads']} heads, dim {sizes['dim']}, "
            f"hidden {sizes['hidden_dim']}, {sizes['activation']}",
            "positions": f"{sizes['max_position_embeddings']}, "
            + ("sinusoidal" if sizes["sinusoidal_pos_embds"] else "learned"),
            "labels": _labels(found),
        }
    )
    _output.print_line()
    _print_parameters(found.parameters)
    _output.print_line()
    _print_weights(found.weights)
    _print_tokenizer(found, sizes["vocab_size"])
    columns = ("task", *map(title_of, found.frameworks), "why")
    rows = [
        [
            use.task + (" *" if use.own else ""),
            *(_output.text(status, _STYLES[status]) for status in use.frameworks.values()),
            _output.text(use.reason, FAINT),
        ]
        for use in found.uses
    ]
    _output.print_table(columns, rows, title="tasks (* is the checkpoint's own)")
    _output.print_fields(
        {
            title_of(name): ", ".join(f"{package} {number}" for package, number in versions.items())
            or _output.text(f'not installed: pip install "distil[{name}]"', UNSURE)
            for name, versions in found.frameworks.items()
        },
        title="frameworks",
    )


def _labels(found: Any) -> str | None:
    if found.task == "base" or set(found.labels.values()) == {"LABEL_0", "LABEL_1"}:
        return None
    kind = f" ({found.problem_type})" if found.problem_type else ""
    return f"{len(found.labels)}: {listed(found.labels.values(), _MOST_LABELS)}{kind}"


def _print_parameters(parameters: Any) -> None:
    rows = [
        (part, f"{count:,}", f"{count / parameters.total:.1%}")
        for part, count in (
            ("embeddings", parameters.embeddings),
            ("layers", parameters.layers),
            ("head", parameters.head),
            ("total", parameters.total),
        )
    ]
    _output.print_table(("parameters", "", " "), rows, right=("", " "))


def _print_weights(weights: Any) -> None:
    rows = [
        (
            _output.text(files.format, GOOD if files.used and not files.problem else ""),
            _files(files.files),
            _output.size(files.bytes),
            files.tensors,
            _output.text(files.problem, BAD)
            if files.problem
            else ", ".join(f"{dtype} ({count})" for dtype, count in files.dtypes.items()),
            "used" if files.used else None,
        )
        for files in weights
    ]
    columns = ("weights", "file", "size", "tensors", "types", "")
    _output.print_table(columns, rows, right=("size", "tensors"))


def _files(files: tuple[str, ...]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more shards"


def _print_tokenizer(found: Any, model_size: int) -> None:
    tokenizer = found.tokenizer
    problem = found.tokenizer_problem and _output.text(found.tokenizer_problem, BAD)
    if tokenizer is None:
        _output.print_fields({"problem": problem}, title="tokenizer")
        return
    options = (
        name if value is True else f"{name}={value}"
        for name, value in tokenizer.options.items()
        if value not in (None, "right")
    )
    special = ", ".join(f"{token} {number}" for token, number in tokenizer.special_tokens.items())
    _output.print_fields(
        {
            "kind": tokenizer.kind,
            "vocabulary": f"{tokenizer.vocab_size:,} tokens (the model has {model_size:,})",
            "longest row": tokenizer.max_length or "no limit",
            "special": special,
            "options": ", ".join(options),
            "files": ", ".join(tokenizer.files),
            "problem": problem,
        },
        title="tokenizer",
    )
