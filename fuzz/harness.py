"""What all harnesses share: one damaged file after another, coverage-guided by atheris.

Run one with ``tox -e fuzz -- 60`` (seconds for each reader), or by itself::

    python fuzz/fuzz_config.py -max_total_time=60

A finding is any error that is not distil's own, a crash, more than 5 seconds, or 2 GB.  The
input is kept as ``crash-...``; make it a case of ``tests/attacks``.
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

# What is imported elsewhere first would not be instrumented.
with atheris.instrument_imports(include=["distil"]):
    for name in (
        "checkpoint", "config", "hub", "tokenizer.python_tokenizer", "tokenizer.rust_tokenizer",
        "weights",
    ):  # fmt: skip
        importlib.import_module(f"distil.common.{name}")

from distil.errors import DistilError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def fuzz(file_name: str, seeds: Iterable[bytes], read: Callable[[Path], object]) -> None:
    """Give `read` a folder whose `file_name` holds what atheris comes up with.

    Args:
        file_name: Name of the file to damage.
        seeds: Whole files to begin with.
        read: Reads the folder, and may raise a DistilError.
    """
    # In memory, where there is such a place: thousands of files a second are written.
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))
    folder, corpus = root / "model", root / "corpus"
    folder.mkdir()
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(seed)

    def one(data: bytes) -> None:
        (folder / file_name).write_bytes(data)
        with contextlib.suppress(DistilError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(folder)

    limits = ["-timeout=5", "-rss_limit_mb=2048", "-max_len=65536"]
    atheris.Setup([sys.argv[0], str(corpus), *limits, *sys.argv[1:]], one)
    atheris.Fuzz()
