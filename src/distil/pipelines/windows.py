"""Windows: the next few rows of a stream, prepared in the background while the last are computed.

The first window is small, so that first results come soon; later ones are larger, so that the
model gets to choose from many lengths and Python's work is spread over many rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from distil.errors import InputError
from distil.pipelines.rows import characters

Prepared = TypeVar("Prepared")

FIRST_ROWS, MOST_ROWS = 16, 512
# Of a list nobody gets anything before all is done.
FIRST_ROWS_OF_A_LIST = 128

# A source that is slower than this (a person who types, say) is not waited for.
_SECONDS = 0.25


@dataclass
class Window:
    """Some rows of a stream.

    Attributes:
        numbers: Of the rows, as their source counts them.
        items: What was read of each; None where that failed.
        problems: Why it failed, by place in the window.
        failure: What ends the stream after these rows, if anything does.
        last: Whether the stream is at its end.
        slow: Whether the source took its time, so that the next row may be long in coming.
    """

    numbers: list[int] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    problems: dict[int, InputError] = field(default_factory=dict)
    failure: BaseException | None = None
    last: bool = False
    slow: bool = False


def windows(
    rows: Iterable[tuple[int, Any]],
    read: Callable[[int, Any], Any],
    *,
    skip: bool,
    most_characters: int,
    first: int = FIRST_ROWS,
) -> Iterator[Window]:
    """Cut a stream of rows into windows.

    Args:
        rows: Numbers and rows.
        read: Makes an item of a number and a row, or raises an InputError.
        skip: Whether a row that cannot be read is skipped; otherwise it ends the stream.
        most_characters: A window that has as many is full, however few its rows.
        first: Rows of the first window; of each that follows, twice as many.
    """
    source = iter(rows)
    most_rows = first
    last = False
    while not last:
        window = Window()
        size, start = 0, time.monotonic()
        while len(window.items) < most_rows and size < most_characters and not window.slow:
            try:
                number, row = next(source)
            except StopIteration:
                window.last = True
                break
            except BaseException as failure:  # raised again, after the results
                window.failure, window.last = failure, True
                break
            try:
                item = read(number, row)
            except InputError as problem:
                if not skip:
                    window.failure, window.last = problem, True
                    break
                item = None
                window.problems[len(window.items)] = problem
            else:
                size += characters(item)
            window.numbers.append(number)
            window.items.append(item)
            window.slow = time.monotonic() - start > _SECONDS
        last = window.last
        most_rows = min(2 * most_rows, MOST_ROWS)
        yield window


def prepared_ahead(
    source: Iterable[Window], prepare: Callable[[Window], Prepared]
) -> Iterator[tuple[Window, Prepared]]:
    """Each window and what `prepare` made of it, in the background and one window ahead.

    Windows are asked for in the caller's thread: a source need not be safe for threads.
    """
    source = iter(source)
    window = next(source)
    if window.last:  # a thread would cost as much as a short text
        yield window, prepare(window)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="distil-pipeline") as thread:
        task = thread.submit(prepare, window)
        while True:
            following = None
            if not (window.last or window.slow):
                following = next(source)
                next_task = thread.submit(prepare, following)
            yield window, task.result()
            if window.last:
                return
            if following is None:
                following = next(source)
                next_task = thread.submit(prepare, following)
            window, task = following, next_task
