"""Pipelines for `predict`: with one framework, or with both to compare them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from distil.common.labels import BINARY
from distil.common.tasks import TASKS
from distil.errors import CheckpointWarning, InputError
from distil.frameworks import FRAMEWORKS, import_framework
from distil.pipelines import pipeline
from distil.pipelines.base import Pipeline
from distil.pipelines.comparison import ComparedModels

BOTH = "both"


def make_pipeline(
    name: str | Path | None,
    *,
    framework: str | None = None,
    top_k: int | None = None,
    **options: Any,
) -> Pipeline:
    """A pipeline as `distil.pipeline` makes it, or one that runs both frameworks and compares them.

    Args:
        name: As in `predict`.
        framework: As in `distil.load`, or "both".
        top_k: How many labels, words, choices or answers to return; None for the default.
        **options: Further options of `distil.pipeline`.

    Raises:
        InputError: Both frameworks are asked for in another type than float32.
        DistilError: As `distil.pipeline`.
    """
    if framework != BOTH:
        pipe: Pipeline = pipeline(model=name, framework=framework, **options)
    else:
        dtype, engine = options.get("dtype") or "float32", options.get("engine")
        if dtype != "float32" or engine not in (None, "packed"):
            raise InputError(
                "frameworks are compared in float32, without an engine",
                found=f"dtype {dtype}, engine {engine}", where="framework 'both'",
            )  # fmt: skip
        for one in FRAMEWORKS:
            import_framework(one)
        one, two = FRAMEWORKS
        pipe = pipeline(model=name, framework=one, **options)
        with warnings.catch_warnings():
            # The first framework has already warned about the checkpoint.
            warnings.simplefilter("ignore", CheckpointWarning)
            other = pipeline(model=name, framework=two, **options)
        pipe.model, pipe.origin = ComparedModels(pipe.model, other.model), None
    if hasattr(pipe.options, "top_k"):
        usual = None if has_several_labels(pipe) else TASKS[pipe.task].top_k
        pipe.set_options(top_k=usual if top_k is None else top_k)
    elif top_k is not None:
        raise InputError("this task has no top_k", found=f"a model for {pipe.task}", where="top_k")
    return pipe


def has_several_labels(pipe: Pipeline) -> bool:
    """Whether a text may have several labels, or none, so that every label has a say."""
    return pipe.model.config.problem_type == BINARY


def frameworks_of(pipe: Pipeline) -> tuple[str, ...]:
    """The frameworks, or the engine, that a pipeline runs."""
    compared = isinstance(pipe.model, ComparedModels)
    return tuple(FRAMEWORKS) if compared else (pipe.model.framework,)


def difference_of(pipe: Pipeline) -> float | None:
    """The largest difference between the frameworks so far; None if only one runs."""
    return pipe.model.difference if isinstance(pipe.model, ComparedModels) else None
