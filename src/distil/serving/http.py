"""The HTTP server itself: uvicorn, ended by signals without losing a request."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Clients that read slowly are not waited for longer than this when the server ends.
_SECONDS_TO_END = 30

# An idle connection is kept for longer than load balancers and HTTP clients keep theirs (60 s at
# most, as a rule): whoever closes first must not be the server, or the next request meets a
# connection that is just being closed.  uvicorn's 5 s lose some at low rates.
_SECONDS_IDLE = 75


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

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            scheme = "https" if self.config.is_ssl else "http"
            host = f"[{host}]" if ":" in host else host
            print(f"distil serves at {scheme}://{host}:{port}", file=sys.stderr, flush=True)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit  # at the second signal
        self.should_exit = True


def _allow_many_connections() -> None:
    """As many as the system lets this process have: 1,024 slow ones would keep others out."""
    if resource is not None:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def run(
    app: Any,
    *,
    host: str,
    port: int,
    certificate: str | Path | None = None,
    private_key: str | Path | None = None,
) -> None:
    """Serve an application until a signal."""
    _allow_many_connections()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        ssl_certfile=certificate,
        ssl_keyfile=private_key,
        timeout_graceful_shutdown=_SECONDS_TO_END,
        timeout_keep_alive=_SECONDS_IDLE,
        # Connections that wait to be taken; requests are bounded by the queue of tokens.
        backlog=2048,
    )
    _Server(config).run()
