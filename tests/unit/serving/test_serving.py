"""What a server answers, and what it does when it is too much."""

import json
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("prometheus_client")

from distil.errors import InputError  # noqa: E402
from distil.serving import http, pipelines_of, serve  # noqa: E402

CLASSIFY = "sequence-classification"
OWN = {
    "classify": (CLASSIFY, ["the good film", {"text": "who", "text_pair": "was born"}]),
    "tokens": ("token-classification", ["the good film"]),
    "answers": ("question-answering", [{"question": "who", "context": "it was paris"}]),
    "fill-mask": ("masked-lm", ["the [MASK] film"]),
    "choices": ("multiple-choice", [{"prompt": "who", "choices": ["paris", "film"]}]),
    "embed": ("base", ["the good film", "paris"]),
}


def plain(results):
    return json.loads(json.dumps(results, default=lambda array: array.tolist()))


@pytest.mark.parametrize("name", OWN)
def test_answers_are_the_pipelines(start, name):
    task, inputs = OWN[name]
    server = start(task)
    answer = server.post(f"/v1/{name}", inputs=inputs)
    assert answer.status_code == 200, answer.text
    expected = [result for _, result in server.pipelines[task].stream(enumerate(inputs))]
    assert answer.json() == {"model": task, "results": plain(expected)}


def test_options_are_the_pipelines(start):
    server = start(CLASSIFY)
    answer = server.post("/v1/classify", inputs="the film", top_k=2, function_to_apply="none")
    (result,) = answer.json()["results"]
    expected = server.pipelines[CLASSIFY](["the film"], top_k=2, function_to_apply="none")
    assert result == expected[0]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/v1/classify", {}, 422, "inputs is invalid"),
        ("/v1/classify", {"inputs": []}, 422, "inputs is invalid"),
        ("/v1/classify", {"inputs": [7]}, 422, "inputs[0]"),
        ("/v1/classify", {"inputs": ["a", " "]}, 422, "inputs[1]"),
        ("/v1/classify", {"inputs": "a", "topk": 3}, 422, "topk"),
        ("/v1/classify", {"inputs": "a", "top_k": -1}, 422, "top_k"),
        ("/v1/classify", {"inputs": "a", "model": 7}, 422, "model"),
        ("/v1/classify", {"inputs": "a", "model": "other"}, 404, "unknown model"),
        ("/v1/embed", {"inputs": "a"}, 404, "no model is served for this task"),
        ("/v1/classify", {"inputs": ["a"] * 5}, 413, "too many inputs"),
        ("/v1/classify", {"inputs": "a " * 600}, 413, "too large"),
        ("/predict", {"inputs": [["a", "b", "c"]]}, 422, "inputs[0]"),
        ("/predict", {"inputs": "a", "truncate": "yes"}, 422, "truncate"),
        ("/predict", {"inputs": "a", "prompt_name": "query"}, 422, "prompt_name"),
        ("/v2/models/sequence-classification/infer", {"inputs": [], "x": 1}, 422, "unknown field"),
        (
            "/v2/models/sequence-classification/infer",
            {"inputs": [], "outputs": ["x"]},
            422,
            "label",
        ),
        ("/v2/models/none/infer", {"inputs": []}, 404, "unknown model"),
        (f"/v2/models/{CLASSIFY}/infer", {"inputs": []}, 422, "BYTES"),
    ],
)
def test_bad_requests(start, path, body, status, words):
    server = start(CLASSIFY, rows=4, characters=1000)
    answer = server.client.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b'{"inputs": NaN', b"[" * 100_000])
def test_bodies_that_are_no_json(start, content):
    answer = start(CLASSIFY).client.post("/v1/classify", content=content)
    assert answer.status_code == 400


def test_a_body_without_end(start):
    server = start(CLASSIFY, characters=1000)
    sent, many = [], 2000

    def endless():  # as far as the server can tell; the test ends after 130 MB
        for number in range(many):
            sent.append(number)
            yield b" " * 65536

    # The connection may be closed while the body is sent.
    with suppress(httpx.TransportError):
        answer = server.client.post("/v1/classify", content=endless())
        assert answer.status_code == 413
    assert len(sent) < many


def test_an_api_key(start):
    server = start(CLASSIFY, key="secret")
    assert server.post("/v1/classify", inputs="a").status_code == 401
    headers = {"Authorization": "Bearer secret"}
    answer = server.client.post("/v1/classify", json={"inputs": "a"}, headers=headers)
    assert answer.status_code == 200
    wrong = {"Authorization": "Bearer Secret"}
    assert (
        server.client.post("/v1/classify", json={"inputs": "a"}, headers=wrong).status_code == 401
    )
    assert server.client.get("/health").status_code == 200


def in_background(function, *arguments):
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments)))
    thread.start()
    return thread, results


def wait_until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_what_waits_is_computed_together_and_as_alone(start):
    server = start(CLASSIFY)
    model, engine = server.pipelines[CLASSIFY].model, server.server.engines[CLASSIFY]
    texts = ["the good film", "who was born", "in paris", "it is bad"]
    alone = [server.post("/v1/classify", inputs=text).json()["results"] for text in texts]
    model.may_compute.clear()
    model.computing.clear()
    first, _ = in_background(lambda: server.post("/v1/classify", inputs="a"))
    model.computing.wait(30)
    others = [in_background(lambda t=t: httpx.post(f"{server.address}/v1/classify",
                                                   json={"inputs": t}, timeout=60))
              for t in texts]  # fmt: skip
    wait_until(lambda: engine.queued == sum(len(t.split()) + 2 for t in texts))
    model.asked.clear()
    model.may_compute.set()
    for thread in (first, *(thread for thread, _ in others)):
        thread.join(30)
    assert [len(batch) for batch in model.asked] == [1, len(texts)]
    assert [answers[0].json()["results"] for _, answers in others] == alone


def test_a_full_queue_refuses_and_says_when_to_come_again(start):
    server = start(CLASSIFY, queue=8)
    model, engine = server.pipelines[CLASSIFY].model, server.server.engines[CLASSIFY]
    model.may_compute.clear()
    threads = [in_background(lambda: server.post("/v1/classify", inputs="a"))]
    model.computing.wait(30)
    threads.append(in_background(lambda: httpx.post(
        f"{server.address}/v1/classify", json={"inputs": "the good film was in paris"}, timeout=60
    )))  # fmt: skip
    wait_until(lambda: engine.queued == 8)
    refused = httpx.post(f"{server.address}/v1/classify", json={"inputs": "a"})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    model.may_compute.set()
    for thread, answers in threads:
        thread.join(30)
        assert answers[0].status_code == 200


@pytest.mark.parametrize("value", ["-1", "1.5", "soon", "9" * 400])
def test_a_deadline_that_is_none(start, value):
    answer = start(CLASSIFY).client.post(
        "/v1/classify", json={"inputs": "a"}, headers={"x-request-timeout-ms": value}
    )
    assert answer.status_code == 400
    assert "x-request-timeout-ms is not valid" in answer.json()["error"]


def test_as_many_connections_as_the_system_allows(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "distil.serving.http.resource",
        SimpleNamespace(
            RLIMIT_NOFILE="files", getrlimit=lambda _: (1024, 4096),
            setrlimit=lambda *given: asked.append(given),
        ),
    )  # fmt: skip
    monkeypatch.setattr("distil.serving.http._Server.run", lambda server: None)
    http.run(None, host="127.0.0.1", port=0)
    assert asked == [("files", (4096, 4096))]


def test_a_deadline_is_kept_in_the_queue(start):
    server = start(CLASSIFY)
    model, engine = server.pipelines[CLASSIFY].model, server.server.engines[CLASSIFY]
    model.may_compute.clear()
    first, _ = in_background(lambda: server.post("/v1/classify", inputs="a"))
    model.computing.wait(30)
    late, answers = in_background(lambda: httpx.post(
        f"{server.address}/v1/classify", json={"inputs": "paris"}, timeout=60,
        headers={"x-request-timeout-ms": "1"},
    ))  # fmt: skip
    wait_until(lambda: engine.queued)
    time.sleep(0.01)
    model.asked.clear()
    model.may_compute.set()
    first.join(30)
    late.join(30)
    assert answers[0].status_code == 504
    assert len(model.asked) == 1  # the late one was not computed


def test_clients_that_are_gone_are_not_computed_for(start):
    server = start(CLASSIFY)
    model, engine = server.pipelines[CLASSIFY].model, server.server.engines[CLASSIFY]
    model.may_compute.clear()
    first, _ = in_background(lambda: server.post("/v1/classify", inputs="a"))
    model.computing.wait(30)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.address}/v1/classify", json={"inputs": "paris"}, timeout=1)
    wait_until(lambda: engine._waiting and engine._waiting[0].done.cancelled())
    model.asked.clear()
    model.may_compute.set()
    first.join(30)
    assert server.post("/v1/classify", inputs="it").status_code == 200
    assert [len(batch) for batch in model.asked] == [1, 1]


def test_what_was_taken_is_answered_when_the_server_ends(start):
    server = start(CLASSIFY)
    model, engine = server.pipelines[CLASSIFY].model, server.server.engines[CLASSIFY]
    model.may_compute.clear()
    address = f"{server.address}/v1/classify"
    ask = lambda: httpx.post(address, json={"inputs": "a"}, timeout=60)  # noqa: E731
    threads = [in_background(ask)]
    model.computing.wait(30)
    threads += [in_background(ask) for _ in range(2)]
    wait_until(lambda: engine.queued == 2 * 3)
    server.uvicorn.should_exit = True
    model.may_compute.set()
    for thread, answers in threads:
        thread.join(30)
        assert answers[0].status_code == 200


def test_counters_and_information(start):
    server = start(CLASSIFY)
    server.post("/v1/classify", inputs="the film")
    text = server.client.get("/metrics").text
    assert 'distil_tokens_total{model="sequence-classification"} 4.0' in text
    assert 'distil_requests_total{path="/v1/classify",status="200"} 1.0' in text
    assert 'distil_queue_tokens{model="sequence-classification"} 0.0' in text
    info = server.client.get("/info").json()
    assert info["models"][CLASSIFY]["task"] == CLASSIFY
    document = server.client.get("/openapi.json").json()
    assert {"/v1/classify", "/embed", "/v1/embeddings", "/health"} <= document["paths"].keys()
    assert "<title>distil</title>" in server.client.get("/").text


@pytest.mark.parametrize("port", [-1, 65536, "8000"])
def test_there_is_no_such_port(port):
    with pytest.raises(InputError, match="port"):
        serve({}, port=port)


def test_a_public_address_wants_a_key():
    with pytest.raises(InputError, match="other machines"):
        serve("sst2-small", host="0.0.0.0")


def test_without_a_model_all_that_come_with_the_package_are_served(monkeypatch):
    monkeypatch.setattr("distil.serving.pipeline", lambda *, model, **_: model.name)
    names = ("sentence-small", "sst2-small")
    assert pipelines_of(None) == dict(zip(names, names, strict=True))


def test_unknown_limits_are_refused():
    with pytest.raises(InputError, match="unknown limit"):
        serve({}, quue=3)


def test_what_a_pipeline_has_is_not_chosen_again(start, monkeypatch):
    monkeypatch.setattr("distil.serving.http.run", lambda *_, **__: None)
    pipeline = start(CLASSIFY).pipelines[CLASSIFY]
    for name, value in {
        "engine": "openvino", "framework": "tf", "dtype": "float32", "threads": 2,
    }.items():  # fmt: skip
        with pytest.raises(InputError, match=rf"has this already[\s\S]*{name}={value!r}"):
            serve({"mood": pipeline}, **{name: value})


def test_inputs_that_are_cut_are_named(start):
    server = start(CLASSIFY)
    long = "it " * 60
    answer = server.post("/v1/classify", inputs=["it", long, "is", long])
    assert answer.headers["x-truncated-inputs"] == "1,3"
    assert "x-truncated-inputs" not in server.post("/v1/classify", inputs="it").headers
    meant = server.post("/v1/classify", inputs=long, truncation=True)
    assert "x-truncated-inputs" not in meant.headers


def test_names_of_models(start):
    with pytest.raises(InputError, match="must be unique"):
        pipelines_of([])
    pipeline = start(CLASSIFY).pipelines[CLASSIFY]
    assert list(pipelines_of({"mood": pipeline})) == ["mood"]
    with pytest.raises(InputError, match="must be unique"):
        pipelines_of([pipeline, pipeline])
