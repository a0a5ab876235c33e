"""Ctrl-C and SIGTERM while a model is trained: it stops after the step, and keeps what it has."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LOGGER = logging.getLogger("distil.training")

# Handlers that do what the system does; others are somebody's own, and stay.
_USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Stop:
    """Whether somebody wants training to stop.

    Attributes:
        number: Of the signal; None while nobody does.
    """

    number: int | None = None


@contextmanager
def watched(*, wanted: bool = True) -> Iterator[Stop]:
    """Note the first signal, and let the second do what it would have done.

    Args:
        wanted: Whether to do so; of several workers, all would have to stop at the same step.
    """
    stop = Stop()
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: FrameType | None) -> None:
        stop.number = number
        restore()
        LOGGER.warning("stopping after this step; once more stops at once, and loses what is new")

    before = {one: usual for one, usual in _USUAL.items() if signal.getsignal(one) is usual}

    def restore() -> None:
        for one, usual in before.items():
            signal.signal(one, usual)

    for one in before:
        signal.signal(one, note)
    try:
        yield stop
    finally:
        restore()
