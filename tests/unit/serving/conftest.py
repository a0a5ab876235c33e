"""A server on loopback, whose models are arithmetic on token ids and need no framework."""

import socket
import threading
import time

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("prometheus_client")
httpx = pytest.importorskip("httpx")

from distil.pipelines import PIPELINES  # noqa: E402
from distil.serving.app import Access, Server  # noqa: E402
from distil.serving.engine import Limits  # noqa: E402
from support.folders import make_tokenizer  # noqa: E402
from support.inference import FakeModel  # noqa: E402


class Slow(FakeModel):
    """Computes when it is told to."""

    def __init__(self, task, **options):
        super().__init__(task, **options)
        self.may_compute = threading.Event()
        self.may_compute.set()
        self.computing = threading.Event()

    def score(self, sequences, **options):
        self.computing.set()
        self.may_compute.wait(30)
        return super().score(sequences, **options)


def make_pipelines(*tasks):
    options = {"sequence-classification": {"num_labels": 2}}
    return {
        task: PIPELINES[task](Slow(task, **options.get(task, {})), make_tokenizer())
        for task in tasks
    }


class Running:
    """A server in a thread of this process, by real sockets."""

    def __init__(self, pipelines, *, key=None, **limits):
        import uvicorn

        self.pipelines = pipelines
        self.server = Server(pipelines, Limits(**limits), Access(key=key, log=False))
        config = uvicorn.Config(self.server.app(), log_level="error", access_log=False)
        self.uvicorn = uvicorn.Server(config)
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.uvicorn.run, args=([self.socket],))
        self.thread.start()
        while not self.uvicorn.started:
            time.sleep(0.01)
        self.client = httpx.Client(base_url=self.address, timeout=60)

    def post(self, path, **body):
        return self.client.post(path, json=body)

    def close(self):
        for pipeline in self.pipelines.values():
            pipeline.model.may_compute.set()
        self.client.close()
        self.uvicorn.should_exit = True
        self.thread.join(30)
        self.socket.close()


@pytest.fixture
def start():
    running = []

    def start(*tasks, **options):
        running.append(Running(make_pipelines(*tasks), **options))
        return running[-1]

    yield start
    for one in running:
        one.close()
