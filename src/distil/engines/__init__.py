"""OpenVINO and ONNX Runtime behind `InferenceModel`, without any framework.

Graphs are built from the weights, in each engine's own operators (`graph` defines the model once
for both), so that nothing is traced or exported, nothing is padded, and what no head reads is not
computed.  An engine is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from distil.checkpoints.located import Located
from distil.common.config import DistilBertConfig
from distil.common.inference.calibration import Calibration
from distil.common.inference.model import InferenceModel
from distil.common.inference.ranges import ActivationRanges
from distil.common.initial import initial_weight
from distil.common.labels import check_task
from distil.common.spec import parameters
from distil.engines.feeding import feeds
from distil.engines.graph import Weights
from distil.engines.model import EngineModel
from distil.errors import InputError, not_installed, shown
from distil.frameworks import ENGINE_PACKAGES

DTYPES = ("float32", "bfloat16", "int8")


def load(
    found: Located,
    config: DistilBertConfig,
    task: str,
    *,
    engine: str,
    dtype: str = "float32",
    threads: int | None = None,
    calibration: Calibration | None = None,
) -> InferenceModel:
    """A checkpoint as an engine's model; a head that it lacks is initialized at random.

    Args:
        found: The checkpoint, in any format.
        config: Of the model.
        task: Of the model, a name of `distil.common.tasks`.
        engine: See `from_weights`.
        dtype: See `from_weights`.
        threads: See `from_weights`.
        calibration: See `from_weights`.

    Raises:
        FrameworkError: The engine is not installed.
        InputError: There is no such engine or dtype, or int8 has nothing to calibrate on.
        CheckpointError: The files are damaged, or not those of this model.
    """
    _check(engine, dtype)
    check_task(config, task)
    match = found.match(task, config)
    match.report.check(name=found.name, ignore_mismatched_sizes=False)
    weights = {name: source.read() for name, source in match.sources.items()}
    for weight in parameters(config, task):
        if weight.name not in weights:
            weights[weight.name] = initial_weight(config, weight, 0)
    return _made(weights, config, task, engine, dtype, threads, calibration)


def from_weights(
    weights: Mapping[str, Any],
    config: DistilBertConfig,
    task: str,
    *,
    engine: str,
    dtype: str = "float32",
    threads: int | None = None,
    calibration: Calibration | None = None,
) -> InferenceModel:
    """A model in memory as an engine's model.

    Args:
        weights: By canonical name, in PyTorch's orientation, as `named_arrays` of a model gives
            them; they are copied.
        config: Of the model.
        task: Of the model, a name of `distil.common.tasks`.
        engine: "openvino" or "onnxruntime".
        dtype: To compute in.  "float32"; "bfloat16", with OpenVINO on processors that have it;
            "int8", the encoder's linear layers in bytes, the rest in the faster of the other two.
        threads: How many compute; None takes one a core.
        calibration: For int8.

    Raises:
        FrameworkError: The engine is not installed.
        InputError: There is no such engine or dtype, or int8 has nothing to calibrate on.

    Warns:
        FallbackWarning: The engine cannot compute in bfloat16 here, and uses float32.
    """
    copies = {name: np.array(array, np.float32) for name, array in weights.items()}
    return _made(copies, config, task, engine, dtype, threads, calibration)


def _made(
    weights: Mapping[str, Any],
    config: DistilBertConfig,
    task: str,
    engine: str,
    dtype: str,
    threads: int | None,
    calibration: Calibration | None,
) -> InferenceModel:
    """As `from_weights`, for arrays that nothing will change: a file's, or copies."""
    module = _check(engine, dtype)
    dtype = module.supported(dtype)
    ranges = None
    if dtype == "int8":
        if calibration is None:
            raise InputError(
                "int8 needs texts to calibrate on", expected="sequences of token ids", found="none",
                where="calibration",
            )  # fmt: skip
        ranges = measured_ranges(
            weights, config, task, engine=engine, calibration=calibration, threads=threads
        )
    graph = module.to_graph(Weights(weights, config, task), config, task, ranges)
    session = module.Session(graph, dtype=dtype, threads=threads)
    return EngineModel(session, config, task, engine=engine, dtype=dtype)


def measured_ranges(
    weights: Mapping[str, Any],
    config: DistilBertConfig,
    task: str,
    *,
    engine: str,
    calibration: Calibration,
    threads: int | None = None,
) -> ActivationRanges:
    """The ranges of what goes into a model's linear layers, which int8 needs.

    Args:
        weights: By canonical name, in PyTorch's orientation, in float32.
        config: Of the model.
        task: Of the model.
        engine: What measures, unless they are known already.
        calibration: What on.
        threads: How many compute; None takes one a core.

    Raises:
        FrameworkError: The engine is not installed.
        InputError: There is nothing to calibrate on.
    """
    module = _check(engine, "int8")

    def observe(sequences: Sequence[Any]) -> Iterator[tuple[str, float, float]]:
        graph = module.to_observer(Weights(weights, config, task), config, task)
        session = module.Session(graph, dtype="float32", threads=threads)
        for outputs in session.run(feed.inputs for feed in feeds(sequences)):
            for name, (low, high) in outputs.items():
                yield name, float(low), float(high)

    return calibration.ranges(weights, config, task, by=engine, observe=observe)


def _check(engine: str, dtype: str) -> ModuleType:
    """The module of an engine, once it is known to be installed.

    Raises:
        InputError: There is no such engine or dtype.
        FrameworkError: A package is missing.
    """
    for name, found, expected in (("engine", engine, [*ENGINE_PACKAGES]), ("dtype", dtype, DTYPES)):
        if found not in expected:
            raise InputError(
                f"unknown {name}", expected=" or ".join(expected), found=shown(found), where=name
            )
    for package in ENGINE_PACKAGES[engine]:
        if find_spec(package) is None:
            raise not_installed(package, where=f"engine {engine!r}", extra=engine)
    return importlib.import_module(f"distil.engines.{engine}")
