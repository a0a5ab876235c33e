"""`distil convert`: a checkpoint in another format."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

from distil.cli import _output
from distil.cli._output import BAD, FAINT, GOOD, UNSURE
from distil.cli._progress import progress
from distil.errors import CheckpointWarning, listed

DESCRIPTION = """\
Write a checkpoint (config.json, weights and tokenizer) to a folder in another
format.  Any format is read, with or without a head, sharded or not; a BERT
becomes a DistilBERT.  No framework is needed (except for a .bin), and no more
memory than the largest weight takes.

The result is read back and compared with the source, bit for bit, before it
replaces anything.  Missing weights, or weights that are not finite, are an error.
Exit status: 0 on success; 1 if --check finds that the frameworks disagree on the
result."""
EXAMPLES = (
    ("for TensorFlow, as tf_model.h5", "distil convert ./my-model my-model-tf --to tf"),
    (
        "a BERT from the hub as a DistilBERT, run in both frameworks afterwards",
        "distil convert sentence-transformers/all-MiniLM-L6-v2 mini-lm --check",
    ),
    (
        "a quarter of the size, with matrices in int8",
        "distil convert ./my-model my-model-int8 --dtype int8",
    ),
    (
        "the encoder alone, half as large, in shards, for a program",
        "distil convert distilbert/distilbert-base-uncased encoder --task base "
        "--dtype bfloat16 --max-shard-size 100MB --json",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "source", metavar="SOURCE", help="a folder, a bundled checkpoint, or a name on the hub"
    )
    parser.add_argument("target", metavar="TARGET", help="the folder to write")
    parser.add_argument(
        "--to",
        default="pt",
        choices=("pt", "tf", "tf-safetensors", "bin", "safetensors", "h5"),
        help="pt: model.safetensors (the default, also called safetensors); tf: tf_model.h5 "
        "(also called h5); tf-safetensors: model.safetensors with TensorFlow's names; "
        "bin: pytorch_model.bin",
    )
    parser.add_argument(
        "--task", help="task to convert the model for (its own); base drops the head"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16", "int8"),
        help="type of the weights (default: as stored, and float32 for int8)",
    )
    parser.add_argument(
        "--max-shard-size", metavar="SIZE", help="largest size of a file, such as 500MB"
    )
    parser.add_argument("--force", action="store_true", help="replace the checkpoint in TARGET")
    parser.add_argument(
        "--check", action="store_true", help="run the result in both frameworks and compare"
    )
    parser.add_argument("--revision", help="branch, tag or commit on the hub")
    _output.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; return 1 if the frameworks disagree on the result."""
    from distil.conversion import convert  # noqa: PLC0415 - after --help is out of the way

    if arguments.check:
        _output.start_tensorflow()
    with progress("writing, then reading back") as tell, warnings.catch_warnings():
        # What is left out is printed anyway.
        warnings.simplefilter("ignore", CheckpointWarning)
        conversion = convert(
            arguments.source,
            arguments.target,
            arguments.to,
            task=arguments.task,
            dtype=arguments.dtype,
            max_shard_size=arguments.max_shard_size,
            force=arguments.force,
            check=arguments.check,
            progress=lambda done, total: tell(done, total, ""),
            revision=arguments.revision,
        )
    if arguments.json:
        _output.print_json(conversion.to_dict())
    else:
        _print(conversion)
    return 0 if conversion.agrees else 1


def _print(conversion: Any) -> None:
    dtypes = ", ".join(f"{dtype} ({count})" for dtype, count in conversion.dtypes.items())
    changes = (
        (conversion.renamed, "renamed"),
        (conversion.transposed, "transposed"),
        (conversion.cast, "cast"),
    )
    _output.print_fields(
        {
            "from": f"{conversion.source} ({conversion.source_format})",
            "to": f"{conversion.target} ({conversion.format})",
            "task": conversion.task,
            "tensors": f"{conversion.tensors}: {dtypes}",
            "changed": ", ".join(f"{count} {what}" for count, what in changes if count)
            or "nothing",
            "folded": _shown(conversion.folded, " into the positions"),
            "left out": _shown(conversion.dropped, style=UNSURE),
            "not copied": _shown(conversion.not_copied, style=FAINT),
        }
    )
    _output.print_line()
    rows = [(file.name, _output.size(file.bytes)) for file in conversion.files]
    _output.print_table(("file", "size"), rows, right=("size",))
    _output.print_line()
    cast = " cast to the new type" if conversion.cast else ""
    _output.print_line(f"Read back: the same as the source{cast}, bit for bit.", GOOD)
    comparison = conversion.comparison
    if comparison is not None:
        verb, style = ("agree", GOOD) if comparison.agrees else ("do NOT agree", BAD)
        worst = max(finding.relative for finding in comparison.findings)
        _output.print_line(
            f"PyTorch and TensorFlow {verb} on it: largest relative difference {worst:.1e}.", style
        )


def _shown(names: tuple[str, ...], ending: str = "", *, style: str = "") -> Any:
    """The first few names; None if there are none."""
    return _output.text(listed(names) + ending, style) if names else None
