"""`predict_files`: files of rows into a folder of parts, with what a model says of each row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distil.checkpoints.located import locate
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
# What else results depend on, of the options of a pipeline that its model does not tell.
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

    After a kill at any moment the same call goes on: parts that are there stay, and each row is in
    one of them once.  Parts are parquet files.  They hold the columns of the input, in its order,
    and after them those of the results: "label" and "score", say, or "results", a list, where a row
    has several; "error" says why a row has none.

    Args:
        name: As in `distil.load`; None takes the model that comes with the package.
        file: A file of rows, a folder of such, or a pattern such as "reviews/*.csv"; parquet, .csv,
            .tsv, .jsonl, a text a line, SQuAD's .json or CoNLL, all but parquet also as .gz.
        output: The folder for the parts; it is made, and then belongs to this model with these
            options and this input: anything else is refused.
        for_all: Of "pair", "context" and "choices", what goes with every row.
        top_k: Results for a row, in a list; left out, it is the best alone where that makes sense.
        format: Of the files; None goes by their names.
        columns: Columns of the input by what the task reads: "text", "text_pair", "question",
            "context", "prompt", "choices".
        prefix: Of the names of the columns of results.
        shard: "3/16" does the third of sixteen shares; each may run on a machine of its own, with
            the same output.
        part_rows: Rows of a part.
        progress: Told the rows so far, and of all where that is known.
        **options: Of `distil.pipeline`.

    Returns:
        What there is now.

    Raises:
        InputError: The input or an argument is not valid, or the folder is of something else.
        FrameworkError: pyarrow is not installed; the extra "datasets" brings it.
        DistilError: The model cannot be loaded, or the folder not be written.
    """
    pipe = make_pipeline(name, top_k=top_k, **options)
    hub_options = HubOptions(**{key: options[key] for key in _HUB if key in options})
    form = {key: options[key] for key in _FORM if options.get(key) is not None}
    return write_parts(
        pipe, file, output, identity={**weights_of(name, hub_options), **form},
        several=top_k is not None, for_all=for_all, format=format, columns=columns, prefix=prefix,
        shard=shard, part_rows=part_rows, progress=progress,
    )  # fmt: skip


def weights_of(name: str | Path | None, options: HubOptions) -> dict[str, Any]:
    """What tells a model from others: digests of its files.

    Raises:
        DistilError: It is not there.
    """
    with locate(hub.bundled()[hub.DEFAULT] if name is None else name, options) as found:
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
    """As `predict_files`, with a pipeline that is there already.

    Args:
        pipe: Predicts.
        file: As in `predict_files`, like all that are not named here.
        output: Likewise.
        identity: What tells the pipeline's model from others.
        several: Whether rows have several results because somebody asked for them.
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
            "frameworks are compared on texts, not on files of any size",
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
    """The columns of what a task reads of a row, by its names.

    Args:
        task: Of the pipeline.
        columns: Those that were named; "text" is the text of every task.
        is_given: Whether what goes with the text is the same for all rows, and so not read.

    Raises:
        InputError: One was named for what the task does not read.
    """
    first, second = fields_of(task)
    read = [first] if second is None or is_given else [first, second]
    # The text of every task may be called that.
    named = {first if name == "text" else name: column for name, column in columns.items()}
    for name, column in named.items():
        if column is not None and name not in read:
            raise InputError(
                "nothing is read from such a column", expected=", ".join(read), found=name,
                where="columns", fix="leave it out",
            )  # fmt: skip
    return {name: named.get(name) for name in read}
