"""`distil serve`: models behind HTTP."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from distil.cli._arguments import add_form
from distil.errors import InputError

DESCRIPTION = """\
Serve models over HTTP. Queued requests are batched without padding. On Ctrl-C
or SIGTERM the server finishes the requests it has accepted, then exits.

Protocols: distil's own (/v1/classify, /v1/tokens, /v1/answers, /v1/fill-mask,
/v1/choices, /v1/embed), text-embeddings-inference (/embed, /predict), OpenAI
(/v1/embeddings), Open Inference Protocol v2 (/v2/models/NAME/infer); also
/health, /ready, /info, /metrics (Prometheus), /openapi.json, and a page at /."""
EXAMPLES = (
    ("the models that come with the package, at http://127.0.0.1:8000", "distil serve"),
    (
        "two models under names of your choice, in int8",
        "distil serve mood=sst2-small other=./my-model --dtype int8",
    ),
    (
        "open to other machines, with an API key from the environment",
        "DISTIL_API_KEY=... distil serve ./my-model --host 0.0.0.0 --port 80",
    ),
)

API_KEY = "DISTIL_API_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "models",
        nargs="*",
        metavar="[NAME=]MODEL",
        help="a folder, bundled or hub name (all that come with the package)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (8000)")
    add_form(parser)
    parser.add_argument("--threads", type=int, metavar="N", help="of an engine (one a core)")
    parser.add_argument(
        "--public", action="store_true",
        help=f"serve other machines without an API key; better set {API_KEY}",
    )  # fmt: skip
    parser.add_argument(
        "--allow-origin", nargs="+", default=[], metavar="ORIGIN", help="allowed CORS origins"
    )
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="PEM file, for HTTPS")
    parser.add_argument("--private-key", type=Path, metavar="FILE", help="PEM file of its key")
    parser.add_argument("--no-access-log", action="store_true", help="do not log requests")
    limits = parser.add_argument_group("limits, per model")
    limits.add_argument("--queue", type=int, metavar="TOKENS", help="most in the queue (65536)")
    limits.add_argument("--batch", type=int, metavar="TOKENS", help="most in a batch (2048)")
    limits.add_argument("--rows", type=int, metavar="N", help="most inputs a request (1024)")
    limits.add_argument(
        "--characters", type=int, metavar="N", help="most characters a request (1000000)"
    )
    limits.add_argument("--seconds", type=float, metavar="S", help="longest time queued (30)")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    from distil.serving import serve  # noqa: PLC0415 - after --help is out of the way

    pairs = [one.partition("=") for one in arguments.models]
    models = {(name if mark else Path(name).name): rest or name for name, mark, rest in pairs}
    if len(models) < len(pairs):
        raise InputError("two models have the same name", where="models", fix="NAME=MODEL")
    limits = {
        name: getattr(arguments, name)
        for name in ("queue", "batch", "rows", "characters", "seconds")
        if getattr(arguments, name) is not None
    }
    serve(
        models or None,
        host=arguments.host,
        port=arguments.port,
        engine=arguments.engine,
        framework=arguments.framework,
        dtype=arguments.dtype,
        threads=arguments.threads,
        api_key=os.environ.get(API_KEY),
        allow_origins=arguments.allow_origin,
        public=arguments.public,
        certificate=arguments.certificate,
        private_key=arguments.private_key,
        access_log=not arguments.no_access_log,
        **limits,
    )
    return 0
