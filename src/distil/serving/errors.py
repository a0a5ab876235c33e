"""Why a request is not answered, each with its status in HTTP."""

from __future__ import annotations

from math import ceil

from distil.errors import DistilError


class RequestError(DistilError):
    """A request that is not answered.

    Attributes:
        status: Of HTTP.
        kind: A word for programs.
    """

    status = 400
    kind = "bad_request"


class UnknownModelError(RequestError):
    """No model of that name is served, or none for what was asked."""

    status, kind = 404, "model_not_found"


class TooManyError(RequestError):
    """More rows than a request may have."""

    status, kind = 413, "too_many_inputs"

    def __init__(self, found: int, most: int) -> None:
        super().__init__("too many inputs", expected=f"at most {most:,}", found=f"{found:,}",
                         fix="send them in several requests")  # fmt: skip


class TooLargeError(RequestError):
    """More text, or a larger body, than a request may have."""

    status, kind = 413, "too_large"

    def __init__(self, found: int, most: int, unit: str = "characters") -> None:
        super().__init__("the request is too large", expected=f"at most {most:,} {unit}",
                         found=f"{found:,}")  # fmt: skip


class TooLongError(RequestError):
    """A text with more tokens than the model takes, where it must not be cut."""

    status, kind = 413, "too_long"

    def __init__(self, where: str, most: int) -> None:
        super().__init__("a text is too long for the model", expected=f"at most {most} tokens",
                         where=where, fix="split it, or have it cut where the protocol can say so: "
                         '"truncate": true')  # fmt: skip


class SlowBodyError(RequestError):
    """The body does not come."""

    status, kind = 408, "slow_body"

    def __init__(self) -> None:
        super().__init__("the body did not come in time")


class OverloadError(RequestError):
    """The queue is full.

    Args:
        seconds: How long what waits will take, about.
    """

    status, kind = 429, "overloaded"

    def __init__(self, seconds: float) -> None:
        self.retry_after = max(1, ceil(seconds))
        super().__init__("the server is busy", fix=f"try again in {self.retry_after} s")


class DeadlineError(RequestError):
    """It waited longer than its client, or the server, allows."""

    status, kind = 504, "deadline_exceeded"

    def __init__(self) -> None:
        super().__init__("the request was not computed in time")


class ShutdownError(RequestError):
    """The server takes nothing more."""

    status, kind = 503, "shutting_down"

    def __init__(self) -> None:
        super().__init__("the server is shutting down")
