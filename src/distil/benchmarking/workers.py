"""Candidates in processes of their own: own threads, own memory, one computing at a time.

This is the parent's side, `distil.benchmarking.__main__` the child's.  They speak in lines of JSON:
the parent asks ``{"do": METHOD, ...}``, the child answers ``{"answer": VALUE, "seconds": S,
"memory": MB}`` or ``{"error": MESSAGE}``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distil.errors import DistilError

# Seconds before each turn: threads of the last one wait actively for a while before they sleep.
REST = 0.2


class WorkerError(DistilError):
    """A candidate cannot do what it was asked for."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to compute.

    Attributes:
        name: What tables call it.
        runner: Where its class is, "module:Class".  The class takes `options`; its methods are
            what a worker can be asked for.
        options: Of the class.
        environment: Variables that have to be set before anything is imported.
    """

    name: str
    runner: str
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a worker answers.

    Attributes:
        answer: What the method gave.
        seconds: That it took.
        memory: The largest memory of the process so far, in MB; None where it is not known.
    """

    answer: Any
    seconds: float
    memory: float | None


class Worker:
    """A process with one candidate in it, loaded.

    Attributes:
        seconds_to_start: From the start of the process to the candidate being loaded.

    Raises:
        WorkerError: It cannot be loaded.
    """

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        begin = time.perf_counter()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                __package__,
                candidate.runner,
                json.dumps(dict(candidate.options)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **candidate.environment},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._requests, self._replies = process, process.stdin, process.stdout
        try:
            self._receive()
        except BaseException:
            self.close()
            raise
        self.seconds_to_start = time.perf_counter() - begin

    def ask(self, do: str, **arguments: Any) -> Reply:
        """Let it call its method `do`.

        Raises:
            WorkerError: The method failed, or the process ended.
        """
        time.sleep(REST)
        try:
            self._requests.write(json.dumps({"do": do, **arguments}) + "\n")
            self._requests.flush()
        except OSError as error:
            raise self._ended() from error
        return self._receive()

    def close(self) -> None:
        """End the process."""
        self._requests.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._replies.close()

    def _receive(self) -> Reply:
        line = self._replies.readline()
        if not line:
            raise self._ended()
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"], where=self.candidate.name)
        return Reply(**reply)

    def _ended(self) -> WorkerError:
        status = self._process.wait()
        return WorkerError("the process ended", found=f"status {status}", where=self.candidate.name)
