"""The HTTP server itself: uvicorn, ended by signals without losing a request."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

# Clients that read slowly are not waited for longer than this when the server ends.
_SECONDS_TO_END = 30


class _Server(uvicorn.Server):
    """Ends with status 0 when told to: uvicorn itself would raise the signal once more."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {one: signal.signal(one, self._stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit  # at the second signal
        self.should_exit = True


def run(
    app: Any,
    *,
    host: str,
    port: int,
    certificate: str | Path | None = None,
    private_key: str | Path | None = None,
) -> None:
    """Serve an application until a signal."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        ssl_certfile=certificate,
        ssl_keyfile=private_key,
        timeout_graceful_shutdown=_SECONDS_TO_END,
        # Connections that wait to be taken; requests are bounded by the queue of tokens.
        backlog=2048,
    )
    _Server(config).run()
