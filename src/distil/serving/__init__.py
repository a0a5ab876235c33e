"""`serve`: models behind HTTP; nothing is padded, nothing waits for a timer.

    distil.serve("my-model", port=8000)          # until Ctrl-C or SIGTERM, which let it finish

See docs/serving.md for the protocols, limits and counters.
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

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LARGEST_PORT = 65535


def serve(
    models: str | Path | Pipeline | Sequence[str | Path] | Mapping[str, str | Path | Pipeline],
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
    """Serve models over HTTP until the process is told to stop.

    SIGTERM and Ctrl-C let requests that were taken finish; nothing new is taken.

    Args:
        models: One or several, as in `distil.pipeline`, or pipelines; a mapping gives them names of
            their own.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        engine: As in `distil.pipeline`, for all models; a pipeline has one already.
        framework: Likewise.
        dtype: Likewise; None for "float32".
        threads: Likewise.
        api_key: What requests must send as "Authorization: Bearer KEY".
        allow_origins: Origins of web pages that may send requests (CORS).
        public: Listen on an address that other machines reach, without an API key.
        certificate: A file in PEM format, for HTTPS.
        private_key: That of the certificate.
        access_log: Print a line of JSON on stdout for each request.
        **limits: See `distil.serving.engine.Limits`: `queue`, `batch`, `rows`, `characters`,
            `seconds`.

    Raises:
        InputError: An argument is not valid, or the address is public and has no API key.
        FrameworkError: The extra "serve" is not installed.
        DistilError: A model cannot be loaded.
    """
    for package in ("starlette", "uvicorn", "prometheus_client"):
        if find_spec(package) is None:
            raise not_installed(package, where="serve", extra="serve")
    check_count(port, "port", least=0)
    if port > _LARGEST_PORT:
        raise InputError(
            "there is no such port", expected=f"at most {_LARGEST_PORT}", found=port, where="port"
        )
    if host not in _LOOPBACK and api_key is None and not public:
        raise InputError(
            "other machines could reach this address", found=host, where="host",
            fix="set an API key (DISTIL_API_KEY), or let anybody ask: public=True",
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
    """Pipelines by the names that requests use: of a folder its last part, else as given.

    Raises:
        InputError: There is no model, or two have the same name; or one is a pipeline, and has
            what an option asks for already.
        DistilError: One cannot be loaded.
    """
    if isinstance(models, str | Path | Pipeline):
        models = [models]
    pairs = list(models.items()) if isinstance(models, Mapping) else [
        (Path(str(one)).name if not isinstance(one, Pipeline) else one.task, one) for one in models
    ]  # fmt: skip
    names = [str(name) for name, _ in pairs]
    if not names or len(set(names)) < len(names):
        raise InputError(
            "models need different names", expected="at least one, each by a name of its own",
            found=", ".join(names) or "none", where="models",
            fix="give names: {name: model, ...} (on the command line NAME=MODEL)",
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
