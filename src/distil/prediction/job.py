"""A resumable job: files predicted part by part into a folder; a kill loses one part at most.

A part holds consecutive rows of one input file: `part-<file>-<number>.parquet`, in input order.
It is written under a hidden name and then renamed, so it is either complete or absent, and a part
that exists is not computed again.  Each part is computed on its own: its content depends neither on
where a job was interrupted nor on the shard.  `_manifest.json` identifies the job (parquet readers
ignore such names), and each part names the manifest it belongs to.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distil.common.steps.recipe_rules import differences
from distil.errors import DistilError, InputError
from distil.pipelines.base import Pipeline
from distil.pipelines.windows import FIRST_ROWS_OF_A_LIST
from distil.prediction.columns import Columns, arrow
from distil.prediction.shards import Share
from distil.prediction.sources import Part, Source
from distil.storage.files import atomic_write, json_text, lock, remove

MANIFEST = "_manifest.json"

_KEY = b"distil"
_NAME = "part-{:05d}-{:06d}.parquet"
# A temporary file older than this is left over from a process that died.
_SECONDS_OF_A_LEFTOVER = 3600
_ROWS_BETWEEN_SIGNS = 256
_MOST_SHOWN = 5  # differences of two jobs

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class PredictedFiles:
    """The result of `predict` with an output folder.

    Attributes:
        folder: The output folder.
        task: The task of the model.
        rows: Rows of this shard, those of earlier calls included.
        bad: How many of them have an error instead of a result.
        new: How many of them this call computed.
        parts: Number of files of this shard.
    """

    folder: Path
    task: str
    rows: int
    bad: int
    new: int
    parts: int

    def sound(self) -> PredictedFiles:
        """This result, if any row was predicted.

        Raises:
            InputError: Every row has an error.
        """
        if self.rows and self.bad == self.rows:
            raise InputError(
                "no row could be predicted", found=f"{self.bad:,} rows, all with errors",
                where=self.folder, fix='see the column "error"',
            )  # fmt: skip
        return self

    def to_dict(self) -> dict[str, Any]:
        """The same as plain strings and numbers, for JSON."""
        return {**asdict(self), "folder": str(self.folder)}


class Job:
    """An output folder, and the parts that are still missing in it.

    Args:
        pipe: The pipeline.
        source: The input.
        folder: The output folder.
        identity: What the results depend on besides the input.
        columns: Of the results.
        shard: Index, from 0, and number of shards.
        for_all: Fields added to every row, such as one context for all questions.

    Raises:
        InputError: The folder belongs to something else.
        CheckpointError: It cannot be written.
    """

    def __init__(
        self,
        pipe: Pipeline,
        source: Source,
        folder: Path,
        *,
        identity: Mapping[str, Any],
        columns: Columns,
        shard: tuple[int, int] = (0, 1),
        for_all: Mapping[str, Any] | None = None,
    ) -> None:
        self._pipe, self._source, self._folder, self._columns = pipe, source, folder, columns
        self._share = Share(*shard, source.part_counts)
        self._for_all = for_all or {}
        self._warned = False
        manifest = {**identity, "input": source.identity(), "part_rows": source.rows}
        self._digest = _claimed(folder, manifest)

    def run(self, progress: Progress) -> PredictedFiles:
        """Compute the missing parts.

        Args:
            progress: Called with the rows of this shard so far, and their total or None.

        Raises:
            InputError: The input cannot be read.
            CheckpointError: A part cannot be written.
        """
        source, share, known = self._source, self._share, self._known()
        own = {key: about for key, about in known.items() if share.owns(*key)}
        done = before = sum(about["rows"] for about in own.values())
        ends = {file: part for (file, part), about in known.items() if about["last"]}
        total = self._total()

        def sign(rows: int) -> None:
            progress(done + rows, total)

        for file, count in enumerate(source.part_counts):

            def wanted(part: int, file: int = file) -> bool:
                return (file, part) not in known and share.owns(file, part)

            parts = ends[file] + 1 if file in ends else count
            if not (share.may_own(file) if parts is None else any(map(wanted, range(parts)))):
                continue
            for part in source.parts(file, wanted):
                about = own[file, part.number] = self._write(file, part, sign)
                done += about["rows"]
                sign(0)
        bad = sum(about["bad"] for about in own.values())
        return PredictedFiles(
            folder=self._folder, task=self._pipe.task, rows=done, bad=bad, new=done - before,
            parts=len(own),
        )  # fmt: skip

    def _total(self) -> int | None:
        """The number of rows of this shard; None if they cannot be counted yet."""
        source, total = self._source, 0
        for file, (rows, parts) in enumerate(zip(source.counts, source.part_counts, strict=True)):
            if rows is None or parts is None:
                return None
            own = [part for part in range(parts) if self._share.owns(file, part)]
            total += sum(min(source.rows, rows - part * source.rows) for part in own)
        return total

    def _known(self) -> dict[tuple[int, int], dict[str, Any]]:
        """The finished parts, by index of their file and their own."""
        pa, now = arrow(), time.time()
        for path in self._folder.glob(".part-*.tmp"):
            with suppress(FileNotFoundError):  # another process has just renamed it
                if now - path.stat().st_mtime > _SECONDS_OF_A_LEFTOVER:
                    remove(path)
        found = {}
        for path in self._folder.glob("part-*.parquet"):
            try:
                about = json.loads(pa.parquet.read_metadata(path).metadata[_KEY])
                key = about["file"], about["part"]
                belongs = about["manifest"] == self._digest and _NAME.format(*key) == path.name
            except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
                raise InputError(
                    "not a part of this job", found=error, where=path, fix="remove it"
                ) from None
            if not belongs:
                raise InputError("a part of another job", where=path, fix="remove it")
            found[key] = about
        return found

    def _write(self, file: int, part: Part, sign: Callable[[int], None]) -> dict[str, Any]:
        """Compute a part and write it; returns its metadata."""
        results, problems = self._predicted(file, part, sign)
        table = self._columns.added(part.table, results, problems)
        rows, errors = len(results), [*self._columns.types][-1]
        about = {
            "manifest": self._digest, "file": file, "part": part.number, "rows": rows,
            "bad": rows - table[errors].null_count, "last": part.last,
        }  # fmt: skip
        metadata = {**(table.schema.metadata or {}), _KEY: json.dumps(about)}
        path = self._folder / _NAME.format(file, part.number)
        with atomic_write(path) as temporary:
            arrow().parquet.write_table(table.replace_schema_metadata(metadata), temporary)
        return about

    def _predicted(
        self, file: int, part: Part, sign: Callable[[int], None]
    ) -> tuple[list[Any], dict[int, InputError]]:
        """Results, and errors by row of the part."""
        place = self._source.files[file].place
        problems: dict[int, InputError] = {}
        results: list[Any] = []
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for row, result in self._pipe.stream(
                enumerate(map(self._completed, part.inputs)),
                first=FIRST_ROWS_OF_A_LIST, skip_bad_rows=True,
                place=lambda row: place(part.numbers[row]), on_bad_row=problems.__setitem__,
            ):  # fmt: skip
                results.append(result)
                if row % _ROWS_BETWEEN_SIGNS == 0:
                    sign(row)
        if not self._warned:  # that texts are truncated, say: once per job is enough
            for one in said:
                warnings.warn(one.message, one.category, stacklevel=4)
            self._warned = bool(said)
        return results, problems

    def _completed(self, row: Any) -> Any:
        """A row with the fields that all rows get."""
        if not self._for_all or isinstance(row, InputError):
            return row
        return {**(row if isinstance(row, Mapping) else {"text": row}), **self._for_all}


def _claimed(folder: Path, manifest: Mapping[str, Any]) -> str:
    """Claim a folder for a job, or check that it is the job's; returns the manifest's digest.

    Raises:
        InputError: It belongs to another job, or holds other files.
        CheckpointError: It cannot be written.
    """
    path = folder / MANIFEST
    own = json_text(json.loads(json.dumps(manifest, default=str)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder):
            if not path.exists():
                other = [one for one in folder.iterdir() if not one.name.startswith(".")]
                if other:
                    raise InputError(
                        "the output folder is not empty", found=other[0].name, where=folder,
                        fix="choose an empty or a new folder",
                    )  # fmt: skip
                with atomic_write(path) as temporary:
                    temporary.write_text(own, encoding="utf-8")
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if isinstance(error, DistilError):
            raise
        raise InputError("results cannot be written", found=error, where=folder) from None
    changed = differences(before, json.loads(own))
    if changed:
        found = [f"{name} was {old!r}, is {new!r}" for name, (old, new) in changed.items()]
        raise InputError(
            "the folder holds the results of another job", found="; ".join(found[:_MOST_SHOWN]),
            where=folder, fix="choose another folder, or remove this one",
        )  # fmt: skip
    return hashlib.sha256(own.encode()).hexdigest()[:16]
