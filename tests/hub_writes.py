"""The part of the hub's protocol that takes files: repositories, branches, LFS, commits."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import yaml

# The token that may write.
TOKEN = "hf_may_write"

LARGE = (".safetensors", ".bin", ".h5")


class Writes:
    """What a handler of `hub_server` needs for it; contents by their digest are the server's."""

    hub: Any
    path: str
    headers: Any
    rfile: Any

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = self.path.partition("?")[0].strip("/").split("/")
        if self.hub.failing:
            return self._reply(503, {})
        if parts == ["api", "validate-yaml"]:
            found = problems(json.loads(body)["content"])
            return self._reply(400 if found else 200, {"errors": found, "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._reply(401, {"error": "Invalid username or password."})
        if parts == ["api", "repos", "create"]:
            return self._create(json.loads(body))
        if parts[-2:] == ["objects", "batch"]:
            return self._offer(json.loads(body))
        name, action, branch = "/".join(parts[2:4]), parts[4], parts[5]
        answer = {"preupload": self._sort, "commit": self._take, "branch": self._branch}[action]
        return answer(name, branch, body)

    def do_PUT(self) -> None:  # noqa: N802
        data = self.rfile.read(int(self.headers["Content-Length"]))
        digest = self.path.rpartition("/")[2]
        assert hashlib.sha256(data).hexdigest() == digest
        self.hub.contents[digest] = data
        self._reply(200, {})

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        there = name in self.hub.repositories
        if not there:
            self.hub.add(name, {".gitattributes": b""})
            self.hub.private[name] = asked.get("private")
        self._reply(409 if there else 200, {"url": f"{self.hub.url}/{name}"})

    def _branch(self, name: str, branch: str, _: bytes) -> None:
        repository = self.hub.repositories[name]
        there = branch in repository.branches
        repository.branches.setdefault(branch, repository.branches["main"])
        self._reply(409 if there else 201, {})

    def _sort(self, name: str, branch: str, body: bytes) -> None:
        files = [file["path"] for file in json.loads(body)["files"]]
        modes = {file: "lfs" if file.endswith(LARGE) else "regular" for file in files}
        answers = [
            {"path": file, "uploadMode": mode, "shouldIgnore": False}
            for file, mode in modes.items()
        ]
        self._reply(200, {"files": answers})

    def _offer(self, asked: dict[str, Any]) -> None:
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.hub.url}/lfs-store/{one['oid']}"}}}
            for one in asked["objects"]
        ]
        self._reply(200, {"transfer": "basic", "objects": objects})

    def _take(self, name: str, branch: str, body: bytes) -> None:
        repository = self.hub.repositories[name]
        files = dict(repository.commits[repository.branches[branch]])
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.contents[value["oid"]]
            else:
                self.hub.messages.append(value["summary"])
        commit = self.hub.add(name, files, branch=branch)
        url = f"{self.hub.url}/{name}/commit/{commit}"
        self._reply(200, {"success": True, "commitOid": commit, "commitUrl": url})

    def _reply(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def problems(card: str) -> list[dict[str, str]]:
    """What the hub would refuse in a card's metadata, by its documentation of model cards."""
    metadata = yaml.safe_load(card.split("---")[1])
    found = []
    base = metadata.get("base_model", "a")
    if base.startswith((".", "/")) or base.count("/") > 1:
        found.append("base_model must be the name of a model on the hub")
    for entry in metadata.get("model-index", ()):
        for result in entry["results"]:
            if not {"type", "name"} <= {*result["dataset"]} or "type" not in result["task"]:
                found.append("model-index has no task or data set")
            found += ["a metric has no value" for one in result["metrics"] if "value" not in one]
    return [{"message": text} for text in found]
