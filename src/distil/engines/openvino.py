"""The graph in OpenVINO's operators, and what runs it.

Written in the forms that OpenVINO's CPU plugin fuses: a norm of 3 axes takes up its factors and the
quantisation after it, one of 2 does not; attention is products and a softmax, which become one
kernel with the changes of axes around them.

Shapes: as in `distil.engines.graph`; h heads, e width of a head.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import openvino
from openvino import opset15 as op

from distil.arrays import Array
from distil.common.config import DistilBertConfig
from distil.common.inference.quantization import LEVELS, byte_step, quantized
from distil.common.inference.ranges import ActivationRanges
from distil.common.spec import NORM_EPSILON
from distil.engines.graph import INDEXES, MASK, OUTPUT, Operators, Weights, build
from distil.errors import FallbackWarning

Node = Any

_ACTIVATIONS: Mapping[str, Callable[[Node], Node]] = {
    "gelu": lambda x: op.gelu(x, "erf"),
    "gelu_new": lambda x: op.gelu(x, "tanh"),
    "gelu_pytorch_tanh": lambda x: op.gelu(x, "tanh"),
    "quick_gelu": lambda x: op.swish(x, _number(1.702)),
    "relu": op.relu,
    "relu6": lambda x: op.clamp(x, 0.0, 6.0),
    "leaky_relu": lambda x: op.prelu(x, _number(0.01)),
    "silu": op.swish,
    "swish": op.swish,
    "mish": op.mish,
    "sigmoid": op.sigmoid,
    "tanh": op.tanh,
    "linear": lambda x: x,
}

_IN_FLIGHT = 2  # the next pack is laid out while one is computed


class OpenVINOOperators(Operators[Node]):
    """OpenVINO's operators; the weights are taken where they are in memory, not copied."""

    def __init__(self, weights: Weights, ranges: ActivationRanges | None) -> None:
        super().__init__(weights, ranges)
        self.parameters: list[Node] = []

    def parameter(self, name: str) -> Node:  # noqa: D102
        if name == MASK:
            node = op.parameter([-1, 1, 1, -1], np.float32, name)
        else:
            node = op.parameter([-1] * INDEXES[name], np.int32, name)
        node.output(0).set_names({name})
        self.parameters.append(node)
        return node

    def lookup(self, module: str, index: Node) -> Node:  # noqa: D102
        rows = op.gather(_constant(self.weights[f"{module}.weight"]), index, _axes(0))
        return op.unsqueeze(rows, _axes(0))

    def add(self, one: Node, other: Node) -> Node:  # noqa: D102
        return op.add(one, other)

    def norm(self, x: Node, module: str, reader: str | None = None) -> tuple[Node, Node]:  # noqa: D102
        weight, bias = self.weights[f"{module}.weight"], self.weights[f"{module}.bias"]

        def normalised(epsilon: float) -> Node:
            y = op.mvn(x, _axes(2), True, epsilon, "inside_sqrt")
            return op.add(op.multiply(y, _constant(weight)), _constant(bias))

        y = normalised(NORM_EPSILON)
        if reader is None:
            return y, y
        if self.ranges is None:
            return y, self.quantize(y, reader)
        # A norm of its own takes up the quantisation, which by itself costs five times as much.
        # Its epsilon differs, by less than a byte can show: two that are equal would be merged.
        return y, self.quantize(normalised(2 * NORM_EPSILON), reader)

    def linear(self, x: Node, modules: Sequence[str], reader: str | None = None) -> Node:  # noqa: D102
        weight, bias = (self.weights.side_by_side(modules, leaf) for leaf in ("weight", "bias"))
        bounds = self.range_of(reader)
        if bounds is None:
            return op.add(op.matmul(x, _constant(weight), False, True), _constant(bias))
        values, factor = quantized(weight)
        weight = op.multiply(op.convert(_constant(values), np.float32), _constant(factor))
        # Inputs come without their lowest value (see `quantize`), so its part is added here.
        low = np.float32(bounds[0])
        bias = bias + low * (values.sum(axis=1, dtype=np.float32) * factor[:, 0])
        return op.add(op.matmul(x, weight, False, True), _constant(bias))

    def activate(self, x: Node, function: str) -> Node:  # noqa: D102
        return _ACTIVATIONS[function](x)

    def quantize(self, x: Node, reader: str) -> Node:  # noqa: D102
        self.inputs[reader] = x
        bounds = self.range_of(reader)
        if bounds is None:
            return x
        # Laid over 0 to 255 with 0 for the lowest: a zero point would be an operator of its own.
        low = np.float32(bounds[0])
        width = LEVELS * np.float32(byte_step(*bounds))
        ends = (low, low + width, np.float32(0), width)
        return op.fake_quantize(x, *map(_constant, ends), LEVELS + 1)

    def take(self, x: Node, index: Node) -> Node:  # noqa: D102
        return op.gather(x, index, _axes(1))

    def lay_out(self, x: Node, index: Node, parts: int) -> list[Node]:  # noqa: D102
        width = x.get_output_partial_shape(0)[2].get_length() // parts
        # Seen as parts * t rows, so that no part has to be split off before.
        rows = op.reshape(x, _axes(-1, width), special_zero=False)
        first = op.multiply(index, op.constant(np.int32(parts)))
        return [
            op.gather(rows, op.add(first, op.constant(np.int32(part))), _axes(0))
            for part in range(parts)
        ]

    def attend(  # noqa: D102
        self, q: Node, k: Node, v: Node, mask: Node, heads: int, head_dim: int, reader: str
    ) -> Node:
        def split(x: Node) -> Node:  # n s a to n h s e
            apart = op.reshape(x, _axes(0, 0, heads, head_dim), special_zero=True)
            return op.transpose(apart, _axes(0, 2, 1, 3))

        keys = op.multiply(split(k), _number(head_dim**-0.5))
        scores = op.add(op.matmul(split(q), keys, False, True), mask)  # n h r s
        context = op.matmul(op.softmax(scores, -1), split(v), False, False)  # n h r e
        context = op.transpose(self.quantize(context, reader), _axes(0, 2, 1, 3))
        return op.reshape(context, _axes(1, -1, heads * head_dim), special_zero=False)


def _constant(array: Any) -> Node:
    return op.constant(np.asarray(array), shared_memory=True)


def _number(value: float) -> Node:
    return op.constant(np.float32(value))


def _axes(*values: int) -> Node:
    return op.constant(np.array(values, np.int64))


def to_graph(
    weights: Weights, config: DistilBertConfig, task: str, ranges: ActivationRanges | None = None
) -> openvino.Model:
    """The model as OpenVINO's; see `distil.engines.graph.build` for inputs and output."""
    ops = OpenVINOOperators(weights, ranges)
    scores = build(ops, config, task)
    scores.output(0).set_names({OUTPUT})
    return openvino.Model([scores], ops.parameters, task)


def to_observer(weights: Weights, config: DistilBertConfig, task: str) -> openvino.Model:
    """The model in floating point, giving what goes into its linear layers.

    One output a layer, called as the layer: the lowest and the highest value (2).
    """
    ops = OpenVINOOperators(weights, None)
    build(ops, config, task)
    results = []
    for reader, x in ops.inputs.items():
        axes = _axes(*range(len(x.get_output_partial_shape(0))))
        ends = [op.unsqueeze(find(x, axes), _axes(0)) for find in (op.reduce_min, op.reduce_max)]
        results.append(op.concat(ends, 0))
        results[-1].output(0).set_names({reader})
    return openvino.Model(results, ops.parameters, task)


def supported(dtype: str) -> str:
    """`dtype`, or, with a warning, its replacement where the processor lacks it."""
    if dtype == "bfloat16" and not _has_bfloat16():
        warnings.warn(
            "this processor does not compute in bfloat16: float32 instead", FallbackWarning,
            stacklevel=2,
        )  # fmt: skip
        return "float32"
    return dtype


class Session:
    """A graph, compiled for this processor.

    Args:
        model: The graph.
        dtype: "float32", "bfloat16" or "int8"; around int8 layers, the faster of the other two.
        threads: How many compute; None takes one a core.
    """

    survives_fork = False  # waits for ever

    def __init__(self, model: openvino.Model, *, dtype: str, threads: int | None) -> None:
        reduced = dtype == "bfloat16" or (dtype == "int8" and _has_bfloat16())
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",  # one pack at a time, on all cores
            "INFERENCE_PRECISION_HINT": "bf16" if reduced else "f32",
        }
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        compiled = self.compiled = _core().compile_model(model, "CPU", options)
        self._inputs = [port.any_name for port in compiled.inputs]
        self._outputs = [port.any_name for port in compiled.outputs]
        self._requests = [compiled.create_infer_request() for _ in range(_IN_FLIGHT)]

    def run(self, feeds: Iterable[Mapping[str, Array]]) -> Iterator[dict[str, Array]]:
        """The outputs by name for each set of inputs, in order; valid until the next is taken."""
        # Inputs are not copied: each set has to live until its request is done.
        waiting: deque[tuple[Any, Mapping[str, Array]]] = deque()

        def first() -> dict[str, Array]:
            request, _ = waiting[0]
            request.wait()
            waiting.popleft()
            return {
                name: request.get_output_tensor(place).data
                for place, name in enumerate(self._outputs)
            }

        try:
            for number, feed in enumerate(feeds):
                if len(waiting) == _IN_FLIGHT:
                    yield first()
                request = self._requests[number % _IN_FLIGHT]
                # One by one: a dictionary takes as long as the layer of a short sequence.
                for place, name in enumerate(self._inputs):
                    tensor = openvino.Tensor(feed[name], shared_memory=True)
                    request.set_input_tensor(place, tensor)
                request.start_async()
                waiting.append((request, feed))
            while waiting:
                yield first()
        finally:
            for request, _ in waiting:
                request.wait()


@cache
def _core() -> Any:
    return openvino.Core()


def _has_bfloat16() -> bool:
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
