"""The HTTP layer, on Starlette: routes, bodies, errors, API keys, metrics."""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Address

from distil.errors import DistilError
from distil.pipelines.base import Pipeline
from distil.serving import open_inference, openapi
from distil.serving.engine import Engine, Limits
from distil.serving.errors import (
    OverloadError,
    RequestError,
    ShutdownError,
    SlowBodyError,
    TooLargeError,
    UnknownModelError,
)
from distil.serving.metrics import Metrics
from distil.serving.protocols import ROUTES, Call, Route

# The client's own deadline, in milliseconds.
_TIMEOUT = "x-request-timeout-ms"

# Indices of the inputs that were truncated.
_CUT = "x-truncated-inputs"

Problem = Callable[[str, str, int], Any]

_GONE = 499  # nginx's status for a closed connection; only logged, nobody receives it


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may send requests, and whether they are logged.

    Attributes:
        key: Requests must send it as "Authorization: Bearer KEY"; None needs no key.
        origins: Allowed CORS origins.
        log: Whether to log each request to stdout, one line of JSON each.
    """

    key: str | None = None
    origins: tuple[str, ...] = ()
    log: bool = True


class Server:
    """The served models and their HTTP endpoints.

    Args:
        pipelines: By the name that requests use.
        limits: Of each model.
        access: Who may send requests.
    """

    def __init__(self, pipelines: Mapping[str, Pipeline], limits: Limits, access: Access) -> None:
        self.limits, self.access, self.metrics = limits, access, Metrics()
        self.engines = {
            name: Engine(pipeline, limits, self.metrics.of_model(name))
            for name, pipeline in pipelines.items()
        }
        for name, engine in self.engines.items():
            self.metrics.watch_queue(name, lambda engine=engine: engine.queued)  # type: ignore[misc]
        self.ready = True

    def app(self) -> Starlette:
        """The ASGI application."""
        routes: list[BaseRoute] = [
            Address(route.path, self._endpoint(route), methods=["POST"]) for route in ROUTES
        ]
        routes += [
            Address(open_inference.PATH, self._infer, methods=["POST"]),
            Address("/v2/models/{model}", self._v2_model),
            Address("/v2/models/{model}/ready", self._v2_ready),
            Address("/v2/health/live", self._health),
            Address("/v2/health/ready", self._ready),
            Address("/v2", self._v2),
            Address("/v1/models", self._models),
            Address("/health", self._health),
            Address("/ready", self._ready),
            Address("/info", self._info),
            Address("/metrics", self._metrics),
            Address("/openapi.json", self._openapi),
            Address("/", self._page),
        ]
        middleware = []
        if self.access.origins:
            middleware.append(
                Middleware(
                    CORSMiddleware,
                    allow_origins=list(self.access.origins),
                    allow_methods=["*"],
                    allow_headers=["*"],
                )
            )
        app = Starlette(routes=routes, middleware=middleware, lifespan=self._lifespan)
        app.add_exception_handler(DistilError, _refused)
        app.add_exception_handler(Exception, _unexpected)
        return app

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        self.ready = False
        await run_in_threadpool(self.close)

    def close(self) -> None:
        """Answer the queued requests, then stop."""
        for engine in self.engines.values():
            engine.close()

    def find(self, model: str | None, task: str | None) -> str:
        """The name of the model for a request: the first that has the task, if none is named.

        Raises:
            UnknownModelError: No served model fits.
        """
        fitting = [
            name for name, engine in self.engines.items() if task in (None, engine.pipeline.task)
        ]
        if model is None and fitting:
            return fitting[0]
        if model not in fitting:
            raise UnknownModelError(
                "unknown model" if fitting else "no model is served for this task",
                expected=", ".join(fitting) or task, found=model, where="model",
            )  # fmt: skip
        return model

    def _endpoint(self, route: Route) -> Any:
        async def endpoint(request: Request) -> Response:
            def read(content: bytes) -> tuple[Call, str | None]:
                return route.call(_parsed(content)), route.task

            return await self._guarded(request, route.path, read, route.problem)

        return endpoint

    async def _infer(self, request: Request) -> Response:
        def read(content: bytes) -> tuple[Call, str | None]:
            name = self.find(request.path_params["model"], None)
            task = self.engines[name].pipeline.task
            if task not in open_inference.TASKS:
                raise UnknownModelError(
                    "the Open Inference Protocol does not cover this task", found=task,
                    expected="sequence-classification or base", where="model",
                )  # fmt: skip
            json_part, rest = open_inference.split(
                content, request.headers.get(open_inference.LENGTH)
            )
            return open_inference.infer(_parsed(json_part), rest, name, task), task

        return await self._guarded(request, open_inference.PATH, read)

    async def _guarded(
        self, request: Request, path: str, read: Any, problem: Problem = Route.problem
    ) -> Response:
        """The response to a request, an error included; counted and logged."""
        begin = time.monotonic()
        try:
            self._check_key(request)
            call, task = read(await self._content(request))
            name = self.find(call.model, task)
            response: Response = await self._answer(request, call, name)
        except DistilError as error:
            response = _refusal(error, problem)
        except asyncio.CancelledError:
            response = Response(status_code=_GONE)
        seconds = time.monotonic() - begin
        self.metrics.requests.labels(path, response.status_code).inc()
        self.metrics.seconds.labels(path).observe(seconds)
        if self.access.log:
            line = {
                "time": round(time.time(), 3), "path": path, "status": response.status_code,
                "ms": round(1000 * seconds, 2),
                "client": request.client.host if request.client else None,
            }  # fmt: skip
            print(json.dumps(line), file=sys.stdout, flush=True)
        return response

    async def _answer(self, request: Request, call: Call, name: str) -> Response:
        engine = self.engines[name]
        if not self.ready:
            raise ShutdownError
        seconds = _timeout(request)
        future = engine.submit(call.rows, call.options, seconds, whole=call.whole)
        waiting = asyncio.wrap_future(future)
        gone = asyncio.ensure_future(_disconnected(request))
        both: set[asyncio.Future[Any]] = {waiting, gone}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if not waiting.done():
            future.cancel()
            raise asyncio.CancelledError
        found = waiting.result()
        # A pipeline would warn that it truncates; a server says so in a header.
        is_told = found.cut and "truncation" not in call.options
        headers = {_CUT: ",".join(map(str, found.cut))} if is_told else {}
        return JSONResponse(call.answer(name, found.results, found.tokens), headers=headers)

    async def _content(self, request: Request) -> bytes:
        """The request body, if it arrives in time and is not too large."""
        # A character takes at most six bytes of JSON ("\\u00e9"), and options some more.
        most = 6 * self.limits.characters + 100_000
        content = bytearray()
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for part in request.stream():
                    content += part
                    if len(content) > most:
                        raise TooLargeError(len(content), most, "bytes")
        except TimeoutError:
            raise SlowBodyError from None
        except ClientDisconnect:
            raise asyncio.CancelledError from None
        return bytes(content)

    def _check_key(self, request: Request) -> None:
        if self.access.key is None:
            return
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.access.key}".encode()):
            error = RequestError("missing or wrong API key", expected="Authorization: Bearer KEY")
            error.status, error.kind = 401, "unauthorized"
            raise error

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "live": True})

    async def _ready(self, request: Request) -> Response:
        return JSONResponse({"ready": self.ready}, status_code=200 if self.ready else 503)

    async def _info(self, request: Request) -> Response:
        models = {
            name: {
                "task": engine.pipeline.task, "engine": engine.pipeline.model.framework,
                "dtype": engine.pipeline.model.dtype, "max_tokens": engine.pipeline.limit,
                "queue_tokens": engine.queued,
            }
            for name, engine in self.engines.items()
        }  # fmt: skip
        return JSONResponse(
            {"version": version("distil"), "models": models, "limits": asdict(self.limits)}
        )

    async def _models(self, request: Request) -> Response:
        data = [{"id": name, "object": "model", "owned_by": "distil"} for name in self.engines]
        return JSONResponse({"object": "list", "data": data})

    async def _v2(self, request: Request) -> Response:
        return JSONResponse({"name": "distil", "version": version("distil"), "extensions": []})

    async def _v2_model(self, request: Request) -> Response:
        name = self.find(request.path_params["model"], None)
        return JSONResponse(open_inference.metadata(name, self.engines[name].pipeline.task))

    async def _v2_ready(self, request: Request) -> Response:
        name = self.find(request.path_params["model"], None)
        status = 200 if self.ready else 503
        return JSONResponse({"name": name, "ready": self.ready}, status_code=status)

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type=self.metrics.content_type)

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(openapi.document(ROUTES, version("distil")))

    async def _page(self, request: Request) -> Response:
        page = files("distil.serving").joinpath("page.html").read_text(encoding="utf-8")
        return HTMLResponse(page)


def _timeout(request: Request) -> float | None:
    """The client's deadline, in seconds."""
    value = request.headers.get(_TIMEOUT)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise RequestError(f"{_TIMEOUT} is not valid", expected="milliseconds", found=value)
    return int(value) / 1000


async def _disconnected(request: Request) -> None:
    """Return once the client has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _parsed(content: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RequestError("the body is not JSON", found=error) from None
    if not isinstance(body, dict):
        raise RequestError("the body is not a JSON object", found=type(body).__name__)
    return body


def _refusal(error: DistilError, problem: Problem) -> Response:
    status, kind = getattr(error, "status", 422), getattr(error, "kind", "invalid_input")
    headers = {}
    if isinstance(error, TooLargeError | SlowBodyError):
        # The rest of the body may still arrive, and is not read.
        headers["Connection"] = "close"
    if isinstance(error, OverloadError):
        headers["Retry-After"] = str(error.retry_after)
    return JSONResponse(problem(str(error), kind, status), status, headers)


async def _refused(request: Request, error: Any) -> Response:
    return _refusal(error, Route.problem)


async def _unexpected(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "internal error", "error_type": "internal"}, 500)
