"""OpenVINO's IR, written over the engine's own operators, in the forms that its CPU plugin fuses.

Inputs, types and what happens to padding are those of `distil.exporting.onnx`.

Shapes: n rows, s length, t tokens that are shown, m tokens to score, d dim, l labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset15 as op

from distil.arrays import Array
from distil.common.inference.quantization import quantized
from distil.engines.graph import HIDDEN, MASK, build
from distil.engines.openvino import Node, OpenVINOOperators
from distil.exporting.forms import STEMS
from distil.exporting.source import INPUTS, NOTHING, SHORTEST, Source


class FileOperators(OpenVINOOperators):
    """The operators of a file, with the prologue before them and what scores become after.

    Args:
        source: What is exported.
        dtype: "float32", "float16" or "int8".
    """

    def __init__(self, source: Source, dtype: str) -> None:
        super().__init__(source.weights, source.ranges("openvino") if dtype == "int8" else None)
        self._source = source
        self.parameters = [
            op.parameter([-1] * len(source.input_axes), np.int64, name) for name in INPUTS
        ]
        for node, name in zip(self.parameters, INPUTS, strict=True):
            node.output(0).set_names({name})
        self._prologue()

    def _prologue(self) -> None:
        """Derive what `build` asks for from input_ids and attention_mask."""
        ids, mask = (op.convert(node, np.int32) for node in self.parameters)
        if self._source.task.has_choices:  # each choice is a row
            length = op.gather(op.shape_of(mask, "i64"), _ints(2), _int(0))
            mask = op.reshape(mask, op.concat([_ints(-1), length], 0), special_zero=False)
        given = op.not_equal(mask, _int(0))  # n s
        empty = op.logical_not(op.reduce_logical_or(given, _ints(1), keep_dims=True))  # n 1
        self._shown = shown = op.logical_or(given, empty)
        self._number = number = op.convert(shown, np.int32)
        shape = op.shape_of(shown, "i32")
        length = op.gather(shape, _int(1), _int(0))
        places = _flat(op.non_zero(_flat(number), "i32"))  # t
        # The token at each place; at padding the one before it, which exists or is the first.
        before = op.subtract(op.cum_sum(_flat(number), _int(0)), _int(1))
        token = op.reshape(op.maximum(before, _int(0)), shape, special_zero=False)  # n s
        hidden = op.select(shown, op.constant(np.float32(0)), op.constant(HIDDEN))
        self._index: dict[str, Any] = {
            "ids": op.gather(_flat(ids), places, _int(0)),
            "positions": op.mod(places, length),
            "laid_out": token,
            "taken_back": places,
            MASK: op.unsqueeze(hidden, _ints(1, 2)),
        }
        if self._source.reads_first:
            column = op.range(_int(0), length, _int(1), "i32")
            first = op.reduce_min(op.select(shown, column, length), _ints(1), keep_dims=True)  # n 1
            rows = op.range(_int(0), op.gather(shape, _int(0), _int(0)), _int(1), "i32")
            self._index |= {
                "scored": _flat(op.gather_elements(token, first, 1)),
                "asked": op.unsqueeze(rows, _ints(1)),
                "answered": rows,
            }
        else:
            self._index |= {"scored": None, "asked": token, "answered": places}

    def parameter(self, name: str) -> Node:  # noqa: D102
        return self._index[name]

    def take(self, x: Node, index: Node) -> Node:
        """Tokens by number; all of them where there is no index."""
        return x if index is None else super().take(x, index)

    def lookup(self, module: str, index: Node) -> Node:  # noqa: D102
        if self.ranges is None:
            return super().lookup(module, index)
        values, factor = (op.constant(one) for one in quantized(self.weights[f"{module}.weight"]))
        rows = op.convert(op.gather(values, index, _int(0)), np.float32)
        return op.unsqueeze(op.multiply(rows, op.gather(factor, index, _int(0))), _ints(0))

    def results(self, scores: Node) -> dict[str, Node]:
        """The outputs by name, of the scores (1 m l)."""
        outputs = tuple(self._source.outputs)
        scores = op.squeeze(scores, _ints(0))
        if self._source.task.has_choices:
            shape = op.gather(op.shape_of(self.parameters[0], "i64"), _ints(0, 1), _int(0))
            return {outputs[0]: op.reshape(scores, shape, special_zero=False)}
        if self._source.reads_first:
            return {outputs[0]: self._normalised(scores)}
        filler = op.constant(np.float32(NOTHING.get(self._source.task.name, 0.0)))
        laid = op.gather(scores, self._index["laid_out"], _int(0))  # n s l
        padded = op.select(op.unsqueeze(self._shown, _ints(2)), laid, filler)
        if self._source.encoding is not None:
            return {outputs[0]: self._normalised(self._pooled(laid, padded))}
        if len(outputs) == 1:
            return {outputs[0]: padded}
        return {
            name: op.gather(padded, _int(number), _int(2)) for number, name in enumerate(outputs)
        }

    def _pooled(self, laid: Node, padded: Node) -> Node:
        """One vector (n d) of the states (n s d) of each text."""
        if self._source.pooling == "max":
            shown = op.unsqueeze(self._shown, _ints(2))
            return op.reduce_max(op.select(shown, laid, op.constant(HIDDEN)), _ints(1))
        counts = op.reduce_sum(self._number, _ints(1), keep_dims=True)
        divisor = op.convert(counts, np.float32)
        if self._source.pooling == "mean_sqrt_len":
            divisor = op.sqrt(divisor)
        return op.divide(op.reduce_sum(padded, _ints(1)), divisor)

    def _normalised(self, vectors: Node) -> Node:
        """Vectors (n d) of length one, if they are to be; scores as they are."""
        if self._source.encoding is None or not self._source.encoding.normalize:
            return vectors
        lengths = op.reduce_l2(vectors, _ints(1), keep_dims=True)
        return op.divide(vectors, op.maximum(lengths, op.constant(np.float32(SHORTEST))))


def _flat(x: Node) -> Node:
    return op.reshape(x, _ints(-1), special_zero=False)


def _ints(*values: int) -> Node:
    return op.constant(np.array(values, np.int64))


def _int(value: int) -> Node:
    return op.constant(np.int32(value))


def write(source: Source, folder: Path, dtype: str) -> Path:
    """Write openvino_model.xml and .bin, with the type in the name; gives the .xml."""
    operators = FileOperators(source, dtype)
    results = operators.results(build(operators, source.config, source.task.name))
    for name, node in results.items():
        node.output(0).set_names({name})
    model = openvino.Model(list(results.values()), operators.parameters, source.task.name)
    path = folder / f"openvino_{STEMS[dtype]}.xml"
    openvino.save_model(model, path, compress_to_fp16=dtype != "float32")
    return path


class OpenVINORuntime:
    """A file in OpenVINO.

    Args:
        path: The .xml.
    """

    def __init__(self, path: Path) -> None:
        # As it was written, rather than in the processor's fastest type.
        options = {"INFERENCE_PRECISION_HINT": "f32"}
        self._model = openvino.Core().compile_model(path, "CPU", options)

    def __call__(self, input_ids: Array, attention_mask: Array) -> Mapping[str, Array]:
        """The outputs by name."""
        given = dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
        return {port.any_name: array for port, array in self._model(given).items()}


open_runtime = OpenVINORuntime
