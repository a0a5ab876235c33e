"""Bodies that mean nothing, clients that are slow or break off, an end in the middle of work."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("prometheus_client")

import distil  # noqa: E402
from distil.serving import http  # noqa: E402
from distil.serving.protocols import ROUTES  # noqa: E402

CLASSIFY = "sequence-classification"
TASKS = (
    "base", CLASSIFY, "token-classification", "masked-lm", "question-answering", "multiple-choice",
)  # fmt: skip
PATHS = [*(route.path for route in ROUTES), f"/v2/models/{CLASSIFY}/infer"]
# What stands where something else is meant.
WRONG = (
    None,
    True,
    0,
    -1,
    1e308,
    "",
    " ",
    "x" * 3000,
    "\ud800",
    [],
    [[]],
    {},
    {"": 0},
    [None],
    10**30,
)
RIGHT = {
    "inputs": ["the film", {"text": "it"}, [["it", "is"]]], "input": ["it"], "model": [CLASSIFY],
    "top_k": [2], "truncate": [True], "outputs": [[{"name": "label"}]], "id": ["7"],
    "parameters": [{"binary_data_output": True}],
}  # fmt: skip


def bodies(count):
    """Paths and bodies: fields of all protocols with any values, or bytes cut and changed."""
    draw = random.Random(11)
    for _ in range(count):
        names = draw.sample([*RIGHT, "stride", "nonsense"], draw.randint(1, 4))
        values = {name: draw.choice([*WRONG, *RIGHT.get(name, [])]) for name in names}
        content = json.dumps(values).encode()
        if draw.random() < 0.3:
            place = draw.randrange(len(content))
            content = content[:place] + draw.randbytes(2) + content[place + draw.randint(0, 9) :]
        yield draw.choice(PATHS), content


def test_a_thousand_bodies_that_mean_little(start):
    server = start(*TASKS, characters=1000)
    seen = {}
    for path, content in bodies(1000):
        headers = {}
        if path.startswith("/v2") and len(content) % 3 == 0:
            headers["Inference-Header-Content-Length"] = str(len(content) - 4)
        status = server.client.post(path, content=content, headers=headers).status_code
        assert status == 200 or 400 <= status < 500, (path, content)
        seen[status] = seen.get(status, 0) + 1
    assert {200, 400, 404, 413, 422} <= seen.keys()
    assert seen[422] > 200


def raw(address, content):
    """A connection that has sent something."""
    host, port = address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(content)
    return connection


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"POST /v1/classify HTT",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{",
        b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
        b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 20_000,
    ],
)
@pytest.mark.parametrize("ends", [True, False])
def test_clients_that_break_off_or_wait_harm_nobody(start, content, ends):
    server = start(CLASSIFY)
    connections = []
    for _ in range(20):
        try:
            connections.append(raw(server.address, content))
        except OSError:  # the server was the first to end it
            continue
        if ends:
            connections.pop().close()
    try:
        assert server.post("/v1/classify", inputs="the film").status_code == 200
    finally:
        for one in connections:
            one.close()
    assert server.post("/v1/classify", inputs="the film").status_code == 200


def test_a_body_that_does_not_come(start):
    server = start(CLASSIFY, seconds=0.2)
    head = b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"
    with raw(server.address, head) as connection:  # which would keep the server from ending
        connection.settimeout(30)
        assert b" 408 " in connection.recv(4096)


def test_a_client_that_reads_nothing_holds_up_nobody(start):
    server = start("base", queue=10**9)
    body = json.dumps({"inputs": ["the film"] * 1000}).encode()
    head = f"POST /v1/embed HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    connections = [raw(server.address, head + body) for _ in range(5)]
    assert server.post("/v1/embed", inputs="the film").status_code == 200
    for one in connections:
        one.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on Unix")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_loses_no_request(number):
    """What the server has logged as answered is what clients have received; it ends with 0."""
    script = Path(__file__).parents[2] / "support/serve_slowly.py"
    source = str(Path(distil.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, str(script), "0.02"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    address = process.stderr.readline().split()[-1]
    statuses, half = [], threading.Event()

    def ask():
        with httpx.Client(base_url=address, timeout=60) as client:
            while True:
                try:
                    answer = client.post("/v1/classify", json={"inputs": "the film"})
                except httpx.TransportError:  # refused, or an idle connection that was closed
                    return
                statuses.append((answer.status_code, answer.json()["results"]))
                if len(statuses) > 30:
                    half.set()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert half.wait(60)
    process.send_signal(number)
    logged = [json.loads(line)["status"] for line in process.stdout]
    for thread in threads:
        thread.join(60)
    assert process.wait(60) == 0
    assert process.stderr.read() == ""
    process.stdout.close()
    process.stderr.close()
    assert {status for status, _ in statuses} == set(logged) == {200}
    assert len(statuses) == len(logged)
    assert len({json.dumps(results) for _, results in statuses}) == 1


def test_idle_connections_outlast_those_of_a_load_balancer(monkeypatch):
    """Else the balancer sends a request down a connection that the server is just closing."""
    configs = []
    monkeypatch.setattr(http._Server, "run", lambda self: configs.append(self.config))
    http.run(lambda: None, host="127.0.0.1", port=0)
    assert configs[0].timeout_keep_alive > 60
