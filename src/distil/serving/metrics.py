"""Prometheus metrics of a server."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TOKENS = (16, 64, 256, 1024, 4096, 16384)


class Metrics:
    """The metrics of one server."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "distil_requests", "Requests answered.", ("path", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "distil_request_seconds", "Time to answer a request.", ("path",),
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self.tokens = Counter(
            "distil_tokens", "Tokens computed.", ("model",), registry=self._registry
        )
        self.batch_tokens = Histogram(
            "distil_batch_tokens", "Tokens in a batch.", ("model",), buckets=_TOKENS,
            registry=self._registry,
        )  # fmt: skip
        self.batch_seconds = Histogram(
            "distil_batch_seconds", "Time to compute a batch.", ("model",), buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._queue = Gauge(
            "distil_queue_tokens", "Tokens in the queue.", ("model",), registry=self._registry
        )

    def of_model(self, model: str) -> Callable[[int, float], None]:
        """A function that records a batch: its tokens and the seconds it took."""

        def observe(tokens: int, seconds: float) -> None:
            self.tokens.labels(model).inc(tokens)
            self.batch_tokens.labels(model).observe(tokens)
            self.batch_seconds.labels(model).observe(seconds)

        return observe

    def watch_queue(self, model: str, queued: Callable[[], int]) -> None:
        """Read the length of a queue whenever metrics are asked for."""
        self._queue.labels(model).set_function(queued)

    def text(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        return generate_latest(self._registry)
