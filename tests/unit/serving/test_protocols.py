"""The protocols of others: bodies, statuses and errors as their documents have them."""

import base64
import json

import numpy as np
import pytest

pytest.importorskip("httpx")
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("prometheus_client")

CLASSIFY = "sequence-classification"
TEXTS = ["the good film", "who was born in paris ?", "ü"]


def plain(results):
    return json.loads(json.dumps(results, default=lambda array: array.tolist()))


def test_text_embeddings_inference(start):
    server = start("base", CLASSIFY)
    embed, classify = server.pipelines["base"], server.pipelines[CLASSIFY]
    assert server.post("/embed", inputs="paris").json() == [embed("paris").tolist()]
    plain_vectors = server.post("/embed", inputs=["paris", "it"], normalize=False).json()
    assert plain_vectors == plain(embed(["paris", "it"], normalize=False))
    alone = server.post("/predict", inputs="the film").json()
    assert alone == classify(["the film"], top_k=None)[0]
    pair = server.post("/predict", inputs=["who", "was born"]).json()
    assert pair == classify([{"text": "who", "text_pair": "was born"}], top_k=None)[0]
    several = server.post("/predict", inputs=[["the film"], ["who", "was born"]]).json()
    assert several == [alone, pair]


class TestTextEmbeddingsInference:
    """By its OpenAPI document (1.8): bodies, statuses, and the form of errors."""

    @pytest.fixture
    def post(self, start):
        self.server = start("base", CLASSIFY)
        return self.server.post

    def test_embed(self, post):
        vectors = self.server.pipelines["base"](TEXTS)
        assert post("/embed", inputs=TEXTS, normalize=True, truncate=False, prompt_name=None,
                    dimensions=None).json() == [one.tolist() for one in vectors]  # fmt: skip

    def test_predict(self, post):
        pipe = self.server.pipelines[CLASSIFY]
        found = post("/predict", inputs=[["who", "was born"]], raw_scores=True).json()
        pair = {"text": "who", "text_pair": "was born"}
        assert found == pipe([pair], top_k=None, function_to_apply="none")
        assert {"label", "score"} == set(found[0][0])

    def test_texts_that_are_too_long(self, post):
        for path in ("/embed", "/predict"):
            answer = post(path, inputs="it " * 60)
            assert answer.status_code == 413
            assert answer.json()["error_type"] == "Validation"
            assert post(path, inputs="it " * 60, truncate=True).status_code == 200

    @pytest.mark.parametrize("field", ["prompt_name", "dimensions", "truncation_direction"])
    def test_what_has_no_effect_is_refused(self, post, field):
        answer = post("/embed", inputs="it", **{field: "query"})
        assert answer.status_code == 422
        assert field in answer.json()["error"]


def test_openai(start):
    server = start("base")
    body = server.post("/v1/embeddings", input=["paris", "it is"], model="base").json()
    vectors = server.pipelines["base"](["paris", "it is"])
    assert [one["embedding"] for one in body["data"]] == plain(vectors)
    assert body["usage"]["prompt_tokens"] == 3 + 4  # with [CLS] and [SEP]
    coded = server.post("/v1/embeddings", input="paris", encoding_format="base64").json()
    found = np.frombuffer(base64.b64decode(coded["data"][0]["embedding"]), "<f4")
    assert (found == vectors[0]).all()
    assert server.post("/v1/embeddings", input="a", dimensions=3).status_code == 422
    long = server.post("/v1/embeddings", input="it " * 60)
    assert (long.status_code, long.json()["error"]["code"]) == (413, "too_long")


def test_open_inference_protocol(start):
    server = start("base", CLASSIFY)
    tensor = {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["paris", "it is"]}
    body = server.post(f"/v2/models/{CLASSIFY}/infer", inputs=[tensor], id="7").json()
    results = server.pipelines[CLASSIFY](["paris", "it is"])
    assert body["id"] == "7"
    assert [one["data"] for one in body["outputs"]] == [
        [one["label"] for one in results], [one["score"] for one in results],
    ]  # fmt: skip
    body = server.post("/v2/models/base/infer", inputs=[tensor]).json()
    vectors = np.array(body["outputs"][0]["data"]).reshape(body["outputs"][0]["shape"])
    np.testing.assert_array_equal(vectors, server.pipelines["base"](["paris", "it is"]))
    assert server.client.get("/v2/health/ready").json() == {"ready": True}
    assert server.client.get("/v2/models/base").json()["name"] == "base"
    assert server.client.get("/v2/models/base/ready").json() == {"name": "base", "ready": True}
    for path in ("/v2/models/none", "/v2/models/none/ready"):
        answer = server.client.get(path)
        assert (answer.status_code, answer.json()["error_type"]) == (404, "model_not_found")


@pytest.mark.parametrize("outputs", [["score"], [{"name": "score"}]])
def test_outputs_that_are_asked_for(start, outputs):
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["paris"]}
    answer = start(CLASSIFY).post(f"/v2/models/{CLASSIFY}/infer", inputs=[tensor], outputs=outputs)
    assert [one["name"] for one in answer.json()["outputs"]] == ["score"]


@pytest.mark.parametrize("shape", [[], [2], [1] * 9, [True], ["1"], 1, None])
def test_shapes_that_are_not_those_of_the_texts(start, shape):
    tensor = {"name": "text", "datatype": "BYTES", "shape": shape, "data": ["paris"]}
    answer = start(CLASSIFY).post(f"/v2/models/{CLASSIFY}/infer", inputs=[tensor])
    assert answer.status_code == 422
    assert "inputs[0].shape" in answer.json()["error"]


@pytest.mark.parametrize(
    ("model", "more", "status", "words"),
    [
        ("token-classification", {}, 404, "does not cover this task"),
        (CLASSIFY, {"parameters": {"priority": 1}}, 422, "priority"),
        (CLASSIFY, {"parameters": [1]}, 422, "an object"),
        (CLASSIFY, {"outputs": [{"name": "embedding"}]}, 422, "label, score"),
    ],
)
def test_open_inference_that_is_refused(start, model, more, status, words):
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["paris"]}
    server = start(CLASSIFY, "token-classification")
    answer = server.post(f"/v2/models/{model}/infer", inputs=[tensor], **more)
    assert answer.status_code == status
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("binary", "length", "words"),
    [
        (b"\x02\0\0\0it", 5, "not JSON"),
        (b"\x03\0\0\0it", None, "truncated"),
        (b"\x02\0\0", None, "truncated"),
        (b"\x01\0\0\0\xff", None, "UTF-8"),
        (b"\x02\0\0\0it", 10_000, "too short"),
        (b"\x02\0\0\0it", "-1", "not a number"),
    ],
)
def test_tensors_in_binary_that_mean_nothing(start, binary, length, words):
    server = start(CLASSIFY)
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1],
              "parameters": {"binary_data_size": len(binary)}}  # fmt: skip
    head = json.dumps({"inputs": [tensor]}).encode()
    answer = server.client.post(
        f"/v2/models/{CLASSIFY}/infer", content=head + binary,
        headers={"Inference-Header-Content-Length": str(len(head) if length is None else length)},
    )  # fmt: skip
    assert 400 <= answer.status_code < 500
    assert words in answer.json()["error"]


def test_a_tensor_of_another_size_than_it_says(start):
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1],
              "parameters": {"binary_data_size": 7}}  # fmt: skip
    head = json.dumps({"inputs": [tensor]}).encode()
    answer = start(CLASSIFY).client.post(
        f"/v2/models/{CLASSIFY}/infer", content=head + b"\x02\0\0\0it",
        headers={"Inference-Header-Content-Length": str(len(head))},
    )  # fmt: skip
    assert answer.status_code == 422
    assert "binary_data_size" in answer.json()["error"]
