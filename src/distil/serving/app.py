"""The HTTP of a server: addresses, bodies, errors, keys, counters; on Starlette."""

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

# How long a client would wait, in milliseconds.
_TIMEOUT = "x-request-timeout-ms"

# Which inputs of a request were too long, by number.
_CUT = "x-truncated-inputs"

Problem = Callable[[str, str, int], Any]

_GONE = 499  # as nginx logs a client that has gone; nobody receives it


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may ask.

    Attributes:
        key: What requests must send as "Authorization: Bearer KEY"; None lets everybody in.
        origins: Of pages in browsers that may.
        log: Whether each request is logged, as a line of JSON on stdout.
    """

    key: str | None = None
    origins: tuple[str, ...] = ()
    log: bool = True


class Server:
    """The models that are served, and what answers requests for them.

    Args:
        pipelines: By the names that requests use.
        limits: What each model takes on.
        access: Who may ask.
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
        """The application, for any ASGI server."""
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
        """Answer what waits, then stop."""
        for engine in self.engines.values():
            engine.close()

    def find(self, model: str | None, task: str | None) -> str:
        """The name of the model that is meant.

        Raises:
            UnknownModelError: There is none.
        """
        fitting = [
            name for name, engine in self.engines.items() if task in (None, engine.pipeline.task)
        ]
        if model is None and fitting:
            return fitting[0]
        if model not in fitting:
            raise UnknownModelError(
                "there is no such model" if fitting else "no model here does this",
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
                    "this protocol has no form for the model's answers", found=task,
                    expected="a classifier of texts or an encoder", where="model",
                )  # fmt: skip
            json_part, rest = open_inference.split(
                content, request.headers.get(open_inference.LENGTH)
            )
            return open_inference.infer(_parsed(json_part), rest, name, task), task

        return await self._guarded(request, open_inference.PATH, read)

    async def _guarded(
        self, request: Request, path: str, read: Any, problem: Problem = Route.problem
    ) -> Response:
        """The answer to a request, or its error; counted and logged."""
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
        # Where nothing was said of it: a pipeline would warn.
        is_told = found.cut and "truncation" not in call.options
        headers = {_CUT: ",".join(map(str, found.cut))} if is_told else {}
        return JSONResponse(call.answer(name, found.results, found.tokens), headers=headers)

    async def _content(self, request: Request) -> bytes:
        """The body, if it comes in time and is not too large."""
        # A character is at most six bytes of JSON ("\\u00e9"); options come on top.
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
            error = RequestError("no valid API key", expected="Authorization: Bearer KEY")
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
    """How long the client waits, in seconds."""
    value = request.headers.get(_TIMEOUT)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise RequestError(f"{_TIMEOUT} is not valid", expected="milliseconds", found=value)
    return int(value) / 1000


async def _disconnected(request: Request) -> None:
    """Ends when the client has gone."""
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
        # More of the body may follow, which nobody reads.
        headers["Connection"] = "close"
    if isinstance(error, OverloadError):
        headers["Retry-After"] = str(error.retry_after)
    return JSONResponse(problem(str(error), kind, status), status, headers)


async def _refused(request: Request, error: Any) -> Response:
    return _refusal(error, Route.problem)


async def _unexpected(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "internal error", "error_type": "internal"}, 500)
