"""A progress bar, where somebody looks at it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distil.cli import _output


@contextmanager
def progress(total: int | None, *, wanted: bool) -> Iterator[Callable[[int, int], None]]:
    """Show how far something is, on stderr.

    Args:
        total: What `done` will be at the end; None if that is not known.
        wanted: Whether to show it, if stderr is a terminal.

    Yields:
        What is told how much is done, and how many rows these are.
    """
    if not (wanted and sys.stderr.isatty()):
        yield lambda done, rows: None
        return
    from rich import progress as bars  # noqa: PLC0415 - `distil --help` needs none

    columns = (
        bars.BarColumn(),
        bars.TextColumn("{task.fields[rows]:,} rows"),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=_output.console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=total, rows=0)
        yield lambda done, rows: shown.update(task, completed=done, rows=rows)
