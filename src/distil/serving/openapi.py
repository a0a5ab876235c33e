"""The OpenAPI document of a server, made from its routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distil.serving import open_inference
from distil.serving.protocols import Route

# In text, but for OpenAI's address, which has an object.
_ERROR = {
    "type": "object",
    "properties": {"error": {"type": ["string", "object"]}, "error_type": {"type": "string"}},
    "required": ["error"],
}
_MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
_ERRORS = {
    "400": "the body is not valid", "401": "no valid API key", "404": "no such model",
    "408": "the body does not come", "413": "too large",
    "422": "an input or an option is not valid", "429": "the queue is full",
    "503": "the server is shutting down", "504": "not computed in time",
}  # fmt: skip


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths[route.path] = {"post": _posted(route.summary, route.fields, more=route.more)}
    summary = "labels of texts, or vectors, as Open Inference Protocol v2 has them"
    paths[open_inference.PATH] = {
        "parameters": [_MODEL], "post": _posted(summary, open_inference.FIELDS, more=False),
    }  # fmt: skip
    for path, summary in (
        ("/health", "whether the process runs"), ("/ready", "whether it takes requests"),
        ("/info", "models, versions and limits"), ("/metrics", "counters for Prometheus"),
        ("/v1/models", "models, as OpenAI has them"), ("/v2", "the server"),
    ):  # fmt: skip
        paths[path] = {
            "get": {"summary": summary, "responses": {"200": {"description": "the answer"}}}
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "distil", "version": version},
        "paths": paths,
    }


def _posted(summary: str, fields: Mapping[str, tuple[Any, bool]], *, more: bool) -> Any:
    schema = {
        "type": "object",
        "properties": {name: kind for name, (kind, _) in fields.items()},
        "required": [name for name, (_, needed) in fields.items() if needed],
        "additionalProperties": more,
    }
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"200": {"description": "the answer"}} | _errors(),
    }


def _errors() -> dict[str, Any]:
    content = {"application/json": {"schema": _ERROR}}
    return {status: {"description": words, "content": content} for status, words in _ERRORS.items()}
