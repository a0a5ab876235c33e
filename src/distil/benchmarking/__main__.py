"""The child of `distil.benchmarking.workers`: one candidate, asked over stdin.

``python -m distil.benchmarking MODULE:CLASS OPTIONS``, the options as a JSON object.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any


def serve(runner: str, options: Mapping[str, Any], requests: IO[str], replies: IO[str]) -> None:
    """Load the candidate, then answer until there is nothing more to read."""

    def reply(work: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        line: dict[str, Any]
        try:
            answer = work()
            seconds = time.perf_counter() - begin
            line = {"answer": answer, "seconds": seconds, "memory": peak_memory()}
            text = json.dumps(line)
        except Exception as error:  # whatever it is, the parent is told
            text = json.dumps({"error": f"{type(error).__name__}: {error}"})
        replies.write(text + "\n")
        replies.flush()

    loaded: list[Any] = []

    def load() -> None:
        module, _, name = runner.partition(":")
        loaded.append(getattr(importlib.import_module(module), name)(**options))

    def work(request: dict[str, Any]) -> Any:
        return getattr(loaded[0], request.pop("do"))(**request)

    reply(load)
    for line in requests:
        reply(partial(work, json.loads(line)))


def peak_memory() -> float | None:
    """The largest memory that this process has had, in MB; None where that is not known."""
    # Linux keeps what getrusage gives through exec: a child begins with its parent's peak.
    with suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        if found := re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE):
            return int(found[1]) / 1024
    try:
        import resource  # noqa: PLC0415 - Windows has none
    except ImportError:
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    # What libraries print must not come between the replies.
    replies_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.argv[1], json.loads(sys.argv[2]), sys.stdin, replies_to)
