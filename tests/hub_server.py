"""A small server that speaks the part of the hub's protocol that loading a model needs.

It runs on loopback and keeps repositories in memory.  Large files are redirected to another
host name, as the hub redirects to its content delivery network.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

LFS_SUFFIXES = (".safetensors", ".bin", ".h5")


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
        self.failing = False
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
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self.stop()


class _Handler(BaseHTTPRequestHandler):
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
        if self.hub.failing:
            return self._send(503, b"")
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[0] == "lfs":
            repository = self.hub.repositories["/".join(parts[1:-2])]
            return self._send_file(repository.commits[parts[-2]][parts[-1]], {})
        if parts[:2] == ["api", "models"]:
            name, _, revision = "/".join(parts[2:]).partition("/revision/")
        else:
            name, _, rest = "/".join(parts).partition("/resolve/")
            revision, _, file = rest.partition("/")
        repository = self.hub.repositories.get(name)
        if repository is None:
            return self._refuse(404, "RepoNotFound")
        if repository.token not in (None, token):
            gated = repository.gated
            if not (gated and parts[0] == "api"):
                return self._refuse(401, "GatedRepo" if gated else "RepoNotFound")
        revision = revision or "main"
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            return self._refuse(404, "RevisionNotFound")
        files = repository.commits[commit]
        if parts[0] == "api":
            siblings = [{"rfilename": other} for other in files]
            content = {"id": name, "sha": commit, "siblings": siblings, "private": False}
            return self._send(200, json.dumps(content).encode())
        if file not in files:
            return self._refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
        return self._resolve(name, commit, file, files[file])

    def _resolve(self, name: str, commit: str, file: str, data: bytes) -> None:
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        headers = {"X-Repo-Commit": commit, "ETag": etag}
        if file.endswith(LFS_SUFFIXES):
            headers["X-Linked-Etag"] = etag
            headers["X-Linked-Size"] = str(len(data))
            headers["Location"] = f"http://localhost:{self.hub.port}/lfs/{name}/{commit}/{file}"
            return self._send(302, b"", headers)
        return self._send_file(data, headers)

    def _send_file(self, data: bytes, headers: dict[str, str]) -> None:
        wanted = self.headers.get("Range")
        if wanted is None:
            return self._send(200, data, headers)
        first = int(wanted.removeprefix("bytes=").partition("-")[0])
        span = f"bytes {first}-{len(data) - 1}/{len(data)}"
        return self._send(206, data[first:], {**headers, "Content-Range": span})

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self._send(status, b"", {**(headers or {}), "X-Error-Code": code, "X-Error-Message": code})

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)
