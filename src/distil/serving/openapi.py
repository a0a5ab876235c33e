"""The OpenAPI document of a server, made from its routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distil.serving.protocols import Route

_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_type": {"type": "string"}},
    "required": ["error", "error_type"],
}
_ERRORS = {
    "400": "the body is not valid", "401": "no valid API key", "404": "no such model",
    "413": "too large", "422": "an input or an option is not valid", "429": "the queue is full",
    "503": "the server is shutting down", "504": "not computed in time",
}  # fmt: skip


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for route in routes:
        schema = {
            "type": "object",
            "properties": {name: kind for name, (kind, _) in route.fields.items()},
            "required": [name for name, (_, needed) in route.fields.items() if needed],
        }
        paths[route.path] = {
            "post": {
                "summary": route.summary,
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": schema}},
                },
                "responses": {"200": {"description": "the answer"}} | _errors(),
            }
        }
    for path, summary in (
        ("/health", "whether the process runs"), ("/ready", "whether it takes requests"),
        ("/info", "models, versions and limits"), ("/metrics", "counters for Prometheus"),
    ):  # fmt: skip
        paths[path] = {
            "get": {"summary": summary, "responses": {"200": {"description": "the answer"}}}
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "distil", "version": version},
        "paths": paths,
    }


def _errors() -> dict[str, Any]:
    content = {"application/json": {"schema": _ERROR}}
    return {status: {"description": words, "content": content} for status, words in _ERRORS.items()}
