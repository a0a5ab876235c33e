"""A small server that speaks the part of the hub's protocol that loading a model needs.

It runs on loopback and keeps repositories in memory.  Large files are redirected to another
host name, as the hub redirects to its content delivery network.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import pytest
from huggingface_hub import constants, utils

from hub_writes import Writes

# huggingface_hub keeps its connections; from 1.0 on, what forgets them is called close_session.
forget_sessions = getattr(utils, "close_session", None) or utils.reset_sessions

LFS_SUFFIXES = (".safetensors", ".bin", ".h5")

# How bodies may come: as long as the reader takes them, a byte now and then, or not at all.
ENDLESS, SLOW, SILENT = "endless", "slow", "silent"


@dataclass
class Repository:
    """The commits of one repository: files by commit, and the commits of its branches."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    gated: bool = False


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    host: str
    token: str | None


class HubServer:
    """Use it in a ``with`` statement, and give its `url` as HF_ENDPOINT."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        # What is written, see hub_writes.
        self.contents: dict[str, bytes] = {}
        self.messages: list[str] = []
        self.private: dict[str, bool | None] = {}
        self.failing = False
        # Headers of the answers about files, in place of the right ones.
        self.lies: dict[str, str] = {}
        self.commit_of_answers: str | None = None
        # How the bodies come of what has a path that ends so.
        self.bodies: dict[str, str] = {}
        self.stopping = threading.Event()
        outer = self

        class Handler(_Handler):
            hub = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def add(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        branch: str = "main",
        token: str | None = None,
        gated: bool = False,
    ) -> str:
        """Commit `files` to a branch of a repository, and return the commit."""
        repository = self.repositories.setdefault(name, Repository())
        repository.token, repository.gated = token, gated
        commit = hashlib.sha1(repr((name, branch, sorted(files.items()))).encode()).hexdigest()
        repository.commits[commit] = dict(files)
        repository.branches[branch] = commit
        return commit

    def downloads(self) -> list[str]:
        """Names of the files that were asked for, not counting what only asked about them."""
        paths = [request.path for request in self.requests if request.method == "GET"]
        return [path.rpartition("/")[2] for path in paths if not path.startswith("/api/")]

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self.stop()


@contextmanager
def running_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that this process takes for the real one."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # huggingface_hub reads the environment once, when it is first imported.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    forget_sessions()
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, code, headers or {})


class _Handler(Writes, BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        host = self.headers.get("Host", "")
        self.hub.requests.append(Request(self.command, self.path, host, token))
        parts = self.path.partition("?")[0].strip("/").split("/")
        try:
            if self.hub.failing:
                raise _RefusedError(503, "Unavailable")
            if parts[0] == "lfs":
                repository = self.hub.repositories["/".join(parts[1:-2])]
                self._send_file(repository.commits[parts[-2]][parts[-1]], {})
            elif parts[:2] == ["api", "models"]:
                name, _, revision = "/".join(parts[2:]).partition("/revision/")
                self._describe(name, self._commit(name, revision, token, file=False))
            else:
                name, _, rest = "/".join(parts).partition("/resolve/")
                revision, _, file = rest.partition("/")
                self._resolve(name, self._commit(name, revision, token, file=True), file)
        except _RefusedError as error:
            status, code, headers = error.args
            self._send(status, b"", {**headers, "X-Error-Code": code, "X-Error-Message": code})

    def _commit(self, name: str, revision: str, token: str | None, *, file: bool) -> str:
        repository = self.hub.repositories.get(name)
        if repository is None:
            raise _RefusedError(404, "RepoNotFound")
        # Anybody may read what a gated repository holds, by name.
        if repository.token not in (None, token) and (file or not repository.gated):
            raise _RefusedError(401, "GatedRepo" if repository.gated else "RepoNotFound")
        commit = repository.branches.get(revision or "main", revision)
        if commit not in repository.commits:
            raise _RefusedError(404, "RevisionNotFound")
        return commit

    def _describe(self, name: str, commit: str) -> None:
        files = self.hub.repositories[name].commits[commit]
        siblings = [{"rfilename": file} for file in files]
        content = {
            "id": name,
            "sha": self.hub.commit_of_answers or commit,
            "siblings": siblings,
            "private": False,
        }
        self._send(200, json.dumps(content).encode())

    def _resolve(self, name: str, commit: str, file: str) -> None:
        files = self.hub.repositories[name].commits[commit]
        if file not in files:
            raise _RefusedError(404, "EntryNotFound", {"X-Repo-Commit": commit})
        data = files[file]
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        headers = {"X-Repo-Commit": commit, "ETag": etag}
        if file.endswith(LFS_SUFFIXES):
            headers["X-Linked-Etag"] = etag
            headers["X-Linked-Size"] = str(len(data))
            headers["Location"] = f"http://localhost:{self.hub.port}/lfs/{name}/{commit}/{file}"
            return self._send(302, b"", headers | self.hub.lies)
        return self._send_file(data, headers | self.hub.lies)

    def _send_file(self, data: bytes, headers: dict[str, str]) -> None:
        wanted = self.headers.get("Range")
        if wanted is None:
            return self._send(200, data, headers)
        first = int(wanted.removeprefix("bytes=").partition("-")[0])
        span = f"bytes {first}-{len(data) - 1}/{len(data)}"
        return self._send(206, data[first:], {**headers, "Content-Range": span})

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        way = next((way for end, way in self.hub.bodies.items() if self.path.endswith(end)), None)
        if way == ENDLESS and self.command == "GET":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            with suppress(OSError):  # the reader has enough
                self._write(data, way)

    def _write(self, data: bytes, way: str | None) -> None:
        if way is None:
            self.wfile.write(data)
        while way == ENDLESS and not self.hub.stopping.is_set():
            self.wfile.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        for place in range(len(data) if way == SLOW else 0):
            self.wfile.write(data[place : place + 1])
            if self.hub.stopping.wait(0.02):
                return
        if way == SILENT:
            self.hub.stopping.wait()
