"""What all harnesses share: damaged files, one after another, guided by coverage (atheris).

``tox -e fuzz -- 60`` runs each for 60 seconds; one by itself::

    python fuzz/fuzz_config.py -max_total_time=60

A finding is a crash, any error that is not distil's own, more than 5 seconds, or 2 GB.  The
input is kept as ``crash-...``; add it to ``tests/attacks``.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import atheris

# Modules imported earlier would not be instrumented.
with atheris.instrument_imports(include=["distil"]):
    for name in (
        "checkpoints.matching", "common.config", "common.tokenizer.python_tokenizer",
        "common.tokenizer.rust_tokenizer", "storage.hub",
    ):  # fmt: skip
        importlib.import_module(f"distil.{name}")

from distil.errors import DistilError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def fuzz(
    file_name: str,
    seeds: Iterable[bytes],
    read: Callable[[Path], object],
    build: Callable[[bytes], bytes] = bytes,
) -> None:
    """Call `read` with a folder whose `file_name` holds what atheris generates.

    Args:
        file_name: Name of the file to damage.
        seeds: Inputs to start from: valid files, unless there is a `build`.
        read: Reads the folder, and may raise a DistilError.
        build: Makes a file of an input; by default the input is the file.
    """
    # In memory if possible: thousands of files are written every second.
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))
    folder, corpus = root / "model", root / "corpus"
    folder.mkdir()
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(seed)

    def one(data: bytes) -> None:
        (folder / file_name).write_bytes(build(data))
        with contextlib.suppress(DistilError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(folder)

    limits = ["-timeout=5", "-rss_limit_mb=2048", "-max_len=65536"]
    atheris.Setup([sys.argv[0], str(corpus), *limits, *sys.argv[1:]], one)
    atheris.Fuzz()
