"""The OpenAPI document of a server, generated from its routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distil.serving import open_inference
from distil.serving.protocols import Route

# "error" is a string, except on OpenAI's path, where it is an object.
_ERROR = {
    "type": "object",
    "properties": {"error": {"type": ["string", "object"]}, "error_type": {"type": "string"}},
    "required": ["error"],
}
_MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
_ERRORS = {
    "400": "malformed body", "401": "missing or wrong API key", "404": "unknown model",
    "408": "the body did not arrive in time", "413": "request too large",
    "422": "invalid input or option", "429": "overloaded",
    "503": "shutting down", "504": "deadline exceeded",
}  # fmt: skip


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths[route.path] = {"post": _posted(route.summary, route.fields, more=route.more)}
    summary = "classify or embed texts (Open Inference Protocol v2)"
    paths[open_inference.PATH] = {
        "parameters": [_MODEL], "post": _posted(summary, open_inference.FIELDS, more=False),
    }  # fmt: skip
    for path, summary in (
        ("/health", "liveness"), ("/ready", "readiness"),
        ("/info", "models, versions and limits"), ("/metrics", "Prometheus metrics"),
        ("/v1/models", "list models (OpenAI)"), ("/v2", "server metadata"),
    ):  # fmt: skip
        paths[path] = {
            "get": {"summary": summary, "responses": {"200": {"description": "success"}}}
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
        "responses": {"200": {"description": "success"}} | _errors(),
    }


def _errors() -> dict[str, Any]:
    content = {"application/json": {"schema": _ERROR}}
    return {status: {"description": words, "content": content} for status, words in _ERRORS.items()}
