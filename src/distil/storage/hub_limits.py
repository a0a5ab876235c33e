"""Limits on what a hub may answer: how many bytes, and for how long nothing may come.

huggingface_hub reads every answer of the API whole, writes a file until its body ends, and waits
as long as a byte arrives now and then.  A server can use that to fill memory or disk, or to keep
a program waiting.  So each download runs in a thread of its own, which is given up once nothing
has come for `PATIENCE` seconds, and in that thread bodies are counted as they arrive.  It costs
an honest hub nothing: 64 kB in that time are enough.

Waiting for another process that downloads the same file is no silence: its lock is local.

huggingface_hub has no hooks for this, so three of its functions are wrapped, and its sessions get a
response hook.  All of these do nothing in threads that are not such downloads.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, wraps
from importlib import import_module
from typing import Any, TypeVar

from distil.errors import HubError

Result = TypeVar("Result")

# Longer than huggingface_hub's own attempts at a server that is down, which take 83 seconds.
PATIENCE = 120.0
# What is read whole: lists of a repository's files, and texts of errors.
MOST_BYTES_OF_TEXT = 16 * 1024**2
# zlib packs no more than so many bytes into one.
_PACKED = 1032
# Less than this in PATIENCE seconds is nothing.
PIECE = 64 * 1024

_download = threading.local()
_wrapping = threading.Lock()
_wrappers: set[Callable[..., Any]] = set()


class Watch:
    """One download: when something last came, and what a file may be.

    Args:
        where: Name of the repository, for errors.
        check: Called with huggingface_hub's metadata of each file before its body is asked for.

    Attributes:
        file_comes: Whether what is asked for is a file's body.
        waits: Whether another process holds the lock of the file.
    """

    file_comes = False
    waits = False

    def __init__(self, where: str, check: Callable[[Any], None]) -> None:
        self.check = check
        self._where = where
        self._last = time.monotonic()
        self._read = 0  # of the body that comes, when something last came
        self._given_up = False
        self._cut: Callable[[], None] | None = None

    def came(self) -> None:
        """Note that something has come; ends a download that was given up."""
        if self._given_up:
            raise HubError("download aborted", where=self._where)
        self._last = time.monotonic()

    def read(self, size: int) -> None:
        """Note how much of a body has been read; less than a piece more does not count."""
        if size - self._read >= PIECE:
            self.came()
            self._read = size

    def check_size(self, size: int, most: int) -> None:
        """Refuse a body of `size` bytes so far."""
        if size > most:
            raise HubError(
                "the hub's response is too large", expected=f"at most {most:,} bytes",
                found=f"{size:,} and more", where=self._where,
                fix="check HF_ENDPOINT; what answers there is not a hub to be trusted",
            )  # fmt: skip

    def seconds_left(self) -> float:
        """How long to wait for the next sign of life."""
        return PATIENCE if self.waits else self._last + PATIENCE - time.monotonic()

    def begin(self, response: Any) -> None:
        """Note an answer, and how to end the reading of its body if it no longer comes."""
        self.came()
        self._read = 0
        if hasattr(response, "raw"):
            self._cut = getattr(response.raw, "shutdown", None)  # of urllib3 from 2.3 on
        else:
            stream = response.extensions.get("network_stream")
            self._cut = lambda: stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def give_up(self) -> None:
        """Let the thread end, if it has not."""
        self._given_up = True
        if self._cut is not None:
            with suppress(Exception):  # the connection may be gone, or not be what we think
                self._cut()


def within_limits(
    request: Callable[[], Result], *, where: str, check: Callable[[Any], None]
) -> Result:
    """The result of `request`, which downloads something, called in a thread of its own.

    Args:
        request: Calls huggingface_hub.
        where: As in `Watch`.
        check: As in `Watch`.

    Raises:
        HubError: A body is longer than it may be.
        TimeoutError: Nothing has come for too long.
    """
    _wrap()
    watch = Watch(where, check)
    future: Future[Result] = Future()

    def run() -> None:
        _download.watch = watch
        try:
            future.set_result(request())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="distil-download", daemon=True).start()
    try:
        while True:
            with suppress(TimeoutError):
                return future.result(max(0.0, watch.seconds_left()))
            if future.done():  # with an error of that very type
                return future.result()
            if watch.seconds_left() <= 0:
                raise TimeoutError(f"no data received for {PATIENCE:g} seconds")
    finally:
        # Of a finished one, another thread may use the connection by now.
        if not future.done():
            watch.give_up()


def count_answers() -> None:
    """Count the bodies that huggingface_hub's session of this thread receives from now on."""
    from huggingface_hub import get_session  # noqa: PLC0415

    session = get_session()
    # httpx's client from huggingface_hub 1.0 on, a session of requests before.
    hooks = session.event_hooks if hasattr(session, "event_hooks") else session.hooks
    if _count not in hooks["response"]:
        hooks["response"].append(_count)


def _current() -> Watch | None:
    return getattr(_download, "watch", None)


def _wrap() -> None:
    """Let files be judged before they are asked for, and be no longer than was said."""
    from huggingface_hub import file_download  # noqa: PLC0415

    def judged(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def metadata(*arguments: Any, **options: Any) -> Any:
            watch = _current()
            if watch is None:
                return original(*arguments, **options)
            count_answers()
            answer = original(*arguments, **options)
            watch.came()
            watch.check(answer)
            # Xet's own client could not be watched; every file can be had by HTTP as well.
            return replace(answer, xet_file_data=None)

        return metadata

    def limited(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def get(url: str, temp_file: Any, *arguments: Any, **options: Any) -> Any:
            watch = _current()
            # Another attempt, which huggingface_hub makes by calling itself, has such a file.
            if watch is None or isinstance(temp_file, _LimitedFile):
                count_answers()  # the session may be a new one
                return original(url, temp_file, *arguments, **options)
            count_answers()
            watch.file_comes = True
            try:
                file = _LimitedFile(temp_file, watch, options["expected_size"])
                return original(url, file, *arguments, **options)
            finally:
                watch.file_comes = False

        return get

    def waited_for(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        @contextmanager
        def lock(*arguments: Any, **options: Any) -> Iterator[Any]:
            watch = _current()
            if watch is not None:
                watch.waits = True
            with original(*arguments, **options) as held:
                if watch is not None:
                    watch.waits = False
                    watch.came()
                yield held

        return lock

    wrappers = (
        ("get_hf_file_metadata", judged), ("http_get", limited), ("WeakFileLock", waited_for),
    )  # fmt: skip
    with _wrapping:
        for name, wrapper in wrappers:
            original = getattr(file_download, name)
            if original not in _wrappers:
                _wrappers.add(wrapped := wrapper(original))
                setattr(file_download, name, wrapped)


class _LimitedFile:
    """A file that takes no more bytes than were announced."""

    def __init__(self, file: Any, watch: Watch, most: int) -> None:
        self._file = file
        self._watch = watch
        self._most = most

    def write(self, data: bytes) -> int:
        """Write a piece of the body."""
        self._watch.check_size(self._file.tell() + len(data), self._most)
        written: int = self._file.write(data)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _count(response: Any, *_: Any, **__: Any) -> None:
    """A response hook: count the body while it is read."""
    watch = _current()
    if watch is None:
        return
    watch.begin(response)
    # A file is counted as it is written, unpacked; here it only shows that something comes.
    most = None if watch.file_comes and response.status_code in (200, 206) else MOST_BYTES_OF_TEXT
    if hasattr(response, "raw"):
        response.raw = _CountedRaw(response.raw, watch, most)
    else:
        # Of httpx, or of what has taken its place: huggingface_hub depends on one or the other.
        http = import_module(type(response).__module__.partition(".")[0])
        response.stream = _counted_stream_class(http.SyncByteStream)(response, watch, most)


class _CountedRaw:
    """What requests reads a body from: one of urllib3's responses."""

    def __init__(self, raw: Any, watch: Watch, most: int | None) -> None:
        self._raw = raw
        self._watch = watch
        self._most = most

    def stream(self, amt: int = PIECE, decode_content: bool | None = None) -> Iterator[bytes]:
        """The body, unpacked, in pieces small enough to see that it comes."""
        size = 0
        for piece in self._raw.stream(min(amt, PIECE), decode_content=decode_content):
            size += len(piece)
            self._watch.read(size)
            if self._most is not None:
                self._watch.check_size(size, self._most)
            yield piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


@cache
def _counted_stream_class(base: Any) -> Any:
    """The class of what httpx reads a body from, with its pieces counted."""

    class CountedStream(base):  # type: ignore[misc]
        def __init__(self, response: Any, watch: Watch, most: int | None) -> None:
            self._stream = response.stream
            self._watch = watch
            self._most = most
            # httpx unpacks only afterwards.
            self._weight = _PACKED if "content-encoding" in response.headers else 1

        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for piece in self._stream:
                size += len(piece)
                self._watch.read(size)
                if self._most is not None:
                    self._watch.check_size(size * self._weight, self._most)
                yield piece

        def close(self) -> None:
            self._stream.close()

    return CountedStream
