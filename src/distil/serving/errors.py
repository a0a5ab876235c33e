"""Errors of requests, each with its HTTP status."""

from __future__ import annotations

from math import ceil

from distil.errors import DistilError


class RequestError(DistilError):
    """A request that cannot be answered.

    Attributes:
        status: HTTP status.
        kind: For programs to tell errors apart.
    """

    status = 400
    kind = "bad_request"


class UnknownModelError(RequestError):
    """No model of that name, or for that task, is served."""

    status, kind = 404, "model_not_found"


class TooManyError(RequestError):
    """Too many inputs in one request."""

    status, kind = 413, "too_many_inputs"

    def __init__(self, found: int, most: int) -> None:
        super().__init__("too many inputs", expected=f"at most {most:,}", found=f"{found:,}",
                         fix="split them over several requests")  # fmt: skip


class TooLargeError(RequestError):
    """Too much text, or too large a body, in one request."""

    status, kind = 413, "too_large"

    def __init__(self, found: int, most: int, unit: str = "characters") -> None:
        super().__init__("request too large", expected=f"at most {most:,} {unit}",
                         found=f"{found:,}")  # fmt: skip


class TooLongError(RequestError):
    """A text is longer than the model's limit and must not be truncated."""

    status, kind = 413, "too_long"

    def __init__(self, where: str, most: int) -> None:
        super().__init__("text too long for the model", expected=f"at most {most} tokens",
                         where=where, fix='split it, or set "truncate": true where the protocol '
                         "has it")  # fmt: skip


class SlowBodyError(RequestError):
    """The request body did not arrive in time."""

    status, kind = 408, "slow_body"

    def __init__(self) -> None:
        super().__init__("the request body did not arrive in time")


class OverloadError(RequestError):
    """The queue is full.

    Args:
        seconds: Roughly how long the queue will take.
    """

    status, kind = 429, "overloaded"

    def __init__(self, seconds: float) -> None:
        self.retry_after = max(1, ceil(seconds))
        super().__init__("the server is overloaded", fix=f"try again in {self.retry_after} s")


class DeadlineError(RequestError):
    """The request spent longer in the queue than the client or the server allows."""

    status, kind = 504, "deadline_exceeded"

    def __init__(self) -> None:
        super().__init__("deadline exceeded while the request was queued")


class ShutdownError(RequestError):
    """The server is shutting down."""

    status, kind = 503, "shutting_down"

    def __init__(self) -> None:
        super().__init__("the server is shutting down")
