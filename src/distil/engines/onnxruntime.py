"""Running the graph of `distil.engines.onnx_graph` in ONNX Runtime."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping

import onnxruntime

from distil.arrays import Array
from distil.engines.onnx_graph import Graph, to_graph, to_observer
from distil.errors import FallbackWarning

__all__ = ["Session", "supported", "to_graph", "to_observer"]


def supported(dtype: str) -> str:
    """`dtype`, or, with a warning, its replacement where the engine lacks it."""
    if dtype == "bfloat16":
        warnings.warn(
            "ONNX Runtime does not compute in bfloat16 on a CPU: float32 instead",
            FallbackWarning,
            stacklevel=2,
        )
        return "float32"
    return dtype


class Session:
    """A graph, made ready for this processor.

    Args:
        graph: The graph.
        dtype: "float32" or "int8"; the graph says it all.
        threads: How many compute; None takes one a core.
    """

    survives_fork = True

    def __init__(self, graph: Graph, *, dtype: str, threads: int | None) -> None:
        del dtype  # of interest to other engines
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        if threads is not None:
            options.intra_op_num_threads = threads
        # What is taken from memory has to stay there.
        self._constants = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(array)
            for name, array in graph.constants.items()
        }
        options.add_external_initializers(list(self._constants), list(self._constants.values()))
        self._graph = graph
        self._session = onnxruntime.InferenceSession(
            graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {one.name for one in self._session.get_inputs()}
        self._outputs = [one.name for one in self._session.get_outputs()]

    def run(self, feeds: Iterable[Mapping[str, Array]]) -> Iterator[dict[str, Array]]:
        """The outputs by name for each set of inputs, in order."""
        for feed in feeds:
            given = {name: array for name, array in feed.items() if name in self._inputs}
            yield dict(zip(self._outputs, self._session.run(None, given), strict=True))
