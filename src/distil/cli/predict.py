"""`distil predict`: predictions for texts and files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from distil.cli import _arguments, _output
from distil.cli._output import BAD, GOOD
from distil.cli._parts import goes_into_folder, predict_parts
from distil.cli._results_file import ResultsFile
from distil.common.sentences import POOLINGS
from distil.errors import InputError, Interrupted
from distil.reading import FORMATS, RowFile
from distil.storage.hub import can_be_name

DESCRIPTION = """\
Load a model and print its predictions for texts: labels, named entities,
answers, words for [MASK], choices or, for a model without a head, sentence
embeddings and their similarities.

Without NAME, a bundled model is used: the sentiment model, or with --task
sentence-embeddings the sentence encoder.  The first argument is taken as a model
if it could be a folder or a hub name, and as a text otherwise.  If your text could
be a name, as a single word could, name the model with --model.

Texts come from the command line, from a file, or from standard input: one text
per line (blank lines are ignored), .jsonl (strings, or objects with named
fields), .csv or .tsv (with a header row), .parquet, or SQuAD's .json; all but
.parquet also as .gz.  Rows are streamed, so a file may be of any length.  With
--output FILE each result is written immediately, as a line of JSON with its row
number (from 1, in every format), and is kept if a later row fails.

With --output FOLDER/ a file, a folder of files or a glob pattern is processed
part by part into parquet files with the input's columns, the results, and
"error" for rows that failed.  If it is killed, the same command resumes.
--shard 3/16 processes the third of sixteen shards, for example on another machine.

Exit status: 0 if every row was predicted, or with --skip-bad-rows at least one;
1 if the scores of the two frameworks differ by more than 1e-4 (with --framework
both); 2 if a row is invalid, or with --skip-bad-rows all are."""
EXAMPLES = (
    ("sentiment", 'distil predict "A joy from start to end."'),
    (
        "the same with another model",
        "distil predict distilbert/distilbert-base-uncased-finetuned-sst-2-english "
        '"A joy from start to end." "Two hours I will not get back."',
    ),
    (
        "every line of a file in both frameworks, as JSON",
        "distil predict distilbert/distilbert-base-uncased-finetuned-sst-2-english "
        "--file reviews.txt --framework both --json",
    ),
    (
        "a table of any length, into a file of results",
        "distil predict distilbert/distilbert-base-uncased-finetuned-sst-2-english "
        "--file reviews.csv --text-column review --output results.jsonl --skip-bad-rows",
    ),
    (
        "parquet files of any size, into a folder; run it again to resume",
        "distil predict distilbert/distilbert-base-uncased-finetuned-sst-2-english "
        "--file 'lake/*.parquet' --text-column review --prefix predicted_ --output labelled/ "
        "--shard 1/16",
    ),
    (
        "with some of the input's columns beside the results",
        "distil predict distilbert/distilbert-base-uncased-finetuned-sst-2-english "
        "--file reviews.csv --text-column review --keep id,label --output results.jsonl",
    ),
    (
        "words for [MASK]",
        'distil predict distilbert/distilbert-base-uncased "Paris is the [MASK] of France." '
        "--top-k 3",
    ),
    (
        "an answer",
        "distil predict distilbert/distilbert-base-cased-distilled-squad "
        '"Who built it?" --context "The bridge was built by John Rennie in 1831."',
    ),
    (
        "an answer, or that there is none, from a model trained on SQuAD 2",
        "distil predict ./my-squad2 "
        '"Who built it?" --context "The bridge is of granite." --handle-impossible-answer',
    ),
    (
        "names of people and places",
        "distil predict elastic/distilbert-base-uncased-finetuned-conll03-english "
        '"Ada Lovelace was born in London."',
    ),
    (
        "multiple choice",
        'distil predict ./my-choices "The kettle boils, so" --choices "it is switched off." '
        '"it starts to rain."',
    ),
    (
        "sentence embeddings, and how similar the sentences are",
        'distil predict --task sentence-embeddings "A cat sleeps." "A kitten naps."',
    ),
    (
        "the same with another model",
        "distil predict sentence-transformers/all-MiniLM-L6-v2 "
        '"A cat sleeps." "A kitten naps." "Stocks fell."',
    ),
)

# Options whose names on the command line differ from those in messages.
ALIASES = {"aggregation_strategy": "--aggregation", "doc_stride": "--stride"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    _output.add_name(parser, optional=True)
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text, question or prompt")
    parser.add_argument("--task", help="task to load the model for (its own)")
    _add_input(parser)
    _add_model(parser)
    _add_options(parser)
    parser.add_argument(
        "--output",
        metavar="FILE|FOLDER/",
        help="write the results to this file as JSON lines, or into this folder as parquet",
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file given by --output")
    _add_parts(parser)
    _output.add_json(parser)


def _add_parts(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_argument_group("with --output FOLDER/")
    parts.add_argument("--shard", metavar="K/N", help="process only the Kth of N shards")
    parts.add_argument("--ray", metavar="ADDRESS", help="run on the workers of this Ray cluster")
    parts.add_argument("--prefix", metavar="WORD", help="prefix for the names of result columns")
    parts.add_argument("--part-rows", type=int, metavar="N", help="rows per output file (16384)")


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", help="read texts from a file; - means stdin")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        type=lambda name: "text" if name == "lines" else name,
        help="format of the file (default: by its suffix)",
    )
    _arguments.add_columns(parser, "text", "text_pair", "context", "choices")
    parser.add_argument(
        "--keep", metavar="COLUMN,...", help="input columns to copy into each result"
    )
    parser.add_argument(
        "--skip-bad-rows",
        action="store_true",
        help="report and skip rows that are empty or cannot be read",
    )
    parser.add_argument(
        "--pair",
        nargs="+",
        metavar="TEXT",
        help="second texts for a sequence classifier: one for each text, or one for all",
    )
    parser.add_argument(
        "--context",
        nargs="+",
        metavar="TEXT",
        help="texts that contain the answers: one for each question, or one for all",
    )
    parser.add_argument("--choices", nargs="+", metavar="TEXT", help="choices for each prompt")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="the model, instead of NAME; every other argument is then a text",
    )
    _arguments.add_form(parser, "both")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of an engine (one per core)"
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--top-k",
        type=int,
        metavar="K",
        help="number of labels or words (5), answers (1) or choices to print",
    )
    parser.add_argument(
        "--aggregation",
        choices=("none", "simple", "first", "average", "max"),
        help="how labels of tokens become entities (average)",
    )
    _arguments.add_long_texts(parser)
    parser.add_argument(
        "--pooling", choices=POOLINGS, help="pooling of embeddings (the model's own, or mean)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 1 if both frameworks ran and disagree."""
    from distil.cli._predicting import predict_rows  # noqa: PLC0415 - after --help
    from distil.prediction import (  # noqa: PLC0415
        Prediction,
        difference_of,
        frameworks_of,
        make_pipeline,
    )

    _tell_name_from_texts(arguments)
    file = output = None
    into_folder = goes_into_folder(arguments)
    if not into_folder:
        file = _file(arguments)
    if arguments.output is not None and not into_folder:
        source = None if file is None or file.where == "stdin" else Path(file.where)
        output = ResultsFile(Path(arguments.output), source, force=arguments.force)
    if arguments.keep is not None and (file is None or not (arguments.json or output)):
        raise InputError(
            "--keep needs a file as input and JSON as output", where="--keep",
            expected="--file FILE, and --output FILE or --json",
        )  # fmt: skip
    if _needs_tensorflow(arguments):
        _output.start_tensorflow()
    pipe = make_pipeline(
        arguments.name,
        task=arguments.task,
        framework=arguments.framework,
        dtype=arguments.dtype,
        engine=arguments.engine,
        threads=arguments.threads,
        revision=arguments.revision,
        top_k=arguments.top_k,
    )
    options = _options(arguments, pipe)
    pipe.set_options(**options)
    if into_folder:
        return predict_parts(arguments, pipe, options)
    try:
        kept = predict_rows(arguments, pipe, file, output)
    except Interrupted as interrupt:
        if output is None or not output.written:
            raise
        raise Interrupted(
            interrupt.number,
            f"interrupted; the first {output.written:,} results are in {arguments.output}, up to "
            f"{output.last}: continue with the rows after it",
        ) from None
    prediction = Prediction(
        task=pipe.task,
        frameworks=frameworks_of(pipe),
        results=tuple(kept),
        difference=difference_of(pipe),
    )
    if arguments.json:
        _output.print_json(prediction.to_dict())
    else:
        _print_difference(prediction)
    return 0 if prediction.agrees else 1


def _tell_name_from_texts(arguments: argparse.Namespace) -> None:
    """Set `name` to the model, None for the bundled one, and `texts` to all texts."""
    first = arguments.name
    if first is not None and (arguments.model is not None or not can_be_name(first)):
        arguments.texts.insert(0, first)
        arguments.name = None
    arguments.name = arguments.model or arguments.name


def _file(arguments: argparse.Namespace) -> RowFile | None:
    """The input file, if there is one."""
    if arguments.file is not None:
        return RowFile(arguments.file, arguments.format)
    if not arguments.texts and not sys.stdin.isatty():
        return RowFile(None, arguments.format)
    if not arguments.texts:
        fix = "add texts or --file FILE, or pipe texts in, one a line"
        if arguments.name is not None and arguments.model is None:
            fix += f"; if {arguments.name!r} is the text, name the model with --model"
        raise InputError("no texts given", fix=fix)
    return None


def _needs_tensorflow(arguments: argparse.Namespace) -> bool:
    from distil.frameworks import find_framework  # noqa: PLC0415

    if arguments.engine not in (None, "packed"):
        return False
    return arguments.framework == "both" or find_framework(arguments.framework) == "tf"


def _options(arguments: argparse.Namespace, pipe: Any) -> dict[str, Any]:
    """Options under the names that the pipeline gives them."""
    given = {"aggregation_strategy": arguments.aggregation, "pooling": arguments.pooling}
    if "aggregation_strategy" in vars(pipe.options) and arguments.aggregation is None:
        given["aggregation_strategy"] = "average"
    return {
        **{name: value for name, value in given.items() if value is not None},
        **_arguments.options_for_long_texts(arguments, pipe.task),
    }


def _print_difference(prediction: Any) -> None:
    if prediction.difference is not None:
        verb, style = ("agree", GOOD) if prediction.agrees else ("do NOT agree", BAD)
        _output.print_line()
        _output.print_line(
            f"PyTorch and TensorFlow {verb}: largest difference {prediction.difference:.1e}.",
            style,
        )
