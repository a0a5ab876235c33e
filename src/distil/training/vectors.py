"""A teacher's vectors of the training texts, kept on disk: computed once, then memory-mapped.

Where only vectors are compared, later epochs and other students then cost the student's part alone.
They are stored in float16, whose rounding is far below the distance of a student to its teacher.

Shapes: n texts, b texts of a batch, d dim of the teacher.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from distil.arrays import Array
from distil.common.steps.batching import (
    OF_TEACHER,
    VECTORS,
    Features,
    collate,
    plan_evaluation,
    prefetched,
)
from distil.errors import InputError, TrainingError
from distil.storage.files import read_json, write_json
from distil.training.cache import remove_leftovers


class Teacher(Protocol):
    """What computes vectors: a step of distillation."""

    def teacher_vectors(self, inputs: Mapping[str, Array]) -> Array:
        """The teacher's vectors of a batch (b, d)."""


def with_vectors(
    features: Features, step: Teacher, *, folder: Path, known_by: Any, width: int, tokens: int
) -> Features:
    """The same examples with their teacher's vectors in place of its tokens.

    Args:
        features: Texts to learn from.
        step: Computes the vectors, if they are not in the folder yet.
        folder: Where they are kept.
        known_by: What identifies the teacher, as JSON can hold it.
        width: Of the vectors, d.
        tokens: In a batch, padding included.

    Raises:
        InputError: They cannot be kept.
        TrainingError: A vector is not finite.
    """
    read = features if features.teacher is None else features.teacher
    described = [known_by, width, zlib.crc32(read.ids.data), zlib.crc32(read.starts.data)]
    key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"vectors-{key}.npy"
    shape = (len(features), width)
    try:
        vectors = _load(path, shape)
        if vectors is None:
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(path)
            _write(path, shape, features, step, tokens)
            vectors = _load(path, shape)
    except OSError as error:
        raise InputError(
            "the teacher's vectors cannot be kept", found=error, where=path,
            fix="make room, or choose another teacher.cache",
        ) from None  # fmt: skip
    assert vectors is not None
    targets = {**features.targets, OF_TEACHER + VECTORS: vectors}
    return replace(features, targets=targets, teacher=None)


def _write(
    path: Path, shape: tuple[int, int], features: Features, step: Teacher, tokens: int
) -> None:
    # A name of its own: several processes may be writing the same vectors.
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    try:
        table = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
        plan = plan_evaluation(features.lengths, tokens=tokens)
        for batch in prefetched(plan, lambda rows: collate(features, rows, pad=0)):
            with np.errstate(over="ignore"):  # which is an error below
                found = step.teacher_vectors(batch.inputs).astype(np.float16)
            if not np.isfinite(found).all():
                raise TrainingError(
                    "the teacher's vectors are not finite", expected="numbers that float16 holds",
                    where="teacher.name", fix="set teacher.cache to null, or check the teacher",
                )  # fmt: skip
            table[batch.rows] = found
        table.flush()
        write_json(_note(path), {"crc32": zlib.crc32(table.data)})
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _load(path: Path, shape: tuple[int, int]) -> Array | None:
    """The vectors in a file; None where it is not there, or not what was written."""
    try:
        vectors: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        found = vectors.shape == shape and vectors.dtype == np.float16
        return (
            vectors
            if found and read_json(_note(path))["crc32"] == zlib.crc32(vectors.data)
            else None
        )
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None


def _note(path: Path) -> Path:
    return path.with_suffix(".json")
