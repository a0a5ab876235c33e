"""`predict_files`: from data files to a folder of parquet files, with a result for each row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distil.checkpoints.located import locate
from distil.common.tasks import bundled_for
from distil.errors import InputError
from distil.pipelines.base import Pipeline
from distil.pipelines.checks import check_count
from distil.prediction.columns import Columns
from distil.prediction.job import Job, PredictedFiles, Progress
from distil.prediction.making import frameworks_of, make_pipeline
from distil.prediction.rows import fields_of, seconds
from distil.prediction.shards import read_shard
from distil.prediction.sources import Source
from distil.storage import hub
from distil.storage.digests import digests_of_model
from distil.storage.hub import HubOptions

PART_ROWS = 16_384

_HUB = ("revision", "cache_dir", "local_files_only", "token")
# Options of a pipeline that change results, but that its model does not know of.
_FORM = ("calibration", "tokenizer")


def predict_files(
    name: str | Path | None,
    file: str | Path,
    output: str | Path,
    *,
    for_all: Mapping[str, Any] | None = None,
    top_k: int | None = None,
    format: str | None = None,  # noqa: A002 - as in `distil.reading`
    columns: Mapping[str, str | None] | None = None,
    prefix: str = "",
    shard: str | None = None,
    part_rows: int = PART_ROWS,
    progress: Progress = lambda rows, total: None,
    **options: Any,
) -> PredictedFiles:
    """Predict files of any size, part by part.

    If the call is killed, the same call resumes: finished parts are kept, and every row ends up in
    exactly one part.  Parts are parquet files with the columns and the order of the input, followed
    by the results: "label" and "score", for example, or a list column "results" if a row has
    several; "error" says why a row has none.

    Args:
        name: As in `distil.load`; None takes the bundled sentiment model.
        file: A data file, a folder of them, or a pattern such as "reviews/*.csv": parquet, .csv,
            .tsv, .jsonl, one text per line, SQuAD's .json or CoNLL, all but parquet also as .gz.
        output: The output folder; created if needed.  It belongs to this model, these options and
            this input: a call with others is refused.
        for_all: "pair", "context" or "choices" that apply to every row.
        top_k: How many results a row has, as a list; by default only the best one, for tasks
            that have one.
        format: Of the files; None goes by their names.
        columns: Input columns by field of the task: "text", "text_pair", "question", "context",
            "prompt", "choices".
        prefix: Put before the names of the result columns.
        shard: "3/16" processes the third of sixteen shards; each may run on another machine, with
            the same output folder.
        part_rows: Rows per part.
        progress: Called with the rows so far, and with their total if it is known.
        **options: Of `distil.pipeline`.

    Returns:
        A summary of what is in the folder.

    Raises:
        InputError: The input or an argument is invalid, or the folder belongs to something else.
        FrameworkError: pyarrow is not installed (extra "datasets").
        DistilError: The model cannot be loaded, or the folder cannot be written.
    """
    pipe = make_pipeline(name, top_k=top_k, **options)
    hub_options = HubOptions(**{key: options[key] for key in _HUB if key in options})
    form = {key: options[key] for key in _FORM if options.get(key) is not None}
    return write_parts(
        pipe, file, output, identity={**weights_of(name, hub_options, task=pipe.task), **form},
        several=top_k is not None, for_all=for_all, format=format, columns=columns, prefix=prefix,
        shard=shard, part_rows=part_rows, progress=progress,
    )  # fmt: skip


def weights_of(
    name: str | Path | None, options: HubOptions, *, task: str | None = None
) -> dict[str, Any]:
    """Digests of a model's files, which identify it.

    Args:
        name: None is the bundled model for the task.
        options: For the hub.
        task: Name of the task.

    Raises:
        DistilError: It cannot be found.
    """
    with locate(hub.bundled()[bundled_for(task)] if name is None else name, options) as found:
        try:
            return {"weights": digests_of_model(found.folder)}
        except OSError as error:
            raise InputError("file cannot be read", found=error, where=found.folder) from None


def write_parts(
    pipe: Pipeline,
    file: str | Path,
    output: str | Path,
    *,
    identity: Mapping[str, Any],
    several: bool,
    for_all: Mapping[str, Any] | None = None,
    format: str | None = None,  # noqa: A002
    columns: Mapping[str, str | None] | None = None,
    prefix: str = "",
    shard: str | None = None,
    part_rows: int = PART_ROWS,
    progress: Callable[[int, int | None], None] = lambda rows, total: None,
) -> PredictedFiles:
    """As `predict_files`, with a pipeline that is already loaded.

    Args:
        pipe: The pipeline.
        file: As in `predict_files`.
        output: Likewise.
        identity: Of the pipeline's model.
        several: Whether top_k asks for several results a row.
        for_all: Likewise.
        format: Likewise.
        columns: Likewise.
        prefix: Likewise.
        shard: Likewise.
        part_rows: Likewise.
        progress: Likewise.
    """
    if len(frameworks_of(pipe)) > 1:
        raise InputError(
            "frameworks are compared on texts, not while writing into a folder",
            expected="one framework", found="both", where="framework",
        )  # fmt: skip
    check_count(part_rows, "part_rows")
    number, count = read_shard(shard)
    second = fields_of(pipe.task)[1]
    given = seconds(pipe.task, for_all or {})
    fields = fields_read(pipe.task, columns or {}, is_given=given is not None)
    source = Source(file, format=format, columns=fields, rows=part_rows)
    made = Columns(pipe, several=several, prefix=prefix, taken=source.column_names)
    job = Job(
        pipe, source, Path(output), columns=made, shard=(number, count),
        for_all=None if given is None else {str(second): given[0]},
        identity={
            **identity, "task": pipe.task, "framework": pipe.model.framework,
            "dtype": pipe.model.dtype, "options": vars(pipe.options), "several": several,
            "columns": fields, "for_all": given, "prefix": prefix,
        },
    )  # fmt: skip
    return job.run(progress)


def fields_read(
    task: str, columns: Mapping[str, str | None], *, is_given: bool
) -> dict[str, str | None]:
    """The input columns that a task reads, by its field names.

    Args:
        task: Of the pipeline.
        columns: The chosen ones; "text" stands for the first field of any task.
        is_given: Whether the second field is the same for all rows, and so is not read.

    Raises:
        InputError: One is for a field that the task does not read.
    """
    first, second = fields_of(task)
    read = [first] if second is None or is_given else [first, second]
    # The first field of any task may be called "text".
    named = {first if name == "text" else name: column for name, column in columns.items()}
    for name, column in named.items():
        if column is not None and name not in read:
            raise InputError(
                "the task reads no such field", expected=", ".join(read), found=name,
                where="columns", fix="leave it out",
            )  # fmt: skip
    return {name: named.get(name) for name in read}
