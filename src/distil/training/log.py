"""What is written down while training: a line of JSON for each point, and TensorBoard's file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distil.common.rules import is_integer
from distil.errors import CheckpointError
from distil.storage.files import atomic_write
from distil.storage.opened import read_bytes

FILE_NAME = "log.jsonl"
TENSORBOARD_FOLDER = "tensorboard"

Record = dict[str, Any]

_LARGEST = 1024 * 1024 * 1024


class Log:
    """The log in a folder, continued from a step.

    Args:
        folder: Of the training.
        step: Records of later steps are dropped: they will be written again.
        judged: Whether the model was evaluated after this step; if not, its evaluation is dropped.
        tensorboard: Write for TensorBoard as well, which is known to be installed.

    Raises:
        CheckpointError: The log cannot be written.
    """

    def __init__(self, folder: Path, *, step: int, judged: bool, tensorboard: bool) -> None:
        self._folder = folder
        self._events = _events(folder / TENSORBOARD_FOLDER) if tensorboard else None
        keep_records(folder, lambda one: one["step"] <= step - (not judged and "dev_loss" in one))

    def write(self, record: Record) -> None:
        """Add a point: numbers by name, `step` among them."""
        add_record(self._folder, record)
        if self._events is not None:
            values = {n: x for n, x in record.items() if n != "step" and isinstance(x, float | int)}
            self._events.add_event(_event(values, record["step"]))

    def close(self) -> None:
        """Flush what is waiting to be written."""
        if self._events is not None:
            self._events.close()


def add_record(folder: Path, record: Record) -> None:
    """Add a point to the log of a folder.

    Raises:
        CheckpointError: It cannot be written.
    """
    path = folder / FILE_NAME
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(_line(record))
    except OSError as error:
        raise _problem(error, path) from None


def keep_records(folder: Path, wanted: Callable[[Record], bool]) -> None:
    """Write the log of a folder anew, with those of its points that are wanted.

    Raises:
        CheckpointError: It cannot be written.
    """
    path = folder / FILE_NAME
    kept = filter(wanted, read_log(folder))
    try:
        with atomic_write(path) as temporary:
            temporary.write_text("".join(map(_line, kept)), encoding="utf-8")
    except OSError as error:
        raise _problem(error, path) from None


def read_log(folder: Path) -> list[Record]:
    """The points written so far; from one on that a kill cut short, they are left out.

    Raises:
        CheckpointError: It is not a file, or too large to be a log.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return []
    records: list[Record] = []
    for line in read_bytes(path, limit=_LARGEST).decode("utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(record, dict) or not is_integer(record.get("step")):
            break
        records.append(record)
    return records


def _problem(error: OSError, path: Path) -> CheckpointError:
    return CheckpointError("log cannot be written", found=error, where=path)


def _line(record: Record) -> str:
    return json.dumps(record) + "\n"


def _events(folder: Path) -> Any:
    from tensorboard.summary.writer.event_file_writer import (  # noqa: PLC0415 - optional
        EventFileWriter,
    )

    return EventFileWriter(str(folder))


def _event(values: Mapping[str, float], step: int) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415 - optional
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415

    summary = Summary(value=[Summary.Value(tag=n, simple_value=v) for n, v in values.items()])
    return Event(wall_time=time.time(), step=step, summary=summary)
