"""What is written down while training: a line of JSON for each point, and TensorBoard's file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distil.errors import not_installed
from distil.storage.files import atomic_write

FILE_NAME = "log.jsonl"
TENSORBOARD_FOLDER = "tensorboard"

Record = dict[str, Any]


class Log:
    """The log in a folder, gone on with from a step.

    Args:
        folder: Of the training.
        step: What was written after this step is dropped: it comes again.
        tensorboard: Write for TensorBoard as well.

    Raises:
        FrameworkError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, step: int, tensorboard: bool) -> None:
        self._path = folder / FILE_NAME
        self._events = _events(folder / TENSORBOARD_FOLDER) if tensorboard else None
        kept = [record for record in read_log(folder) if record["step"] <= step]
        with atomic_write(self._path) as temporary:
            temporary.write_text("".join(map(_line, kept)), encoding="utf-8")

    def write(self, record: Record) -> None:
        """Add a point: numbers by name, `step` among them."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(record))
        if self._events is not None:
            values = {name: x for name, x in record.items() if name != "step"}
            self._events.add_event(_event(values, record["step"]))

    def close(self) -> None:
        """Flush what is waiting to be written."""
        if self._events is not None:
            self._events.close()


def read_log(folder: Path) -> list[Record]:
    """The points written so far; one that a kill cut short is left out."""
    path = folder / FILE_NAME
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def _line(record: Record) -> str:
    return json.dumps(record) + "\n"


def _events(folder: Path) -> Any:
    try:
        from tensorboard.summary.writer.event_file_writer import (  # noqa: PLC0415 - optional
            EventFileWriter,
        )
    except ImportError:
        raise not_installed(
            "tensorboard", where="log.tensorboard",
            fix="pip install tensorboard, or set log.tensorboard to false",
        ) from None  # fmt: skip
    return EventFileWriter(str(folder))


def _event(values: Mapping[str, float], step: int) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415 - optional
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415

    summary = Summary(value=[Summary.Value(tag=n, simple_value=v) for n, v in values.items()])
    return Event(wall_time=time.time(), step=step, summary=summary)
