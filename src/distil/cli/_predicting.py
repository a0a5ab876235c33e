"""`distil predict` without a folder: rows one after the other, and their results."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from contextlib import ExitStack, closing
from typing import Any

from distil.cli import _output
from distil.cli._interrupts import interrupts
from distil.cli._progress import progress
from distil.cli._results import print_results
from distil.cli._results_file import ResultsFile
from distil.cli._rows import Rows
from distil.errors import InputError
from distil.prediction.rows import describe
from distil.reading import RowFile

# Rows per table on a terminal.
_ROWS_OF_A_TABLE = 200


def predict_rows(
    arguments: Namespace, pipe: Any, file: RowFile | None, output: ResultsFile | None
) -> list[dict[str, Any]]:
    """Predict all rows, and write or print the results as they come.

    Args:
        arguments: Of the command.
        pipe: The pipeline.
        file: Of rows that follow the texts of the command line.
        output: The file for the results; None for the terminal.

    Returns:
        Results that are still to be printed as JSON.

    Raises:
        InputError: A row is bad, or all are skipped; or a result cannot be written.
        Interrupted: By Ctrl-C or SIGTERM.
    """
    source = Rows(pipe.task, arguments, file)

    def report(number: int, problem: InputError) -> None:
        _output.print_warning(f"skipped: {problem}")

    results: list[dict[str, Any]] = []
    rows, bad = 0, 0
    with ExitStack() as stack:
        stack.enter_context(interrupts())
        if file is not None:
            stack.callback(file.close)
        if output is not None:
            stack.enter_context(closing(output))
        quiet = output is not None or arguments.json or not sys.stdout.isatty()
        tell = stack.enter_context(progress("predicting", wanted=quiet))
        if output is None and not arguments.json:
            # Print the results so far even if a later row is bad.
            stack.callback(lambda: print_results(pipe.task, results) if results else None)
        stream = pipe.stream(
            source, place=source.place, skip_bad_rows=arguments.skip_bad_rows, on_bad_row=report
        )
        for number, result in stream:
            row = source.next_predicted()
            rows += 1
            tell(source.position, source.total, f"{rows:,} rows")
            if result is None:
                bad += 1
                continue
            line = {"row": source.count(number), **source.kept, **describe(row, result)}
            document = _to_json(line, source.place(number))
            if output is not None:
                output.write(document, source.place(number))
                continue
            results.append(line)
            if not arguments.json and len(results) == _ROWS_OF_A_TABLE:
                print_results(pipe.task, results)
                results.clear()
    if rows == bad:
        raise InputError(
            "every row was skipped" if rows else "there is no text",
            expected="at least one", where=None if file is None else file.where,
        )  # fmt: skip
    if bad:
        _output.print_warning(f"{bad} of {rows} rows were skipped")
    return results if arguments.json else []


def _to_json(line: dict[str, Any], place: str) -> str:
    try:
        return json.dumps(line, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise InputError(
            "the model's scores are not finite", where=place,
            fix="check the checkpoint's weights: distil info NAME",
        ) from None  # fmt: skip
