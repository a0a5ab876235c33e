"""Ctrl-C and SIGTERM during training: it stops after the current step, and keeps what it has."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from distil.common.steps.workers import Workers

LOGGER = logging.getLogger("distil.training")

# Handlers that do what the system does; others are somebody's own, and stay.
_USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Stop:
    """Whether training was told to stop.

    Attributes:
        number: Of the signal; None as long as there was none.
    """

    number: int | None = None

    def agree(self, workers: Workers) -> bool:
        """Whether any worker was told to stop: all of them have to do so after the same step."""
        numbers = [number for number in workers.gather(self.number) if number is not None]
        if numbers:
            self.number = numbers[0]
        return bool(numbers)


@contextmanager
def watched(*, tells: bool = True) -> Iterator[Stop]:
    """Note the first signal, and let the second do what it would have done.

    Args:
        tells: Whether to log that training is about to stop: one of several workers does.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: FrameType | None) -> None:
        stop.number = number
        restore()
        if tells:
            LOGGER.warning("stopping after this step; a second signal stops at once, unsaved")

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
