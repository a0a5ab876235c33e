"""Files of any size, predicted part by part into a folder: a kill at any moment loses one part.

A part is so many rows of an input file: `part-<file>-<number>.parquet`, in the order of the input.
It is written under a hidden name and renamed, so it is there as a whole or not at all, and what is
there is not computed again.  A part is computed by itself: what it holds does not depend on where a
job was interrupted, nor on which shard it fell to.  `_manifest.json` says what the folder is of
(readers of parquet pass over such names), and each part says which manifest it belongs to.
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
# A part is written in less than this, or its process is dead.
_SECONDS_OF_A_LEFTOVER = 3600
_ROWS_BETWEEN_SIGNS = 256
_MOST_SHOWN = 5  # differences of two jobs

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class PredictedFiles:
    """What `predict` gives where results go into a folder.

    Attributes:
        folder: It holds the parts.
        task: What the model was loaded for.
        rows: Rows of this shard, with those of earlier calls.
        bad: Of these, rows that have an error instead of a result.
        new: Rows that this call computed.
        parts: Files of this shard.
    """

    folder: Path
    task: str
    rows: int
    bad: int
    new: int
    parts: int

    def sound(self) -> PredictedFiles:
        """The same.

        Raises:
            InputError: There are rows, and not one has a result.
        """
        if self.rows and self.bad == self.rows:
            raise InputError(
                "not one row has a result", found=f"{self.bad:,} rows with an error each",
                where=self.folder, fix="see the column of errors",
            )  # fmt: skip
        return self

    def to_dict(self) -> dict[str, Any]:
        """Everything as texts and numbers."""
        return {**asdict(self), "folder": str(self.folder)}


class Job:
    """A folder of parts, and what is still missing in it.

    Args:
        pipe: Predicts.
        source: What is predicted.
        folder: Takes the parts.
        identity: What results depend on, beside the input.
        columns: Of the results.
        shard: Number, from 0, and count.
        for_all: Added to every row: a context for all questions, say.

    Raises:
        InputError: The folder holds something else.
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
        """Compute what is missing.

        Args:
            progress: Told the rows of this shard so far, and of all; None where that is not known.

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
        """Rows of this shard; None where they cannot be counted yet."""
        source, total = self._source, 0
        for file, (rows, parts) in enumerate(zip(source.counts, source.part_counts, strict=True)):
            if rows is None or parts is None:
                return None
            own = [part for part in range(parts) if self._share.owns(file, part)]
            total += sum(min(source.rows, rows - part * source.rows) for part in own)
        return total

    def _known(self) -> dict[tuple[int, int], dict[str, Any]]:
        """The parts that are there, by numbers of their files and their own."""
        pa, now = arrow(), time.time()
        for path in self._folder.glob(".part-*.tmp"):
            with suppress(FileNotFoundError):  # another process has just put it into its place
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
        """Compute a part and put it into its place; what is to be known of it."""
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
        """Results, and problems by rows of the part."""
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
        if not self._warned:  # of texts that are cut, say: once is enough for a billion rows
            for one in said:
                warnings.warn(one.message, one.category, stacklevel=4)
            self._warned = bool(said)
        return results, problems

    def _completed(self, row: Any) -> Any:
        """A row with what is added to all."""
        if not self._for_all or isinstance(row, InputError):
            return row
        return {**(row if isinstance(row, Mapping) else {"text": row}), **self._for_all}


def _claimed(folder: Path, manifest: Mapping[str, Any]) -> str:
    """Make the folder that of a job, or see that it is; the digest of its manifest.

    Raises:
        InputError: It is another job's, or nobody's and not empty.
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
                        "the folder holds something else", found=other[0].name, where=folder,
                        fix="choose a folder of its own for the results",
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
            "the folder holds results of something else", found="; ".join(found[:_MOST_SHOWN]),
            where=folder, fix="choose another folder, or remove this one",
        )  # fmt: skip
    return hashlib.sha256(own.encode()).hexdigest()[:16]
