"""What an engine computes, said once: the model over a pack of sequences, operator by operator.

Linear layers, norms and activations see the tokens of all sequences in one row.  For attention
they are laid out as a batch of padded sequences and taken back, by indexes that come with the
tokens.  The last layer, and the head, are computed for the tokens that are to be scored alone.

Shapes: t tokens of a pack, n its sequences, s length of the longest, m tokens to score, r the most
of one sequence, d dim, a attention width of a layer.  `Value` is whatever an engine's operators
take and give.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from distil.arrays import Array
from distil.common import spec
from distil.common.config import DistilBertConfig
from distil.common.inference.quantization import ActivationRanges

Value = TypeVar("Value")

LAYER_NORM_EPSILON = 1e-12

# The inputs of a graph and how many axes each has; every size may change from call to call.
INDEXES: Mapping[str, int] = {
    "ids": 1,  # t: the tokens
    "positions": 1,  # t: of each token in its sequence
    "laid_out": 2,  # n s: the token at each place of the padded batch
    "taken_back": 1,  # t: the place of each token, of n * s places
    "scored": 1,  # m: the tokens to score
    "asked": 2,  # n r: which of those is at each place of the padded queries
    "answered": 1,  # m: the place of each of those, of n * r places
}
MASK = "mask"  # n 1 1 s: 0 where a place holds a token, far below where it is padding
OUTPUT = "scores"


class Weights:
    """The weights of a model in float32, by canonical name, tied ones included.

    Args:
        weights: Arrays in PyTorch's orientation, tied ones left out.
        config: Of the model.
        task: Of the model.
    """

    def __init__(self, weights: Mapping[str, Any], config: DistilBertConfig, task: str) -> None:
        self._weights = weights
        self._table = spec.weights(config, task)
        self._read: dict[str, Array] = {}

    def side_by_side(self, modules: Sequence[str], leaf: str) -> Array:
        """A leaf of linear layers that have the same input, as that of one layer."""
        if len(modules) == 1:
            return self[f"{modules[0]}.{leaf}"]
        return np.concatenate([self[f"{module}.{leaf}"] for module in modules])

    def __getitem__(self, name: str) -> Array:
        name = self._table[name].tied_to or name
        if name not in self._read:
            # An engine takes them where they are, so both ends of a tie share one memory.
            self._read[name] = np.ascontiguousarray(self._weights[name], np.float32)
        return self._read[name]


class Operators(ABC, Generic[Value]):
    """The operators of an engine.

    Args:
        weights: Of the model.
        ranges: Of the inputs of the encoder's linear layers, by name within the encoder: these
            layers are then computed in int8.  None leaves everything in floating point.
    """

    def __init__(self, weights: Weights, ranges: ActivationRanges | None) -> None:
        self.weights = weights
        self.ranges = ranges
        # The inputs of the encoder's linear layers, for whoever wants to see them.
        self.inputs: dict[str, Value] = {}

    @abstractmethod
    def parameter(self, name: str) -> Value:
        """An input of the graph: a name of `INDEXES`, or `MASK`."""

    @abstractmethod
    def lookup(self, module: str, index: Value) -> Value:
        """Rows of an embedding: (t) to (1 t d)."""

    @abstractmethod
    def add(self, one: Value, other: Value) -> Value:
        """Sum of two values of the same shape."""

    @abstractmethod
    def norm(self, x: Value, module: str, reader: str | None = None) -> tuple[Value, Value]:
        """LayerNorm of (1 t d): as it is, and as the linear layer `reader` takes it.

        A reader is called as in `ranges`.  Of several with the same input the first stands for all.
        """

    @abstractmethod
    def linear(self, x: Value, modules: Sequence[str], reader: str | None = None) -> Value:
        """Linear layers of one input as one product: (1 t i) to (1 t o), side by side.

        Args:
            x: The input, as `norm`, `attend` or `quantize` give it to `reader`.
            modules: Canonical names of the layers.
            reader: As in `ranges`; None computes in floating point.
        """

    @abstractmethod
    def activate(self, x: Value, function: str) -> Value:
        """An activation by its name in a configuration."""

    @abstractmethod
    def quantize(self, x: Value, reader: str) -> Value:
        """`x` as the linear layer `reader` takes it."""

    @abstractmethod
    def take(self, x: Value, index: Value) -> Value:
        """Tokens of (1 t d) by number (m): (1 m d)."""

    @abstractmethod
    def lay_out(self, x: Value, index: Value, parts: int) -> list[Value]:
        """Tokens of (1 t parts*a) as padded batches, by number (n s): (n s a) for each part."""

    @abstractmethod
    def attend(
        self, q: Value, k: Value, v: Value, mask: Value, heads: int, head_dim: int, reader: str
    ) -> Value:
        """Attention of (n r a) over (n s a), in a row (1 n*r a), as `reader` takes it."""


def build(ops: Operators[Value], config: DistilBertConfig, task: str) -> Value:
    """The scores (1 m l) of a model, of the inputs in `INDEXES` and `MASK`.

    Args:
        ops: Of the engine.
        config: Of the model.
        task: Of the model.
    """
    inputs = {name: ops.parameter(name) for name in (*INDEXES, MASK)}
    root = f"{spec.ENCODER_PREFIX}." if spec.HEADS[task] else ""
    layers = [f"transformer.layer.{layer}." for layer in range(config.n_layers)]
    readers = [f"{layer}attention.q_lin" for layer in layers]
    words = ops.lookup(root + spec.WORD_EMBEDDINGS, inputs["ids"])
    places = ops.lookup(root + spec.POSITION_EMBEDDINGS, inputs["positions"])
    x, read = ops.norm(ops.add(words, places), f"{root}embeddings.LayerNorm", readers[0])  # 1 t d
    for number, (layer, reader) in enumerate(zip(layers, readers, strict=True)):
        out, lin1, lin2 = f"{layer}attention.out_lin", f"{layer}ffn.lin1", f"{layer}ffn.lin2"
        q, k, v = (f"{root}{layer}attention.{letter}_lin" for letter in "qkv")
        last = number == config.n_layers - 1
        if last:
            keys_values = ops.linear(read, [k, v], reader)  # 1 t 2a
            x, read = ops.take(x, inputs["scored"]), ops.take(read, inputs["scored"])  # 1 m d
            laid_out = [
                *ops.lay_out(ops.linear(read, [q], reader), inputs["asked"], 1),  # n r a
                *ops.lay_out(keys_values, inputs["laid_out"], 2),  # n s a
            ]
        else:
            laid_out = ops.lay_out(ops.linear(read, [q, k, v], reader), inputs["laid_out"], 3)
        heads = config.attention_width(number) // config.head_dim
        context = ops.attend(*laid_out, inputs[MASK], heads, config.head_dim, out)
        context = ops.take(context, inputs["answered" if last else "taken_back"])  # 1 t a
        x, read = ops.norm(
            ops.add(ops.linear(context, [root + out], out), x), f"{root}{layer}sa_layer_norm", lin1
        )
        hidden = ops.activate(ops.linear(read, [root + lin1], lin1), config.activation)
        hidden = ops.linear(ops.quantize(hidden, lin2), [root + lin2], lin2)
        following = None if last else readers[number + 1]
        x, read = ops.norm(ops.add(hidden, x), f"{root}{layer}output_layer_norm", following)
    return _head(ops, x, config, task)


def _head(ops: Operators[Value], x: Value, config: DistilBertConfig, task: str) -> Value:
    """The head's scores of (1 m d), in floating point: few numbers, and those that decide."""
    if task == "base":
        return x
    if task == "masked-lm":
        x = ops.activate(ops.linear(x, ["vocab_transform"]), config.activation)
        x, _ = ops.norm(x, "vocab_layer_norm")
        return ops.linear(x, [spec.VOCAB_PROJECTOR])
    if task == "question-answering":
        return ops.linear(x, ["qa_outputs"])
    if task != "token-classification":
        x = ops.activate(ops.linear(x, ["pre_classifier"]), "relu")
    return ops.linear(x, ["classifier"])


def quantized(weight: Array) -> tuple[Array, Array]:
    """A weight (o i) in signed bytes, and the factor of each of its rows (o 1)."""
    factor = np.abs(weight).max(axis=1, keepdims=True) / np.float32(127)
    factor[factor == 0] = 1
    return np.rint(weight / factor).astype(np.int8), factor


def span(ranges: ActivationRanges, reader: str) -> tuple[np.float32, np.float32]:
    """The lowest input of a linear layer that is met exactly, and the step between two bytes."""
    low, high = ranges[reader]
    return np.float32(low), np.float32((high - low) / 255 or 1)
