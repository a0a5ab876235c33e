"""ONNX, written by hand over the engine's operators: no framework, nothing traced.

The file takes input_ids and attention_mask, as models do, and removes the padding itself: a
prologue turns the mask into the indexes that the graph of `distil.engines.graph` works with.

In float16, matrices are stored in half and computed with in float32.  In int8, the encoder's linear
layers are computed in bytes, embeddings are stored in bytes with a factor for each row, and the
head's matrices as in float16.  A row whose mask is all 0 is read whole: it must give numbers, and
not those of another row.

Shapes: n rows, s length, t tokens that are shown, m tokens to score, d dim, l labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from distil.arrays import Array
from distil.common.inference.quantization import quantized
from distil.common.spec import ENCODER_PREFIX, VOCAB_PROJECTOR, WORD_EMBEDDINGS, width
from distil.engines.graph import HIDDEN, MASK, build
from distil.engines.onnx_graph import IR_VERSION, OPSET, OWN_DOMAIN, ONNXOperators
from distil.errors import WeightsError
from distil.exporting.forms import STEMS
from distil.exporting.source import INPUTS, NOTHING, SHORTEST, Source

FOLDER = "onnx"  # where transformers.js looks


class FileOperators(ONNXOperators):
    """The operators of a file, with the prologue before them and what scores become after.

    Args:
        source: What is exported.
        dtype: "float32", "float16" or "int8".
    """

    def __init__(self, source: Source, dtype: str) -> None:
        super().__init__(source.weights, source.ranges("onnxruntime") if dtype == "int8" else None)
        self._source, self._dtype = source, dtype
        self._index: dict[str, str] = {}
        self.parameters += [
            helper.make_tensor_value_info(name, TensorProto.INT64, source.input_axes)
            for name in INPUTS
        ]
        self._prologue()

    def _prologue(self) -> None:
        """Derive what `build` asks for from input_ids and attention_mask."""
        ids, mask = INPUTS
        flat, zero, one = self._ints(-1), self._int(0), self._int(1)
        if self._source.task.has_choices:  # each choice is a row
            length = self.node("Shape", mask, start=-1)
            mask = self.node("Reshape", mask, self.node("Concat", flat, length, axis=0))
        given = self.node("Cast", mask, to=TensorProto.BOOL)  # n s
        number = self.node("Cast", given, to=TensorProto.INT32)
        most = self.node("ReduceMax", number, self._ints(1), keepdims=1)  # n 1
        empty = self.node("Not", self.node("Cast", most, to=TensorProto.BOOL))
        self._shown = shown = self.node("Or", given, empty)  # n s
        number = self.node("Cast", shown, to=TensorProto.INT32)
        self._key_mask = number
        self._shape = shape = self.node("Shape", shown)
        in_a_row = self.node("Reshape", shown, flat)  # n*s
        places = self.node("Reshape", self.node("NonZero", in_a_row), flat)  # t
        # The token at each place; at padding the one before it, which exists or is the first.
        count = self.node("CumSum", self.node("Reshape", number, flat), zero)
        before = self.node("Sub", count, self._integer(1))
        token = self.node("Reshape", self.node("Max", before, self._integer(0)), shape)  # n s
        self._index = {
            "ids": self.node("Gather", self.node("Reshape", ids, flat), places),
            "positions": self.node("Mod", places, self.node("Gather", shape, one)),
            "laid_out": token,
            "taken_back": places,
            MASK: shown,
        }
        if self._source.reads_first:
            first = self.node("ArgMax", number, axis=1, keepdims=1)  # n 1: the first that is shown
            rows = self.node("Range", zero, self.node("Gather", shape, zero), one)
            asked = self.node("Unsqueeze", rows, self._ints(1))
            self._index |= {
                "scored": self.node(
                    "Reshape", self.node("GatherElements", token, first, axis=1), flat
                ),
                "asked": self.node("Cast", asked, to=TensorProto.INT32),
                "answered": rows,
            }
        else:
            self._index |= {"scored": "", "asked": token, "answered": places}

    def parameter(self, name: str) -> str:  # noqa: D102
        return self._index[name]

    def take(self, x: str, index: str) -> str:
        """Tokens by number; all of them where there is no index."""
        return super().take(x, index) if index else x

    def lookup(self, module: str, index: str) -> str:  # noqa: D102
        if self.ranges is None:
            return super().lookup(module, index)
        values, factor = self._by_row(module)
        rows = self.node("Cast", self.node("Gather", values, index), to=TensorProto.FLOAT)
        factors = self.node("Unsqueeze", self.node("Gather", factor, index), self._ints(1))
        return self.node("Mul", rows, factors)

    def linear(self, x: str, modules: Sequence[str], reader: str | None = None) -> str:  # noqa: D102
        if self.ranges is None or list(modules) != [VOCAB_PROJECTOR]:
            return super().linear(x, modules, reader)
        # As large as the embeddings, and as a rule the same.
        tied = self._source.config.tie_word_embeddings
        module = f"{ENCODER_PREFIX}.{WORD_EMBEDDINGS}" if tied else VOCAB_PROJECTOR
        values, factor = self._by_row(module)
        whole = self.node("Cast", values, to=TensorProto.FLOAT)
        weight = self.node("Mul", whole, self.node("Unsqueeze", factor, self._ints(1)))
        bias = self.constant(f"{VOCAB_PROJECTOR}.bias", self.weights[f"{VOCAB_PROJECTOR}.bias"])
        return self.node("Gemm", x, weight, bias, transB=1)

    def attend_scored(
        self, read: str, scored: str, modules: Sequence[str], inputs: Mapping[str, str],
        heads: int, head_dim: int, readers: tuple[str, str],
    ) -> str:  # fmt: skip
        """As in every engine; where one token of a row asks, without keys and values of the others.

        A score is q (K x + c), which is (q K) x and a number that is the same for all tokens: no
        weight depends on it.  So for each head the query goes through K, rather than every token;
        and so does the sum of tokens through V, rather than every token before they are summed.
        """
        if self.ranges is not None or not self._source.reads_first:
            return super().attend_scored(read, scored, modules, inputs, heads, head_dim, readers)
        query, key, value = modules
        by_head = self._ints(heads, head_dim, -1)
        keys, values = (
            self.node("Reshape", self._weight(f"{module}.weight"), by_head)
            for module in (key, value)
        )  # h e d each
        scale = self.constant("scale of scores", np.float32(head_dim**-0.5))
        asked = self.node("Mul", self.linear(scored, [query]), scale)
        split = self.node("Reshape", asked, self._ints(-1, heads, head_dim))  # n h e
        own = self.node("MatMul", self.node("Transpose", split, perm=[1, 0, 2]), keys)  # h n d
        tokens = self.node("Gather", read, inputs["laid_out"])  # n s d
        scores = self.node(
            "MatMul", self.node("Transpose", own, perm=[1, 0, 2]),
            self.node("Transpose", tokens, perm=[0, 2, 1]),
        )  # fmt: skip
        hidden = self.constant("hidden", HIDDEN)
        shown = self.node("Unsqueeze", self._shown, self._ints(1))  # n 1 s
        weights = self.node("Softmax", self.node("Where", shown, scores, hidden), axis=-1)  # n h s
        sums = self.node("Transpose", self.node("MatMul", weights, tokens), perm=[1, 2, 0])  # h d n
        context = self.node("Transpose", self.node("MatMul", values, sums), perm=[2, 0, 1])  # n h e
        row = self.node("Reshape", context, self._ints(-1, heads * head_dim))
        return self.node("Add", row, self._weight(f"{value}.bias"))

    def _by_row(self, module: str) -> tuple[str, str]:
        """A matrix in bytes, and the factors of its rows, as constants."""
        values, factor = quantized(self.weights[f"{module}.weight"])
        return (
            self.constant(f"{module}.values", values),
            self.constant(f"{module}.factor", factor[:, 0]),
        )

    def results(self, scores: str) -> dict[str, str]:
        """The outputs by name, of the scores (m l)."""
        outputs = tuple(self._source.outputs)
        if self._source.task.has_choices:
            rows = self.node("Shape", INPUTS[0], end=2)
            return {outputs[0]: self.node("Reshape", scores, rows)}
        if self._source.reads_first:
            return {outputs[0]: self._normalised(scores)}
        filler = self.constant("at padding", np.float32(NOTHING.get(self._source.task.name, 0.0)))
        laid = self.node("Gather", scores, self._index["laid_out"])  # n s l
        shown = self.node("Unsqueeze", self._shown, self._ints(2))
        padded = self.node("Where", shown, laid, filler)
        if self._source.encoding is not None:
            return {outputs[0]: self._normalised(self._pooled(laid, padded, shown))}
        if len(outputs) == 1:
            return {outputs[0]: padded}
        return {
            name: self.node("Gather", padded, self._int(number), axis=2)
            for number, name in enumerate(outputs)
        }

    def _pooled(self, laid: str, padded: str, shown: str) -> str:
        """One vector (n d) of the states (n s d) of each text."""
        if self._source.pooling == "max":
            lowest = self.constant("lowest", HIDDEN)
            states = self.node("Where", shown, laid, lowest)
            return self.node("ReduceMax", states, self._ints(1), keepdims=0)
        total = self.node("ReduceSum", padded, self._ints(1), keepdims=0)
        counts = self.node("ReduceSum", self._key_mask or "", self._ints(1), keepdims=1)
        divisor = self.node("Cast", counts, to=TensorProto.FLOAT)
        if self._source.pooling == "mean_sqrt_len":
            divisor = self.node("Sqrt", divisor)
        return self.node("Div", total, divisor)

    def _normalised(self, vectors: str) -> str:
        """Vectors (n d) of length one, if they are to be; scores as they are."""
        if self._source.encoding is None or not self._source.encoding.normalize:
            return vectors
        lengths = self.node("ReduceL2", vectors, self._ints(1), keepdims=1)
        shortest = self.constant("shortest", np.float32(SHORTEST))
        return self.node("Div", vectors, self.node("Max", lengths, shortest))

    def model(self, outputs: Mapping[str, str]) -> onnx.ModelProto:
        """What has been added, as a file."""
        widths = {
            "dim": self._source.config.dim,
            "labels": width(self._source.config, self._source.task.name),
        }
        results, last = [], []
        for name, axes in self._source.outputs.items():
            sizes = [widths.get(axis, axis) for axis in axes]
            results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes))
            last.append(helper.make_node("Identity", [outputs[name]], [name], name=f"{name} given"))
        stored, casts = [], []
        named: dict[int, str] = {}
        for name, array in self.constants.items():
            first = named.setdefault(id(array), name)
            if first != name:  # tied to another, and stored once
                casts.append(helper.make_node("Identity", [first], [name], name=f"{name} tied"))
            elif self._dtype != "float32" and array.ndim == 2 and array.dtype == np.float32:
                half = f"{name} in float16"
                stored.append(numpy_helper.from_array(_halved(array, name), half))
                casts.append(
                    helper.make_node(
                        "Cast", [half], [name], name=f"{name} cast", to=TensorProto.FLOAT
                    )
                )
            else:
                stored.append(numpy_helper.from_array(array, name))
        graph = helper.make_graph(
            [*casts, *self.nodes, *last], "distilbert", self.parameters, results, stored
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(OWN_DOMAIN, 1)]
        return helper.make_model(
            graph, ir_version=IR_VERSION, opset_imports=opsets, producer_name="distil"
        )

    def _ints(self, *values: int) -> str:
        return self.constant(f"list {values}", np.array(values, np.int64))

    def _int(self, value: int) -> str:
        return self.constant(f"number {value}", np.array(value, np.int64))


def _halved(array: Array, name: str) -> Array:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        raise WeightsError(
            "a weight is too large for float16", expected="at most 65504",
            found=float(np.abs(array).max()), where=name, fix="export in float32",
        )  # fmt: skip
    return half


def write(
    source: Source, folder: Path, dtype: str, kind: type[FileOperators] = FileOperators
) -> Path:
    """Write onnx/model.onnx, model_fp16.onnx or model_quantized.onnx; gives the file."""
    operators = kind(source, dtype)
    scores = build(operators, source.config, source.task.name)
    model = operators.model(operators.results(scores))
    path = folder / FOLDER / f"{STEMS[dtype]}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


class ONNXRuntime:
    """A file in ONNX Runtime.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime  # noqa: PLC0415 - writing needs only onnx

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [one.name for one in self._session.get_outputs()]

    def __call__(self, input_ids: Array, attention_mask: Array) -> Mapping[str, Array]:
        """The outputs by name."""
        given = dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
        return dict(zip(self._outputs, self._session.run(None, given), strict=True))


open_runtime = ONNXRuntime
