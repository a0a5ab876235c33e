"""Progress: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distil.cli import _output

# Called with how much is done, of how much (None if unknown), and a text such as "1,024 rows".
Tell = Callable[[float, float | None, str], None]

# Seconds between two lines.
_PAUSE = 30.0


@contextmanager
def progress(what: str, *, wanted: bool = True) -> Iterator[Tell]:
    """Show the progress of something on stderr.

    Args:
        what: What is being done.
        wanted: Whether to show it at all.

    Yields:
        A function to be called with the progress.
    """
    if not (wanted and sys.stderr.isatty()):
        yield _lines(what) if wanted else lambda done, total, more: None
        return
    from rich import progress as bars  # noqa: PLC0415 - `distil --help` needs none

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.TextColumn("{task.fields[more]}"),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=_output.console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None, more="")
        yield lambda done, total, more: shown.update(task, completed=done, total=total, more=more)


def _lines(what: str) -> Tell:
    """A function that prints a line, but not more often than every so many seconds."""
    last = time.monotonic()

    def tell(done: float, total: float | None, more: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _PAUSE:
            last = time.monotonic()
            share = f"{done / total:.0%}, " if total else ""
            print(f"{what}: {share}{more}", file=sys.stderr, flush=True)

    return tell
