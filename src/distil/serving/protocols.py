"""The protocols: what a request body asks of a pipeline, and how results are written back.

- distil's own: every head, with the options and results of its pipeline.
- text-embeddings-inference's /embed and /predict (Hugging Face, Apache-2.0, its OpenAPI document).
- OpenAI's /v1/embeddings.
- Open Inference Protocol v2: see `distil.serving.open_inference`.

A protocol is a table of `Route`s and does not deal with HTTP.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distil.errors import InputError, shown


@dataclass(frozen=True, kw_only=True)
class Call:
    """A parsed request body.

    Attributes:
        model: Name of the model; None takes the first that has the task.
        rows: Inputs, as the pipeline takes them.
        options: Of the pipeline.
        whole: Whether a text that is too long is refused instead of truncated.
        answer: Makes the response body from the model's name, the results and the number of
            tokens.
    """

    model: str | None
    rows: Sequence[Any]
    options: Mapping[str, Any]
    answer: Callable[[str, list[Any], int], Any]
    whole: bool = False


def _problem(words: str, kind: str, status: int) -> Any:
    """The body of an error in distil's own protocol."""
    return {"error": words, "error_type": kind}


@dataclass(frozen=True, kw_only=True)
class Route:
    """A path that takes POST requests.

    Attributes:
        path: Of the URL.
        task: Of the pipelines that answer here.
        summary: What it does, in one line.
        read: Parses the body; raises an InputError.
        fields: Of the body: name, JSON Schema type, and whether it is required.
        more: Whether other fields are allowed.
        problem: Makes the body of an error from its message, kind and status.
    """

    path: str
    task: str | None
    summary: str
    read: Callable[[Mapping[str, Any]], Call]
    fields: Mapping[str, tuple[Any, bool]]
    more: bool = False
    problem: Callable[[str, str, int], Any] = _problem

    def call(self, body: Mapping[str, Any]) -> Call:
        """Parse a body.

        Raises:
            InputError: It is invalid.
        """
        if not self.more:
            check_known(body, self.fields)
        return self.read(body)


def _own(fields: tuple[str, ...]) -> Callable[[Mapping[str, Any]], Call]:
    """The parser of one of distil's own paths."""

    def read(body: Mapping[str, Any]) -> Call:
        options = dict(body)
        model, inputs = options.pop("model", None), options.pop("inputs", None)
        one = isinstance(inputs, str | Mapping)
        rows = [inputs] if one else inputs
        if not isinstance(rows, list) or not rows:
            raise wrong("inputs", "a string, an object, or a list of them", inputs)
        rows = [_row(row, number, fields) for number, row in enumerate(rows)]

        def answer(name: str, results: list[Any], tokens: int) -> Any:
            return {"model": name, "results": [plain(result) for result in results]}

        return Call(model=_name(model), rows=rows, options=options, answer=answer)

    return read


def _row(row: Any, number: int, fields: tuple[str, ...]) -> Any:
    if isinstance(row, str):
        return row
    if isinstance(row, Mapping) and set(row) <= set(fields) and fields[0] in row:
        return row[fields[0]] if len(row) == 1 else dict(row)
    raise wrong(f"inputs[{number}]", "a string, or an object with " + ", ".join(fields), row)


def _embed(body: Mapping[str, Any]) -> Call:
    """text-embeddings-inference: {"inputs", "normalize", "truncate"}; gives a list of vectors."""
    cut = _flag(body, "truncate", default=False)
    return Call(
        model=None,
        rows=_texts(body.get("inputs"), "inputs"),
        options={"normalize": _flag(body, "normalize", default=True), "truncation": cut},
        whole=not cut,
        answer=lambda name, results, tokens: [plain(one) for one in results],
    )  # fmt: skip


def _predict(body: Mapping[str, Any]) -> Call:
    """text-embeddings-inference: a text or a pair of texts; gives its labels, the best first."""
    inputs = body.get("inputs")
    pair = isinstance(inputs, list) and len(inputs) == 2 and all(isinstance(x, str) for x in inputs)
    rows = [inputs] if isinstance(inputs, str) or pair else inputs
    if not isinstance(rows, list) or not rows:
        raise wrong("inputs", "a string, a pair of strings, or a list of them", inputs)
    read = []
    for number, row in enumerate(rows):
        texts = [row] if isinstance(row, str) else row
        if not (isinstance(texts, list) and len(texts) in (1, 2)):
            raise wrong(f"inputs[{number}]", "a string, or a list of one or two", row)
        read.append(texts[0] if len(texts) == 1 else {"text": texts[0], "text_pair": texts[1]})
    alone = rows is not inputs
    raw, cut = (_flag(body, name, default=False) for name in ("raw_scores", "truncate"))
    return Call(
        model=None,
        rows=read,
        options={"top_k": None, "function_to_apply": "none" if raw else None, "truncation": cut},
        whole=not cut,
        answer=lambda name, results, tokens: results[0] if alone else results,
    )  # fmt: skip


def _openai(body: Mapping[str, Any]) -> Call:
    """OpenAI: {"input", "model", "encoding_format"}; gives a list of embeddings.

    "user" is accepted and ignored: OpenAI uses it to monitor abuse only.
    """
    form = body.get("encoding_format", "float")
    if form not in ("float", "base64"):
        raise wrong("encoding_format", "float or base64", form)

    def vector(one: Any) -> Any:
        array = np.asarray(one, "<f4")
        return plain(array) if form == "float" else base64.b64encode(array.tobytes()).decode()

    def answer(name: str, results: list[Any], tokens: int) -> Any:
        data = [
            {"object": "embedding", "index": number, "embedding": vector(one)}
            for number, one in enumerate(results)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": name, "usage": usage}

    return Call(model=_name(body.get("model")), rows=_texts(body.get("input"), "input"),
                options={}, whole=True, answer=answer)  # fmt: skip


def _openai_problem(words: str, kind: str, status: int) -> Any:
    return {"error": {"message": words, "type": "invalid_request_error" if status < 429 else kind,
                      "param": None, "code": kind}}  # fmt: skip


def _tei_problem(words: str, kind: str, status: int) -> Any:
    named = {429: "Overloaded", 503: "Unhealthy", 504: "Backend"}
    return {"error": words, "error_type": named.get(status, "Validation")}


_TEXTS = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_INPUTS = {"oneOf": [{"type": "string"}, {"type": "object"}, {"type": "array"}]}
_OWN_FIELDS = {"inputs": (_INPUTS, True), "model": ({"type": "string"}, False)}
_TEI_FIELDS = {"inputs": (_INPUTS, True), "truncate": ({"type": "boolean"}, False)}

# Path, task, fields of a row, and what it does.
_OWN = (
    ("classify", "sequence-classification", ("text", "text_pair"), "classify texts or pairs"),
    ("tokens", "token-classification", ("text",), "tag words: names, places, ..."),
    ("answers", "question-answering", ("question", "context"), "answer questions from contexts"),
    ("fill-mask", "masked-lm", ("text",), "fill in masked words"),
    ("choices", "multiple-choice", ("prompt", "choices"), "choose the best continuation"),
    ("embed", "base", ("text",), "embed texts"),
)
ROUTES = (
    *(
        Route(path=f"/v1/{name}", task=task, summary=summary, read=_own(fields),
              fields=_OWN_FIELDS, more=True)
        for name, task, fields, summary in _OWN
    ),
    Route(
        path="/v1/embeddings", task="base", summary="embed texts (OpenAI)",
        read=_openai,
        fields={"input": (_TEXTS, True), "model": ({"type": "string"}, False),
                "encoding_format": ({"enum": ["float", "base64"]}, False),
                "user": ({"type": "string"}, False)},
        problem=_openai_problem,
    ),
    Route(
        path="/embed", task="base", summary="embed texts (text-embeddings-inference)",
        read=_embed, fields=_TEI_FIELDS | {"normalize": ({"type": "boolean"}, False)},
        problem=_tei_problem,
    ),
    Route(
        path="/predict", task="sequence-classification",
        summary="classify texts or pairs (text-embeddings-inference)", read=_predict,
        fields=_TEI_FIELDS | {"raw_scores": ({"type": "boolean"}, False)},
        problem=_tei_problem,
    ),
)  # fmt: skip


def check_known(body: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse fields that would have no effect.

    Raises:
        InputError: A field is unknown.
    """
    for name, value in body.items():
        if name not in names and value is not None:
            raise InputError(
                "unknown field", expected=", ".join(names), found=shown(name),
                where=name, fix="leave it out",
            )  # fmt: skip


def _texts(value: Any, where: str) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(x, str) for x in texts):
        raise wrong(where, "a string or a list of strings", value)
    return texts


def _flag(body: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise wrong(name, "true or false", value)
    return value


def _name(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise wrong("model", "the name of a model", value)
    return value


def wrong(where: str, expected: str, found: Any) -> InputError:
    """The error for an invalid part of a body."""
    return InputError(f"{where} is invalid", expected=expected, found=shown(found), where=where)


def plain(result: Any) -> Any:
    """A result for JSON: arrays become lists."""
    return result.tolist() if isinstance(result, np.ndarray) else result
