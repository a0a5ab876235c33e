"""The protocols as clients speak them that others wrote; `tox -e serve` installs them."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from distil.pipelines import PIPELINES

openai = pytest.importorskip("openai")
triton = pytest.importorskip("tritonclient.http")
schemathesis = pytest.importorskip("schemathesis")

CLASSIFY = "sequence-classification"
TEXTS = ["the good film", "who was born in paris ?", "ü"]


class TestOpenAI:
    @pytest.fixture
    def client(self, start):
        self.server = start("base", CLASSIFY, key="secret")
        with openai.OpenAI(
            base_url=f"{self.server.address}/v1", api_key="secret", max_retries=0
        ) as client:
            yield client

    @pytest.mark.parametrize("form", [{}, {"encoding_format": "float"}, {"user": "somebody"}])
    def test_embeddings(self, client, form):
        found = client.embeddings.create(model="base", input=TEXTS, **form)
        vectors = np.array([one.embedding for one in found.data], np.float32)
        np.testing.assert_array_equal(vectors, np.stack(self.server.pipelines["base"](TEXTS)))
        assert [one.index for one in found.data] == [0, 1, 2]
        assert found.usage.total_tokens > 9

    def test_models(self, client):
        assert [model.id for model in client.models.list()] == ["base", CLASSIFY]

    @pytest.mark.parametrize(
        ("body", "error", "code"),
        [
            ({"input": ""}, "UnprocessableEntityError", "invalid_input"),
            ({"input": "it", "model": "other"}, "NotFoundError", "model_not_found"),
            ({"input": "it", "dimensions": 3}, "UnprocessableEntityError", "invalid_input"),
            ({"input": "it " * 60}, "APIStatusError", "too_long"),
        ],
    )
    def test_errors_are_what_the_client_knows(self, client, body, error, code):
        with pytest.raises(getattr(openai, error)) as said:
            client.embeddings.create(**{"model": "base"} | body)
        assert said.value.code == code

    def test_a_wrong_key(self, client):
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="other").embeddings.create(model="base", input="it")


class TestTriton:
    @pytest.fixture
    def client(self, start):
        self.server = start("base", CLASSIFY)
        client = triton.InferenceServerClient(self.server.address.removeprefix("http://"))
        yield client
        client.close()

    @staticmethod
    def texts(*, binary):
        tensor = triton.InferInput("text", [len(TEXTS)], "BYTES")
        tensor.set_data_from_numpy(np.array(TEXTS, object), binary_data=binary)
        return [tensor]

    def test_what_there_is(self, client):
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("base")
        assert not client.is_model_ready("other")
        assert client.get_server_metadata()["name"] == "distil"
        outputs = client.get_model_metadata(CLASSIFY)["outputs"]
        assert [one["name"] for one in outputs] == ["label", "score"]

    @pytest.mark.parametrize("binary", [True, False])
    def test_labels(self, client, binary):
        expected = self.server.pipelines[CLASSIFY](TEXTS)
        found = client.infer(CLASSIFY, self.texts(binary=binary), request_id="7")
        assert found.get_response()["id"] == "7"
        assert list(found.as_numpy("label")) == [one["label"] for one in expected]
        scores = np.array([one["score"] for one in expected], np.float32)
        np.testing.assert_array_equal(found.as_numpy("score"), scores)

    @pytest.mark.parametrize("binary", [True, False])
    def test_vectors_and_chosen_outputs(self, client, binary):
        found = client.infer("base", self.texts(binary=binary))
        expected = np.stack(self.server.pipelines["base"](TEXTS))
        np.testing.assert_array_equal(found.as_numpy("embedding"), expected)
        outputs = [triton.InferRequestedOutput("score", binary_data=False)]
        found = client.infer(CLASSIFY, self.texts(binary=binary), outputs=outputs)
        assert [one["name"] for one in found.get_response()["outputs"]] == ["score"]

    def test_errors(self, client):
        from tritonclient.utils import InferenceServerException

        for model, outputs in (("other", None), ("base", [triton.InferRequestedOutput("label")])):
            with pytest.raises(InferenceServerException):
                client.infer(model, self.texts(binary=True), outputs=outputs)


@pytest.mark.filterwarnings("ignore")  # its own
def test_schemathesis_finds_no_server_error(start):
    """Requests made of the OpenAPI document, for every address of it."""
    server = start(*PIPELINES, characters=10_000)
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    examples = settings(
        max_examples=25, database=None, derandomize=True, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    statuses = set()

    def check(case):
        answer = case.call()
        assert answer.status_code < 500, answer.text
        statuses.add(answer.status_code)

    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        examples(given(operation.as_strategy())(check))()
    assert {one.path for one in operations} == server.client.get("/openapi.json").json()[
        "paths"
    ].keys()
    assert {200, 422} <= statuses
