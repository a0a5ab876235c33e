"""Ray: a `Predictor` for its data sets, and `predict` on a cluster (extra "ray").

    from distil.ray import Predictor

    ray.data.read_parquet("lake/").map_batches(
        Predictor, fn_constructor_kwargs={"name": "my-model", "engine": "onnxruntime"},
        batch_format="pyarrow", num_cpus=1, compute=ray.data.ActorPoolStrategy(size=8),
    ).write_parquet("labelled/")

`predict` is for files: workers process shards of a job as `distil.predict` writes it.  Workers and
driver may be killed at any time, and every row still ends up in exactly one part.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distil.errors import InputError, not_installed
from distil.prediction.columns import Columns, arrow
from distil.prediction.files import fields_read, predict_files
from distil.prediction.job import PredictedFiles
from distil.prediction.making import make_pipeline
from distil.reading import Row, to_input

# Read by the arithmetic libraries when they are loaded.
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")

# A task whose process dies is restarted this often; it resumes where it was.
_RETRIES = 10

_SHARDS_OF_A_WORKER = 4


class Predictor:
    """Adds predictions to batches of rows; an actor for `map_batches`.

    It uses as many threads as the actor has CPUs.

    Args:
        name: As in `distil.load`; None takes the bundled sentiment model.
        columns: As in `distil.prediction.files.predict_files`.
        prefix: Likewise.
        top_k: Likewise.
        **options: Of `distil.pipeline`.

    Raises:
        FrameworkError: pyarrow is not installed.
        DistilError: The model cannot be loaded.
    """

    def __init__(
        self,
        name: str | Path | None = None,
        *,
        columns: Mapping[str, str | None] | None = None,
        prefix: str = "",
        top_k: int | None = None,
        **options: Any,
    ) -> None:
        self._pipe = make_pipeline(name, top_k=top_k, **_limited(options))
        fields = fields_read(self._pipe.task, columns or {}, is_given=False)
        first = next(iter(fields))
        # Always by name: another column of the batch must not be mistaken for the text.
        self._fields = {**fields, first: fields[first] or first}
        self._several, self._prefix = top_k is not None, prefix

    def __call__(self, batch: Any) -> Any:
        """A batch with the result columns appended.

        Args:
            batch: An Arrow table, or columns by name.

        Returns:
            An Arrow table: the columns of the batch, the results, and "error".

        Raises:
            InputError: A column is missing, or has the name of a result column.
        """
        pa = arrow()
        table = batch if isinstance(batch, pa.Table) else pa.table(dict(batch))
        columns = Columns(
            self._pipe, several=self._several, prefix=self._prefix, taken=table.column_names
        )
        needed = [column or field for field, column in self._fields.items()]
        some = table.select([name for name in table.column_names if name in needed])
        rows = [
            to_input(Row(values, f"row {number}"), self._fields, table="batch")
            for number, values in enumerate(some.to_pylist())
        ]
        problems: dict[int, InputError] = {}
        results = self._pipe.stream(
            enumerate(rows), skip_bad_rows=True, on_bad_row=problems.__setitem__,
            place="row {}".format,
        )  # fmt: skip
        return columns.added(table, [result for _, result in results], problems)


def predict(
    name: str | Path | None,
    file: str | Path,
    output: str | Path,
    *,
    address: str | None = None,
    cpus: int = 1,
    shards: int | None = None,
    progress: Callable[[int, int | None], None] = lambda rows, total: None,
    **options: Any,
) -> PredictedFiles:
    """`distil.predict` for files, on a Ray cluster.

    All workers need distil installed, and the input and output at the same paths.

    Args:
        name: As in `distil.prediction.files.predict_files`.
        file: Likewise.
        output: Likewise.
        address: Of the cluster; "local" or None starts one on this machine, unless this process
            already belongs to one.
        cpus: CPUs, and threads, of each worker.
        shards: Number of shards; None takes four for each worker that fits.
        progress: Called with the rows of the finished shards.
        **options: As in `predict_files`.

    Returns:
        A summary of what is in the folder.

    Raises:
        FrameworkError: Ray is not installed.
        DistilError: As `predict_files`.
    """
    try:
        import ray  # noqa: PLC0415 - optional
    except ImportError:
        raise not_installed("ray", where="predict", extra="ray") from None
    if not ray.is_initialized():
        ray.init(address=address or "local", include_dashboard=False, log_to_driver=False)
    workers = max(1, int(ray.cluster_resources().get("CPU", 1)) // cpus)
    count = shards or _SHARDS_OF_A_WORKER * workers
    remote = ray.remote(num_cpus=cpus, max_retries=_RETRIES)(_shard)
    if name is not None and Path(name).is_dir():
        name = Path(name).absolute()
    places = [name, Path(file).absolute(), Path(output).absolute()]  # the same for any process
    waiting = [remote.remote(*places, f"{n + 1}/{count}", options) for n in range(count)]
    found: list[PredictedFiles] = []
    try:
        while waiting:
            (done,), waiting = ray.wait(waiting)
            found.append(ray.get(done))
            progress(sum(one.rows for one in found), None)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    finally:
        for one in waiting:
            ray.cancel(one)
    return PredictedFiles(
        folder=Path(output), task=found[0].task,
        **{key: sum(getattr(one, key) for one in found) for key in ("rows", "bad", "new", "parts")},
    ).sound()  # fmt: skip


def _shard(
    name: str | Path | None, file: Path, output: Path, shard: str, options: Mapping[str, Any]
) -> PredictedFiles:
    """One shard, in a worker."""
    return predict_files(name, file, output, shard=shard, **_limited(options))


def _limited(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for a pipeline that uses the CPUs that Ray has assigned to this worker."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return dict(options)
    cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
    threads = max(1, int(cpus))
    os.environ |= dict.fromkeys(_THREADS, str(threads))
    if options.get("engine") in (None, "packed"):
        return dict(options)
    return {**options, "threads": options.get("threads") or threads}
