"""The proof of an export: its own runtime, in a process of its own, against the plain model.

Batches are padded, as models get them: a grid of sizes cut from one stream of text, then real
texts.  The reference is the plain model in float64.

Shapes: b rows, s length; of multiple choice (b, choices, s).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.benchmarking.workers import Candidate, Worker
from distil.common.sentences import SentenceEncoding
from distil.exporting.comparing import (
    LIMITS,
    Batch,
    Comparison,
    Finding,
    Limits,
    batches,
    compare,
    findings_of,
)
from distil.exporting.forms import FORMS, Form
from distil.exporting.source import EMBEDDING, INPUTS, Source
from distil.frameworks import find_framework


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What a proof found.

    Attributes:
        runtime: What ran the file, and its version.
        reference: The framework of the plain model, in float64.
        findings: For each size of the grid, and for all texts.
        limits: What the type admits.
    """

    runtime: str
    reference: str
    findings: tuple[Finding, ...]
    limits: Limits

    @property
    def holds(self) -> bool:
        """Whether everything is within limits."""
        return all(one.holds(self.limits) for one in self.findings)


class Runner:
    """What runs in the separate process, asked through `distil.benchmarking.workers`.

    Args:
        form: Name of the form.
        path: What its runtime opens.
    """

    def __init__(self, form: str, path: str) -> None:
        self._run = FORMS[form].module.open_runtime(Path(path))

    def run(self, given: str, found: str) -> None:
        """Run the inputs in one file; write the outputs to another."""
        with np.load(given) as arrays:
            outputs = self._run(*(arrays[name] for name in INPUTS))
        answers: dict[str, Any] = {name: np.asarray(array) for name, array in outputs.items()}
        np.savez(found, **answers)


def prove(
    source: Source,
    form: Form,
    path: Path,
    dtype: str,
    texts: Sequence[Any],
    progress: Callable[[str], None],
) -> Proof:
    """Run an export, and compare.

    Args:
        source: What was exported.
        form: To which form.
        path: What `write` of the form gave.
        dtype: Of the export.
        texts: Token ids of texts.
        progress: Told what is being done.

    Raises:
        WorkerError: The runtime cannot load or run it.
        FrameworkError: There is no framework for the plain model.
    """
    framework = find_framework(form.framework)
    reference = _reference(source, framework)
    found: dict[str, list[tuple[Comparison, float]]] = {}
    options = {"form": form.name, "path": str(path)}
    worker = Worker(Candidate(name=form.title, runner=f"{__name__}:Runner", options=options))
    try:
        with TemporaryDirectory() as scratch:
            given, answers = Path(scratch) / "given.npz", Path(scratch) / "found.npz"
            for batch in batches(source, texts):
                progress(f"proving: {batch.name}")
                np.savez(given, input_ids=batch.ids, attention_mask=batch.mask)
                reply = worker.ask("run", given=str(given), found=str(answers))
                with np.load(answers) as outputs:
                    compared = compare(source, batch, dict(outputs), reference(batch))
                found.setdefault(batch.name, []).append((compared, reply.seconds))
    finally:
        worker.close()
    return Proof(
        runtime=form.runtime_version, reference=framework, limits=LIMITS[dtype],
        findings=findings_of(found),
    )  # fmt: skip


# What makes one vector (b d) of states (b s d), by a mask (b s 1).
_POOLED: Mapping[str, Callable[[Array, Array], Array]] = {
    "mean": lambda states, mask: (states * mask).sum(axis=1) / mask.sum(axis=1),
    "cls": lambda states, mask: states[:, 0],
    "max": lambda states, mask: np.where(mask, states, -np.inf).max(axis=1),
    "mean_sqrt_len": lambda states, mask: (states * mask).sum(axis=1) / np.sqrt(mask.sum(axis=1)),
}


def _embedded(states: Array, mask: Array, encoding: SentenceEncoding) -> Array:
    vectors = _POOLED[encoding.pooling](states, mask)
    if not encoding.normalize:
        return vectors
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths))


def _reference(source: Source, framework: str) -> Callable[[Batch], dict[str, Array]]:
    """The plain model in float64, pooled where the export is."""
    model = source.model(framework, "float64")

    def run(batch: Batch) -> dict[str, Array]:
        if framework == "pt":
            import torch  # noqa: PLC0415 - its framework was asked for

            with torch.inference_mode():
                output = model(*(torch.from_numpy(one) for one in (batch.ids, batch.mask)))
        else:
            output = model(input_ids=batch.ids, attention_mask=batch.mask)
        fields = {name: np.asarray(output[name]) for name in source.task.scores}
        if source.encoding is None:
            return fields
        [states] = fields.values()  # b s d
        return {EMBEDDING: _embedded(states, batch.mask[..., None], source.encoding)}

    return run
