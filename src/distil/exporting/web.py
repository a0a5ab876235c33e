"""The page: a folder for any static host, with the model in ONNX and what runs it in a browser.

The sources of the page are in web/ at the top of the repository; what is built of them is in page/
beside this file.  The folder that is written is also one that transformers.js loads.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from distil import api
from distil.checkpoints.beside import tokenizer_files
from distil.common.inference.calibration import sample_texts
from distil.engines.graph import HIDDEN
from distil.engines.onnx_graph import OWN_DOMAIN
from distil.errors import CheckpointError, InputError
from distil.exporting import onnx
from distil.exporting.folder import described
from distil.exporting.source import INPUTS, Source
from distil.storage.files import read_json, write_json

PAGE = Path(__file__).parent / "page"
_BUILD = "build.json"

open_runtime = onnx.open_runtime

# What the page checks before it trusts a browser: the first outputs for a few tokens, to within a
# tolerance relative to the largest.  GPUs round differently, and so do other int8 kernels.
_TOKENS, _NUMBERS = 16, 256
_TOLERANCES = {"float32": 1e-3, "float16": 1e-3, "int8": 0.05}


class PageOperators(onnx.FileOperators):
    """The operators of a page: attention on WebGPU takes a bias to be added, not a key mask."""

    def attend(  # noqa: D102
        self, q: str, k: str, v: str, mask: str, heads: int, head_dim: int, reader: str
    ) -> str:
        ends = (self.constant(str(end), np.float32(end)) for end in (0.0, HIDDEN))
        row = self.node("Unsqueeze", self.node("Where", mask, *ends), self._ints(1, 2))  # n 1 1 s
        one = self._ints(1)
        sizes = (one, one, self.node("Shape", q, start=1, end=2), one)
        added = self.node("Expand", row, self.node("Concat", *sizes, axis=0))  # n 1 r s
        context = self.node(
            "MultiHeadAttention", q, k, v, "", "", added, num_heads=heads, domain=OWN_DOMAIN
        )  # n r a
        return self.quantize(
            self.node("Reshape", context, self._ints(-1, heads * head_dim)), reader
        )


def write(source: Source, folder: Path, dtype: str) -> Path:
    """Write the page and its model; gives the ONNX file.

    Raises:
        InputError: It is an encoder without pooling: there is nothing that a page could show.
        CheckpointError: The checkpoint has no tokenizer.
    """
    if source.task.name == "base" and source.pooling is None:
        raise InputError(
            "a page cannot show hidden states", expected="a task, or sentence embeddings",
            found="the encoder alone", where="task", fix="pass task='sentence-embeddings'",
        )  # fmt: skip
    if not tokenizer_files(source.found.folder):
        raise CheckpointError(
            "a page needs the model's tokenizer", expected="tokenizer.json or vocab.txt",
            found="none", where=source.found.name,
        )  # fmt: skip
    path = onnx.write(source, folder, dtype, PageOperators)
    shutil.copytree(PAGE, folder, ignore=shutil.ignore_patterns(_BUILD), dirs_exist_ok=True)
    # Written anew, not copied: this settles what other programs' files leave open.
    tokenizer = api.load_tokenizer(source.found.folder)
    tokenizer.save_pretrained(folder)
    source.config.replace(architectures=[source.task.class_name]).save_pretrained(folder)
    build = read_json(PAGE / _BUILD)
    page: dict[str, Any] = {
        "name": Path(source.found.name).name,
        "task": source.task.name,
        "dtype": dtype,
        "model": path.relative_to(folder).as_posix(),
        "bytes": path.stat().st_size,
        "outputs": list(source.outputs),
        "reading": _reading(source),
        "check": _check(source, path, tokenizer, _TOLERANCES[dtype]),
        "files": build["files"],
        "runtimes": build["runtimes"],
    }
    digests = "".join(one["sha256"] for one in described(folder).values())
    page["version"] = hashlib.sha256(digests.encode()).hexdigest()[:16]
    write_json(folder / "page.json", page)
    return path


def _reading(source: Source) -> dict[str, Any] | None:
    """What is done to a text before it is embedded; None for other tasks."""
    encoding = source.encoding
    if encoding is None:
        return None
    return {
        "prompt": encoding.prompts[encoding.prompt_name] if encoding.prompt_name else "",
        "lowercase": encoding.lowercase,
        "max_length": encoding.max_length,
    }


def _check(source: Source, path: Path, tokenizer: Any, tolerance: float) -> dict[str, Any]:
    """A few tokens, and what ONNX Runtime computes for them here."""
    sample = tokenizer(sample_texts()[0], truncation=True, max_length=_TOKENS)["input_ids"]
    rows = [sample, sample[::-1]] if source.task.has_choices else [sample]
    ids = np.array(rows, np.int64)
    given = ids[None] if source.task.has_choices else ids
    found = open_runtime(path)(**dict(zip(INPUTS, (given, np.ones_like(given)), strict=True)))
    outputs = [found[name].ravel()[:_NUMBERS].tolist() for name in source.outputs]
    largest = max(abs(number) for numbers in outputs for number in numbers)
    return {"ids": rows, "outputs": outputs, "tolerance": tolerance * largest}
