"""`serve`: models behind HTTP, batched by token count without padding and without a timer.

    distil.serve("my-model", port=8000)          # until Ctrl-C or SIGTERM; then it drains

See docs/serving.md for protocols, limits and metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from distil.errors import InputError, not_installed
from distil.pipelines import pipeline
from distil.pipelines.base import Pipeline
from distil.pipelines.checks import check_count, check_unused
from distil.storage.hub import bundled

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LARGEST_PORT = 65535


def serve(
    models: str
    | Path
    | Pipeline
    | Sequence[str | Path]
    | Mapping[str, str | Path | Pipeline]
    | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    engine: str | None = None,
    framework: str | None = None,
    dtype: Any = None,
    threads: int | None = None,
    api_key: str | None = None,
    allow_origins: Sequence[str] = (),
    public: bool = False,
    certificate: str | Path | None = None,
    private_key: str | Path | None = None,
    access_log: bool = True,
    **limits: Any,
) -> None:
    """Serve models over HTTP until the process is interrupted.

    On SIGTERM or Ctrl-C, accepted requests are finished and no new ones are accepted.

    Args:
        models: One or more models as `distil.pipeline` takes them, or pipelines; a mapping gives
            them names.  None takes the bundled ones.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        engine: As in `distil.pipeline`, for all models; not allowed with a pipeline, which has one.
        framework: Likewise.
        dtype: Likewise; None for "float32".
        threads: Likewise.
        api_key: Requests must send it as "Authorization: Bearer KEY".
        allow_origins: Allowed CORS origins.
        public: Allow an address that other machines can reach without an API key.
        certificate: PEM file, for HTTPS.
        private_key: PEM file with the certificate's private key.
        access_log: Print one line of JSON per request to stdout.
        **limits: See `distil.serving.engine.Limits`: `queue`, `batch`, `rows`, `characters`,
            `seconds`.

    Raises:
        InputError: An argument is invalid, or the address is public without an API key.
        FrameworkError: The extra "serve" is not installed.
        DistilError: A model cannot be loaded.
    """
    for package in ("starlette", "uvicorn", "prometheus_client"):
        if find_spec(package) is None:
            raise not_installed(package, where="serve", extra="serve")
    check_count(port, "port", least=0)
    if port > _LARGEST_PORT:
        raise InputError(
            "invalid port", expected=f"at most {_LARGEST_PORT}", found=port, where="port"
        )
    if host not in _LOOPBACK and api_key is None and not public:
        raise InputError(
            "refusing to serve other machines without an API key", found=host, where="host",
            fix="set an API key (DISTIL_API_KEY), or allow everyone with public=True (--public)",
        )  # fmt: skip
    from distil.serving.app import Access, Server  # noqa: PLC0415 - Starlette is optional
    from distil.serving.engine import Limits  # noqa: PLC0415
    from distil.serving.http import run  # noqa: PLC0415

    try:
        chosen = Limits(**limits)
    except TypeError:
        raise InputError(
            "unknown limit", expected=", ".join(Limits.__dataclass_fields__),
            found=", ".join(limits), where="limits",
        ) from None  # fmt: skip
    server = Server(
        pipelines_of(models, engine=engine, framework=framework, dtype=dtype, threads=threads),
        chosen,
        Access(key=api_key, origins=tuple(allow_origins), log=access_log),
    )
    run(server.app(), host=host, port=port, certificate=certificate, private_key=private_key)


def pipelines_of(models: Any, **options: Any) -> dict[str, Pipeline]:
    """Pipelines by the names that requests use: the last part of a path, unless named.

    Raises:
        InputError: There is no model, two have the same name, or an option is given for a pipeline.
        DistilError: A model cannot be loaded.
    """
    if models is None:
        models = bundled()
    if isinstance(models, str | Path | Pipeline):
        models = [models]
    pairs = list(models.items()) if isinstance(models, Mapping) else [
        (Path(str(one)).name if not isinstance(one, Pipeline) else one.task, one) for one in models
    ]  # fmt: skip
    names = [str(name) for name, _ in pairs]
    if not names or len(set(names)) < len(names):
        raise InputError(
            "model names must be unique", expected="at least one model, each with its own name",
            found=", ".join(names) or "none", where="models",
            fix="name them: {name: model, ...} (NAME=MODEL on the command line)",
        )  # fmt: skip
    found = {}
    for name, one in pairs:
        if isinstance(one, Pipeline):
            check_unused(options)
            found[str(name)] = one
        else:
            chosen = {**options, "dtype": options.get("dtype") or "float32"}
            found[str(name)] = pipeline(model=one, **chosen)
    return found
