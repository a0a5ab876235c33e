"""The model over a pack of sequences, operator by operator, defined once for all engines.

Linear layers, norms and activations see the tokens of all sequences in one row.  For attention
they are gathered into a batch of padded sequences and back, by indexes that come with the tokens.
The last layer and the head are computed only for the tokens to be scored.

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
from distil.common.inference.ranges import ActivationRanges

Value = TypeVar("Value")

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
# Far below every score, and a number that bfloat16 has.
HIDDEN = np.float32(-1e30)
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
        # The inputs of the encoder's linear layers, for calibration.
        self.inputs: dict[str, Value] = {}

    def range_of(self, reader: str | None) -> tuple[float, float] | None:
        """Of the inputs of a linear layer; None if they stay in floating point."""
        return None if self.ranges is None or reader is None else self.ranges[reader]

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

    def attend_scored(
        self, read: Value, scored: Value, modules: Sequence[str], inputs: Mapping[str, Value],
        heads: int, head_dim: int, readers: tuple[str, str],
    ) -> Value:  # fmt: skip
        """Attention of the tokens to be scored (1 m d) over all of them (1 t d): (1 m a).

        Args:
            read: All tokens, as the linear layers `modules` take them.
            scored: Those to be scored, likewise.
            modules: Canonical names of the layers for queries, keys and values.
            inputs: Of the graph, by name.
            heads: How many.
            head_dim: Width of each.
            readers: Of `read` and of what is given, as in `ranges`.
        """
        query, *others = modules
        every = self.linear(read, others, readers[0])  # 1 t 2a
        asked = self.linear(scored, [query], readers[0])  # 1 m a
        [queries] = self.lay_out(asked, inputs["asked"], 1)  # n r a
        keys, values = self.lay_out(every, inputs["laid_out"], 2)  # n s a each
        context = self.attend(queries, keys, values, inputs[MASK], heads, head_dim, readers[1])
        return self.take(context, inputs["answered"])


def build(ops: Operators[Value], config: DistilBertConfig, task: str) -> Value:
    """The scores (1 m l) of a model, of the inputs in `INDEXES` and `MASK`.

    Args:
        ops: Of the engine.
        config: Of the model.
        task: Of the model.
    """
    inputs = {name: ops.parameter(name) for name in (*INDEXES, MASK)}
    root = f"{spec.ENCODER_PREFIX}." if spec.HEADS[task] else ""
    words, positions, norm = (root + row.name for row in spec.EMBEDDINGS)
    embedded = ops.add(ops.lookup(words, inputs["ids"]), ops.lookup(positions, inputs["positions"]))
    x, read = ops.norm(embedded, norm, spec.QUERY.at(0))  # 1 t d
    for layer in range(config.n_layers):
        last = layer == config.n_layers - 1
        reader, out, lin1, lin2 = (
            row.at(layer) for row in (spec.QUERY, spec.ATTENTION_OUT, spec.FFN_IN, spec.FFN_OUT)
        )
        modules = [root + row.at(layer) for row in (spec.QUERY, spec.KEY, spec.VALUE)]
        heads, head_dim = config.attention_width(layer) // config.head_dim, config.head_dim
        if last:
            x, scored = ops.take(x, inputs["scored"]), ops.take(read, inputs["scored"])  # 1 m d
            context = ops.attend_scored(
                read, scored, modules, inputs, heads, head_dim, (reader, out)
            )  # 1 m a
        else:
            every = ops.linear(read, modules, reader)  # 1 t 3a
            queries, keys, values = ops.lay_out(every, inputs["laid_out"], 3)  # n s a each
            context = ops.attend(queries, keys, values, inputs[MASK], heads, head_dim, out)
            context = ops.take(context, inputs["taken_back"])  # 1 t a
        attended = ops.add(ops.linear(context, [root + out], out), x)
        x, read = ops.norm(attended, root + spec.ATTENTION_NORM.at(layer), lin1)
        hidden = ops.activate(ops.linear(read, [root + lin1], lin1), config.activation)
        hidden = ops.linear(ops.quantize(hidden, lin2), [root + lin2], lin2)
        following = None if last else spec.QUERY.at(layer + 1)
        x, read = ops.norm(ops.add(hidden, x), root + spec.OUTPUT_NORM.at(layer), following)
    # The head stays in floating point: it is small, and it decides.
    for row in spec.HEADS[task]:
        if row.kind == "norm":
            x, _ = ops.norm(x, row.name)
            continue
        x = ops.linear(x, [row.name])
        if row.activation:
            own = row.activation == spec.OF_CONFIG
            x = ops.activate(x, config.activation if own else row.activation)
    return x
