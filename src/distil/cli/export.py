"""`distil export`: a model in a form that devices and servers run, verified by its runtime."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from distil.cli import _output
from distil.cli._interrupts import interrupts
from distil.cli._output import BAD, FAINT, GOOD, UNSURE
from distil.errors import ExportError, InputError
from distil.reading import RowFile, rows_of, table_of, to_input
from distil.storage.formats import CONFIG_FILE
from distil.storage.hub import bundled

DESCRIPTION = """\
Write a model, its configuration and its tokenizer to a folder, in a form that
other programs run.  Then run it with that form's own runtime, in a separate
process, on batches of many sizes and on texts, and compare with the plain model
in float64.  The findings are printed, and kept in export.json.

Forms:
  onnx        ONNX Runtime, OpenVINO, onnxruntime-web, and transformers.js, which
              loads the folder as it is (float32, float16, int8)
  openvino    OpenVINO's IR (float32, float16, int8)
  pt2         a program of torch.export (float32, float16)
  savedmodel  TensorFlow Serving (float32, float16)
  litert      LiteRT, once TensorFlow Lite (float32, float16, int8)
  executorch  ExecuTorch with XNNPACK (float32, int8)
  web         a page for any static host, which runs the model in the browser,
              offline too (float32, float16, int8)

A page needs no NAME: without one it runs the bundled sentiment model, or with
--task sentence-embeddings the bundled sentence encoder.

Exit status: 0 if the export gives the plain model's results, as closely as its type
allows; 1 if it does not, and then it is deleted."""
EXAMPLES = (
    ("for ONNX Runtime", "distil export sst2-small sentiment-onnx"),
    (
        "a quarter as large, verified on your texts",
        "distil export sst2-small sentiment-int8 --to onnx --dtype int8 --texts reviews.txt",
    ),
    (
        "a page that runs it in the browser: serve the folder, say with python -m http.server",
        "distil export sst2-small site --to web",
    ),
    (
        "a page that finds the nearest sentences, with the bundled encoder",
        "distil export nearest --to web --task sentence-embeddings",
    ),
    (
        "sentence embeddings, pooled and of unit length, for a program",
        "distil export sentence-transformers/all-MiniLM-L6-v2 embedder "
        "--task sentence-embeddings --json",
    ),
)

_PAGE = "web"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    _output.add_name(parser, optional=True)
    parser.add_argument("folder", metavar="FOLDER", help="the folder to write")
    parser.add_argument("--to", default="onnx", metavar="FORM", help="see above (onnx)")
    parser.add_argument("--dtype", default="float32", help="float32, float16 or int8 (float32)")
    parser.add_argument(
        "--task",
        help="task to export it for (its own); sentence-embeddings gives a vector per text",
    )
    parser.add_argument(
        "--pooling", help="for sentence embeddings: mean, cls, max or mean_sqrt_len (mean)"
    )
    parser.add_argument(
        "--texts", type=Path, metavar="FILE",
        help="texts to verify it on: lines, .jsonl, .csv, .tsv, ... (a sample)",
    )  # fmt: skip
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE",
        help="typical texts, to calibrate int8 (a sample)",
    )  # fmt: skip
    parser.add_argument(
        "--text-column", metavar="NAME", help="column of the texts in these files (text)"
    )
    parser.add_argument(
        "--no-check", action="store_true", help="do not verify it; export.json says so"
    )
    _output.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; return 1 if the export falls short."""
    from distil.exporting import FORMS, export  # noqa: PLC0415 - after --help is out of the way

    if arguments.name is None and (arguments.to != _PAGE or _names_a_model(arguments.folder)):
        raise InputError(
            "one of the model and the folder is missing", expected="NAME FOLDER",
            found=arguments.folder, fix=f"name both; with --to {_PAGE} a new folder is enough",
        )  # fmt: skip
    texts, calibration = (
        None if path is None else _texts(path, arguments.text_column)
        for path in (arguments.texts, arguments.calibration)
    )
    form = FORMS.get(arguments.to)
    if form is not None and form.framework == "tf":
        _output.start_tensorflow()
    try:
        with interrupts(), _output.doing() as progress:
            exported = export(
                arguments.name,
                arguments.folder,
                arguments.to,
                dtype=arguments.dtype,
                task=arguments.task,
                pooling=arguments.pooling,
                calibration=calibration,
                texts=texts,
                check=not arguments.no_check,
                progress=progress,
                revision=arguments.revision,
            )
    except ExportError as error:
        if arguments.json:
            _output.print_json({"error": str(error), **_table(error.exported)})
        elif error.exported is not None:
            _print(error.exported)
        _output.print_error(_output.as_command(str(error), arguments.options))
        return 1
    if arguments.json:
        _output.print_json(exported.to_dict())
    else:
        _print(exported)
    return 0


def _names_a_model(folder: str) -> bool:
    """Whether what stands alone is more likely a model whose folder was forgotten."""
    path = Path(folder)
    on_hub = path.name != folder and not path.is_absolute() and not path.parent.is_dir()
    return on_hub or folder in bundled() or (path / CONFIG_FILE).is_file()


def _table(exported: Any) -> dict[str, Any]:
    return {} if exported is None else exported.to_dict()


def _texts(path: Path, column: str | None) -> list[Any]:
    """All texts of a file."""
    with closing(RowFile(path)) as file:
        table = table_of(file)
        return [to_input(row, {"text": column}, table=table) for row in rows_of(file)]


def _print(exported: Any) -> None:
    pooled = f", pooled by {exported.pooling}" if exported.pooling else ""
    title = f"{exported.name}: {exported.task}{pooled}, {exported.form} in {exported.dtype}"
    files = [(name, _output.size(one["bytes"])) for name, one in exported.files.items()]
    _output.print_table(("file", "size"), files, right=("size",), title=title)
    _output.print_line()
    proof = exported.proof
    if proof is None:
        _output.print_line("Nothing was proven.", UNSURE)
        return
    columns = ("batch", "rows", "difference", "relative", "mean", "labels", "seconds")
    rows = [_row(one, one.excesses(proof.limits)) for one in proof.findings]
    _output.print_table(columns, rows, right=columns[1:])
    _output.print_line()
    if proof.holds:
        _output.print_line(
            f"Proven: {proof.runtime} gives what the plain model gives in float64.", GOOD
        )
    _output.print_line(f"written in {exported.seconds:.1f} s", FAINT)


def _row(finding: Any, excesses: Sequence[str]) -> tuple[Any, ...]:
    """A line of the proof's table, with what is beyond its limit in red."""
    labels = "" if finding.labels is None else f"{finding.labels:.2%}"
    judged = {
        "largest": f"{finding.largest:.1e}", "typical": f"{finding.typical:.1e}", "labels": labels,
    }  # fmt: skip
    marked = (
        _output.text(value, BAD if name in excesses else "") for name, value in judged.items()
    )
    return (
        finding.name, f"{finding.rows:,}", f"{finding.difference:.1e}", *marked,
        f"{finding.seconds:.3f}",
    )  # fmt: skip
