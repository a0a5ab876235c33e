"""`evaluate`: a model's metrics on labelled rows, with confidence intervals.

    found = distil.evaluate("my-model", "dev.tsv", slices=("length",))
    found.metrics["accuracy"]                    # Estimate(value=0.884, low=0.861, high=0.904)

Rows are streamed through the task's pipeline and judged one by one; only a few numbers about each
are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice, tee
from pathlib import Path
from sys import maxsize
from typing import Any

from distil.common.labels import BINARY
from distil.common.rules import PROBABILITY, as_list, as_table
from distil.common.tasks import find_task
from distil.errors import InputError, not_installed, shown
from distil.evaluation.findings import Findings
from distil.evaluation.judges import Asked, Column, Judge, judge_for
from distil.evaluation.predictions import open_predictions
from distil.evaluation.result import Against, Evaluation, JudgedRow, LabelFigures
from distil.evaluation.speed import Counted, measure
from distil.measures.statistics import Difference, Estimate
from distil.measures.table import Table, estimates
from distil.pipelines import pipeline
from distil.pipelines.base import Pipeline
from distil.pipelines.checks import check_count, check_unused
from distil.reading import Row, rows_from
from distil.storage.paths import is_file, path_of

__all__ = [
    "Against", "Difference", "Estimate", "Evaluation", "JudgedRow", "LabelFigures", "evaluate",
]  # fmt: skip

_RETRIEVAL = "retrieval"

# Words that name another form of the evaluated model, rather than another model.
_FORMS = {
    "pt": "framework", "tf": "framework", "packed": "engine", "openvino": "engine",
    "onnxruntime": "engine", "float32": "dtype", "bfloat16": "dtype", "int8": "dtype",
}  # fmt: skip


def evaluate(
    model: str | Path | Pipeline,
    data: Any,
    *,
    task: str | None = None,
    against: str | Path | Pipeline | None = None,
    framework: str | None = None,
    engine: str | None = None,
    dtype: Any = None,
    columns: Mapping[str, Column] | None = None,
    threshold: float | None = None,
    slices: Sequence[str] = (),
    seed: int = 0,
    max_rows: int | None = None,
    skip_bad_rows: bool = False,
    report: str | Path | None = None,
    predictions: str | Path | None = None,
    progress: Callable[[int], None] = lambda rows: None,
    **options: Any,
) -> Evaluation:
    """Measure a model on labelled rows.

    Args:
        model: A name as in `distil.load`, or a pipeline.
        data: A file of rows (see `distil.reading`), a list of dicts, a pandas or polars frame, an
            Arrow table or a data set of the package `datasets`.
        task: As in `distil.pipeline`.  "sentence-embeddings" correlates the cosine of each pair
            with its score; "retrieval" searches for the second text of each pair by the first.
        against: A second model to compare with; or another form of the same model, named by
            framework, engine or type: "int8", "openvino bfloat16".
        framework: As in `distil.pipeline`, like `engine`, `dtype` and `options`.
        engine: As in `distil.pipeline`.
        dtype: As in `distil.pipeline`; None means "float32".
        columns: Names of columns in the data, by field, where they differ from the field's:
            "text", "text_pair", "label", "prompt", "choices", "words", "tags", "question",
            "context", "answers", "is_impossible".  Where a text may have several labels, "label"
            may be a list of columns of 0 and 1, one per label.
        threshold: For models that give a text several labels: those whose probability is above it
            are predicted; None means 0.5.
        slices: "length" or names of columns; the metric is also given for each group of rows.
        seed: Of the resamples for intervals.
        max_rows: Read at most so many rows.
        skip_bad_rows: Count and skip rows that cannot be read or answered.
        report: An HTML file to write a report to.
        predictions: A .csv, .jsonl or .parquet file to write the model's answers to.
        progress: Called with the number of rows judged so far.
        **options: As in `distil.pipeline`, such as `stride=32`.  With
            `handle_impossible_answer=True` answers are judged by the rules of SQuAD 2.

    Raises:
        InputError: There are no rows, a row is bad, a column is missing, the two models have
            different labels, or an output file would replace the rows.
        FrameworkError: A package is missing: metrics need the extra "train".
        DistilError: The model cannot be loaded.
    """
    check_count(seed, "seed", least=0)
    if max_rows is not None:
        check_count(max_rows, "max_rows", least=0)
        max_rows = min(max_rows, maxsize)
    columns = as_table({} if columns is None else columns, "columns")
    slices = as_list(slices, "slices")
    page = None if report is None else path_of(report, "report")
    rows_file = None if predictions is None else path_of(predictions, "predictions")
    _check_output(data, {"report": page, "predictions": rows_file})
    if threshold is not None and not PROBABILITY.holds(threshold):
        raise InputError(
            "threshold is not valid", expected=PROBABILITY.words, found=shown(threshold),
            where="threshold",
        )  # fmt: skip
    retrieval = isinstance(task, str) and task.lower() == _RETRIEVAL
    chosen = "sentence-embeddings" if retrieval else task
    form = {"framework": framework, "engine": engine, "dtype": dtype or "float32"}
    if isinstance(model, Pipeline):
        _check_unused(
            {"framework": framework, "engine": engine, "dtype": dtype} | options, chosen, model
        )
    first = _pipeline(model, chosen, form | options)
    second = None if against is None else _other(against, model, first, form, options)
    judged_as = _RETRIEVAL if retrieval else first.task
    judge = judge_for(
        judged_as, first.model.config, columns, threshold=threshold, options=first.options
    )
    if second is not None and judge.has_classes:
        _check_labels(first, second)
    _check_packages(judge, report)
    found = Findings(judge, tuple(slices), compared=second is not None)
    counted = Counted(first.model)
    first = copy(first)  # the caller's own is left alone
    first.model = counted
    with ExitStack() as stack:
        writer = None
        if rows_file is not None:
            writer = stack.enter_context(open_predictions(rows_file))
        for row, asked, judged, other in _judged(
            judge, first, second, _numbered(islice(rows_from(data), max_rows))
        ):
            problem = next((x for x in (asked, judged, other) if isinstance(x, InputError)), None)
            if problem is not None:
                if not skip_bad_rows:
                    raise problem.at(row.place) if problem.where != row.place else problem
                found.skipped += 1
                continue
            found.add(row, asked, judged, other)
            if writer is not None:
                writer(row, judged, other)
            progress(len(found.table))
    if not len(found.table):
        raise InputError("no rows to evaluate", where=data if isinstance(data, str) else "data")
    speed = measure(first, counted, found.questions)
    result = found.result(
        model=_name(model), task=judged_as,
        against=None if against is None else _name(against), speed=speed, seed=seed,
    )  # fmt: skip
    if page is not None:
        from distil.evaluation.report import write_report  # noqa: PLC0415 - matplotlib is optional

        write_report(result, page)
    return result


def figures(
    pipe: Pipeline, data: Any, *, columns: Mapping[str, Column], seed: int = 0
) -> tuple[str, dict[str, Estimate]]:
    """The name of the main metric, and all metrics: what `evaluate` finds, and nothing else.

    Args:
        pipe: Answers.
        data: As of `evaluate`.
        columns: Likewise.
        seed: Likewise.

    Raises:
        InputError: A row is bad.
    """
    judge = judge_for(pipe.task, pipe.model.config, columns)
    table = Table()
    for row, _, judged, _ in _judged(judge, pipe, None, _numbered(rows_from(data))):
        if isinstance(judged, InputError):
            raise judged.at(row.place)
        table.add(judged.numbers, judged.lists)
    return judge.main, estimates(table, judge.metrics, seed=seed)


def _check_output(data: Any, files: Mapping[str, Path | None]) -> None:
    """Refuse to overwrite the rows, or a folder that is missing, before anything is computed."""
    for where, path in files.items():
        if path is not None and not path.parent.is_dir():
            raise InputError(
                "there is no such folder", found=path.parent, where=where, fix="create it first"
            )
    if not (isinstance(data, str | Path) and is_file(data)):
        return
    for where, path in files.items():
        if path is not None and path.exists() and path.samefile(data):
            raise InputError(
                "results would overwrite the rows", expected="another file",
                found=f"the same file as {data}", where=where, fix="write them to another file",
            )  # fmt: skip


def _check_packages(judge: Judge, report: str | Path | None) -> None:
    """Name a missing package before anything is computed."""
    needs = {"scipy": "test differences", **judge.needs}
    if report is not None:
        needs["matplotlib"] = "draw plots"
    for package, use in needs.items():
        if find_spec(package) is None:
            raise not_installed(package, where="evaluate", extra="train", use=use)


def _name(model: str | Path | Pipeline) -> str:
    return repr(model) if isinstance(model, Pipeline) else str(model)


def _check_unused(given: Mapping[str, Any], task: str | None, model: Pipeline) -> None:
    """Refuse options that have no effect on an existing pipeline."""
    check_unused(given)
    if task is not None and find_task(task).name != model.task:
        raise InputError(
            "the pipeline is for another task", expected=model.task, found=task, where="task"
        )


def _pipeline(
    model: str | Path | Pipeline, task: str | None, options: Mapping[str, Any]
) -> Pipeline:
    if isinstance(model, Pipeline):
        return model
    return pipeline(None if task is None else find_task(task).name, model, **options)


def _other(
    against: str | Path | Pipeline,
    model: str | Path | Pipeline,
    first: Pipeline,
    form: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Pipeline:
    """The pipeline of the second model."""
    words = str(against).split() if isinstance(against, str) else []
    if words and all(word in _FORMS for word in words):
        if isinstance(model, Pipeline):
            raise InputError(
                "a pipeline has no other forms", expected="a model's name, or a second pipeline",
                 found=repr(against), where="against",
            )  # fmt: skip
        form = {"framework": None, "engine": None, "dtype": "float32"}
        form |= {_FORMS[word]: word for word in words}
        against = model
    second = _pipeline(against, first.task, {**form, **options})
    if second.task != first.task:
        raise InputError(
            "the two models are for different tasks", expected=first.task, found=second.task,
            where="against",
        )  # fmt: skip
    return second


def _check_labels(model: Pipeline, against: Pipeline) -> None:
    """See that two classifiers have the same labels, in whatever order."""
    ours, theirs = (sorted(one.model.config.label2id) for one in (model, against))
    if ours != theirs:
        raise InputError(
            "the two models have different labels", expected=", ".join(ours),
            found=", ".join(theirs), where="against",
        )  # fmt: skip
    kinds = [one.model.config.problem_type for one in (model, against)]
    if BINARY in kinds and kinds[0] != kinds[1]:
        raise InputError(
            "only one of the two models gives a text several labels",
            expected=f"problem_type {kinds[0]}", found=kinds[1], where="against",
        )  # fmt: skip


def _numbered(rows: Iterator[Row]) -> Iterator[Row]:
    """Rows numbered from 1 whatever the format; `place` still names the line."""
    return (replace(row, number=number) for number, row in enumerate(rows, start=1))


def _judged(
    judge: Judge, first: Pipeline, second: Pipeline | None, rows: Iterator[Row]
) -> Iterator[tuple[Row, Any, Any, Any]]:
    """Each row, what was asked of it, and how each model's answer was judged."""

    def ask(row: Row) -> Asked | InputError:
        if row.error is not None:
            return row.error
        try:
            return judge.ask(row.values)
        except InputError as error:
            return error.at(row.place)

    asked = ((row, ask(row)) for row in rows)
    seen, *inputs = tee(asked, 2 if second is None else 3)
    models = [first] if second is None else [first, second]
    streams = [
        judge.stream(one, ((row.number, question) for row, question in some))
        for one, some in zip(models, inputs, strict=True)
    ]
    for (row, question), found, *others in zip(seen, *streams, strict=True):
        yield row, question, found[1], others[0][1] if others else None
