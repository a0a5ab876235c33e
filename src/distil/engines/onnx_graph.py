"""The graph in ONNX's operators.

Two of ONNX Runtime's own operators are used, which its optimizer does not find by itself:
attention, and the int8 product that returns floating point.  The rest it fuses from ONNX's.

Shapes: as in `distil.engines.graph`, but tokens are (t d), which makes products faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from distil.arrays import Array
from distil.common.config import DistilBertConfig
from distil.common.inference.quantization import quantized, scale_and_zero_point
from distil.common.inference.ranges import ActivationRanges
from distil.common.spec import NORM_EPSILON
from distil.engines.graph import INDEXES, MASK, OUTPUT, Operators, Weights, build

OPSET = 20  # the first with Gelu
IR_VERSION = 9
OWN_DOMAIN = "com.microsoft"

_SMALL_BYTES = 4096

_ACTIVATIONS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "gelu": ("Gelu", {}),
    "gelu_new": ("Gelu", {"approximate": "tanh"}),
    "gelu_pytorch_tanh": ("Gelu", {"approximate": "tanh"}),
    "quick_gelu": ("QuickGelu", {"domain": OWN_DOMAIN, "alpha": 1.702}),
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "silu": ("QuickGelu", {"domain": OWN_DOMAIN, "alpha": 1.0}),
    "swish": ("QuickGelu", {"domain": OWN_DOMAIN, "alpha": 1.0}),
    "mish": ("Mish", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
}


class Graph:
    """A graph, and the constants that it takes from memory rather than holds."""

    def __init__(self, model: onnx.ModelProto, constants: Mapping[str, Array]) -> None:
        self.model = model
        self.constants = constants


class ONNXOperators(Operators[str]):
    """ONNX's operators; a value is its name."""

    def __init__(self, weights: Weights, ranges: ActivationRanges | None) -> None:
        super().__init__(weights, ranges)
        self.nodes: list[onnx.NodeProto] = []
        self.parameters: list[onnx.ValueInfoProto] = []
        self.constants: dict[str, Array] = {}
        self._key_mask: str | None = None

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator of one output; gives the output."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, array: Any) -> str:
        """Add a constant, unless there is one of that name."""
        self.constants.setdefault(name, np.asarray(array, order="C"))
        return name

    def parameter(self, name: str) -> str:  # noqa: D102
        kind = TensorProto.FLOAT if name == MASK else TensorProto.INT32
        shape: list[Any] = [None, 1, 1, None] if name == MASK else [None] * INDEXES[name]
        self.parameters.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def lookup(self, module: str, index: str) -> str:  # noqa: D102
        return self.node("Gather", self._weight(f"{module}.weight"), index)

    def add(self, one: str, other: str) -> str:  # noqa: D102
        return self.node("Add", one, other)

    def norm(self, x: str, module: str, reader: str | None = None) -> tuple[str, str]:  # noqa: D102
        leaves = (self._weight(f"{module}.{leaf}") for leaf in ("weight", "bias"))
        y = self.node("LayerNormalization", x, *leaves, epsilon=NORM_EPSILON)
        return y, y if reader is None else self.quantize(y, reader)

    def linear(self, x: str, modules: Sequence[str], reader: str | None = None) -> str:  # noqa: D102
        name = " ".join(modules)
        weight, bias = (self.weights.side_by_side(modules, leaf) for leaf in ("weight", "bias"))
        bias_name = self.constant(f"{name}.bias", bias)
        byte_of = self._byte_of(reader)
        if byte_of is None:
            return self.node(
                "Gemm", x, self.constant(f"{name}.weight", weight), bias_name, transB=1
            )
        scale, zero_point = byte_of
        values, factor = quantized(weight)
        return self.node(
            "MatMulIntegerToFloat", x, self.constant(f"{name}.values", values.T),
            scale, self.constant(f"{name}.factor", factor[:, 0]),
            zero_point, "", bias_name, domain=OWN_DOMAIN,
        )  # fmt: skip

    def activate(self, x: str, function: str) -> str:  # noqa: D102
        if function == "linear":
            return x
        if function == "relu6":
            ends = (self.constant(str(end), np.array(end, np.float32)) for end in (0, 6))
            return self.node("Clip", x, *ends)
        kind, attributes = _ACTIVATIONS[function]
        return self.node(kind, x, **attributes)

    def quantize(self, x: str, reader: str) -> str:  # noqa: D102
        self.inputs[reader] = x
        byte_of = self._byte_of(reader)
        return x if byte_of is None else self.node("QuantizeLinear", x, *byte_of)

    def take(self, x: str, index: str) -> str:  # noqa: D102
        return self.node("Gather", x, index)

    def lay_out(self, x: str, index: str, parts: int) -> list[str]:  # noqa: D102
        # Seen as parts * t rows, so that no part has to be split off before.
        shape = self.constant(f"{parts} parts", np.array([0, parts, -1], np.int64))
        apart = self.node("Flatten", self.node("Reshape", x, shape), axis=2)  # parts*t a
        first = self.node("Mul", index, self._integer(parts))
        return [
            self.node("Gather", apart, self.node("Add", first, self._integer(part)))
            for part in range(parts)
        ]

    def attend(  # noqa: D102
        self, q: str, k: str, v: str, mask: str, heads: int, head_dim: int, reader: str
    ) -> str:
        if self._key_mask is None:  # n s: 1 where there is a token
            axes = self.constant("axes", np.array([1, 2], np.int64))
            zero = self.constant("zero", np.array(0, np.float32))
            shown = self.node("GreaterOrEqual", self.node("Squeeze", mask, axes), zero)
            self._key_mask = self.node("Cast", shown, to=TensorProto.INT32)
        context = self.node(
            "MultiHeadAttention", q, k, v, "", self._key_mask, num_heads=heads, domain=OWN_DOMAIN
        )  # n r a
        shape = self.constant(
            f"row of {heads * head_dim}", np.array([-1, heads * head_dim], np.int64)
        )
        return self.quantize(self.node("Reshape", context, shape), reader)

    def _integer(self, value: int) -> str:
        return self.constant(f"integer {value}", np.array(value, np.int32))

    def _weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def _byte_of(self, reader: str | None) -> tuple[str, str] | None:
        """Scale and zero point of the inputs of a linear layer, as constants."""
        bounds = self.range_of(reader)
        if bounds is None:
            return None
        scale, zero_point = scale_and_zero_point(*bounds)
        return (
            self.constant(f"{reader}.scale", np.array(scale, np.float32)),
            self.constant(f"{reader}.zero_point", np.array(zero_point, np.uint8)),
        )

    def graph(self, outputs: Mapping[str, str], name: str) -> Graph:
        """What has been added, as a graph that gives values by the names to give them."""
        for given, value in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [given], name=f"{given} given"))
        results = [helper.make_tensor_value_info(one, TensorProto.FLOAT, None) for one in outputs]
        # Its optimizer has to see the small ones.
        large = {n: array for n, array in self.constants.items() if array.nbytes > _SMALL_BYTES}
        constants = [
            _placeholder(name, array) if name in large else numpy_helper.from_array(array, name)
            for name, array in self.constants.items()
        ]
        graph = helper.make_graph(self.nodes, name, self.parameters, results, constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(OWN_DOMAIN, 1)]
        model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opsets)
        return Graph(model, large)


def _placeholder(name: str, array: Array) -> onnx.TensorProto:
    """A constant without its values: those are given from memory, see `Session`."""
    tensor = onnx.TensorProto(
        name=name,
        data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
        dims=array.shape,
        data_location=TensorProto.EXTERNAL,
    )
    tensor.external_data.add(key="location", value="memory")
    return tensor


def to_graph(
    weights: Weights, config: DistilBertConfig, task: str, ranges: ActivationRanges | None = None
) -> Graph:
    """The model as ONNX's; see `distil.engines.graph.build` for inputs and output."""
    ops = ONNXOperators(weights, ranges)
    return ops.graph({OUTPUT: build(ops, config, task)}, task)


def to_observer(weights: Weights, config: DistilBertConfig, task: str) -> Graph:
    """The model in floating point, giving what goes into its linear layers.

    One output a layer, called as the layer: the lowest and the highest value (2).
    """
    ops = ONNXOperators(weights, None)
    build(ops, config, task)
    row = ops.constant("row", np.array([1], np.int64))
    outputs = {}
    for reader, x in list(ops.inputs.items()):
        ends = [
            ops.node("Reshape", ops.node(find, x, keepdims=0), row)
            for find in ("ReduceMin", "ReduceMax")
        ]
        outputs[reader] = ops.node("Concat", *ends, axis=0)
    return ops.graph(outputs, task)
