"""What a DistilBERT is made of: one row per module, from which everything else follows.

Both directions of conversion, shape checks, parameter counts, initial weights and the
names in every file format derive from the tables here.  Names are matched exactly; no
pattern is ever run over the names found in a file.

Shape letters:  V vocab_size   P max_position_embeddings   D dim   F hidden_dim
                A attention width of a layer (D, less its pruned heads)   L num_labels
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal, Protocol

from distil.storage.formats import Layout

Kind = Literal["embedding", "positions", "linear", "norm"]

WORD_EMBEDDINGS = "embeddings.word_embeddings"
POSITION_EMBEDDINGS = "embeddings.position_embeddings"
VOCAB_PROJECTOR = "vocab_projector"

# The encoder's name inside a model with a head; a base model has no prefix.
ENCODER_PREFIX = "distilbert"
BERT_PREFIX = "bert"

# What every LayerNorm adds to a variance.  Source: Devlin et al. 2018's code, and every port.
NORM_EPSILON = 1e-12

# Stands for the activation that the configuration names.
OF_CONFIG = "activation of the configuration"


class Architecture(Protocol):
    """The part of a configuration that decides which tensors there are; see `DistilBertConfig`."""

    @property
    def vocab_size(self) -> int: ...  # noqa: D102
    @property
    def max_position_embeddings(self) -> int: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def hidden_dim(self) -> int: ...  # noqa: D102
    @property
    def n_layers(self) -> int: ...  # noqa: D102
    @property
    def num_labels(self) -> int: ...  # noqa: D102
    @property
    def tie_word_embeddings(self) -> bool: ...  # noqa: D102
    def attention_width(self, layer: int) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Row:
    """One module with weights.

    Attributes:
        name: Its path, as in the hub's PyTorch files; ``{}`` stands for the layer's number.
        kind: Which leaves it has (see `LEAVES`) and how they are laid out.
        shape: The letters of its weight, output first as PyTorch has it.
        bert: The path of the same module in a BERT checkpoint, "" where BERT has none.
        activation: Applied to its output: `OF_CONFIG`, the name of a function, or "" for none.
    """

    name: str
    kind: Kind
    shape: str
    bert: str = ""
    activation: str = ""

    def at(self, layer: int | None) -> str:
        """Its path in the encoder (or beside it, for a head), in the layer of that number."""
        return self.name if layer is None else self.name.format(layer)


EMBEDDINGS = (
    Row(WORD_EMBEDDINGS, "embedding", "V D", "embeddings.word_embeddings"),
    Row(POSITION_EMBEDDINGS, "positions", "P D", "embeddings.position_embeddings"),
    Row("embeddings.LayerNorm", "norm", "D", "embeddings.LayerNorm"),
)

_LAYER = "transformer.layer.{}."
_BERT = "encoder.layer.{}."
LAYER = (
    Row(_LAYER + "attention.q_lin", "linear", "A D", _BERT + "attention.self.query"),
    Row(_LAYER + "attention.k_lin", "linear", "A D", _BERT + "attention.self.key"),
    Row(_LAYER + "attention.v_lin", "linear", "A D", _BERT + "attention.self.value"),
    Row(_LAYER + "attention.out_lin", "linear", "D A", _BERT + "attention.output.dense"),
    Row(_LAYER + "sa_layer_norm", "norm", "D", _BERT + "attention.output.LayerNorm"),
    Row(_LAYER + "ffn.lin1", "linear", "F D", _BERT + "intermediate.dense", OF_CONFIG),
    Row(_LAYER + "ffn.lin2", "linear", "D F", _BERT + "output.dense"),
    Row(_LAYER + "output_layer_norm", "norm", "D", _BERT + "output.LayerNorm"),
)
# The same rows by their role.
QUERY, KEY, VALUE, ATTENTION_OUT, ATTENTION_NORM, FFN_IN, FFN_OUT, OUTPUT_NORM = LAYER
ATTENTION = LAYER[:4]

# BERT pools through a tanh layer before it classifies sequences and choices; its two heads
# compute another function than DistilBERT's, so there is no row to fold from.
HEADS: Mapping[str, tuple[Row, ...]] = {
    "base": (),
    "masked-lm": (
        Row("vocab_transform", "linear", "D D", "cls.predictions.transform.dense", OF_CONFIG),
        Row("vocab_layer_norm", "norm", "D", "cls.predictions.transform.LayerNorm"),
        Row(VOCAB_PROJECTOR, "linear", "V D", "cls.predictions.decoder"),
    ),
    "sequence-classification": (
        Row("pre_classifier", "linear", "D D", activation="relu"),
        Row("classifier", "linear", "L D"),
    ),
    "multiple-choice": (
        Row("pre_classifier", "linear", "D D", activation="relu"),
        Row("classifier", "linear", "1 D"),
    ),
    "token-classification": (Row("classifier", "linear", "L D", "classifier"),),
    "question-answering": (Row("qa_outputs", "linear", "L D", "qa_outputs"),),
}


@dataclass(frozen=True)
class Leaf:
    """How one layout stores a leaf: its last name, and whether its axes are swapped."""

    name: str
    transposed: bool = False


_PT_PAIR = {"weight": Leaf("weight"), "bias": Leaf("bias")}
_TF_NORM = {"weight": Leaf("gamma"), "bias": Leaf("beta")}

# Leaves by kind, canonical (PyTorch's) leaf first.
LEAVES: Mapping[Layout, Mapping[Kind, Mapping[str, Leaf]]] = {
    "pt": {
        "embedding": {"weight": Leaf("weight")},
        "positions": {"weight": Leaf("weight")},
        "linear": _PT_PAIR,
        "norm": _PT_PAIR,
    },
    "tf": {
        "embedding": {"weight": Leaf("weight")},
        "positions": {"weight": Leaf("embeddings")},
        "linear": {"weight": Leaf("kernel", transposed=True), "bias": Leaf("bias")},
        "norm": _TF_NORM,
    },
}

# PyTorch files written before 2019's renaming call a LayerNorm's leaves as TensorFlow does.
LEGACY_NORM_LEAVES = {leaf: stored.name for leaf, stored in _TF_NORM.items()}

# How the names of matrices end in PyTorch's files, and what follows it for a matrix in int8: its
# rows' scales, and zero points, which are not read.  Source: compressed-tensors 0.20.
WEIGHT, SCALE, ZERO_POINT = ".weight", "_scale", "_zero_point"


@dataclass(frozen=True)
class Weight:
    """One tensor of a model.

    Attributes:
        name: Its canonical name: the state_dict name in the PyTorch model of its task.
        row: The module that it belongs to.
        layer: The layer's number, None outside the layers.
        leaf: "weight" or "bias".
        shape: Its shape as PyTorch stores it, a linear weight as (outputs, inputs).
        tied_to: Name of the weight that it shares its values with, else None.  A tied
            weight is not a parameter of its own, and most formats leave it out.
    """

    name: str
    row: Row
    layer: int | None
    leaf: str
    shape: tuple[int, ...]
    tied_to: str | None = None

    @property
    def module(self) -> str:
        """Path of its module in the model of its task."""
        return self.name.rpartition(".")[0]

    @property
    def in_encoder(self) -> bool:
        """Whether it belongs to the encoder rather than to a head."""
        return self.row in EMBEDDINGS or self.row in LAYER

    @property
    def part(self) -> str:
        """Where in the model it is: "embeddings", "layer 0" and so on, or "head"."""
        if self.layer is not None:
            return f"layer {self.layer}"
        return "embeddings" if self.in_encoder else "head"

    @property
    def block(self) -> str:
        """Path of its module, or of the attention that this is part of."""
        return self.module.rpartition(".")[0] if self.row in ATTENTION else self.module

    @property
    def inner_name(self) -> str:
        """Its name in the encoder by itself, whatever head is on it; of a head, its name."""
        return f"{self.row.at(self.layer)}.{self.leaf}"

    def in_layer(self, layer: int) -> str:
        """The name of the same weight in another layer."""
        prefix = self.name.removesuffix(self.inner_name)
        return f"{prefix}{self.row.at(layer)}.{self.leaf}"

    def stored_leaf(self, layout: Layout) -> Leaf:
        """How `layout` names and turns this leaf."""
        return LEAVES[layout][self.row.kind][self.leaf]

    def stored_shape(self, layout: Layout) -> tuple[int, ...]:
        """Its shape as `layout` stores it."""
        return self.shape[::-1] if self.stored_leaf(layout).transposed else self.shape

    def tf_name(self) -> str:
        """Its name in a TensorFlow file, without the leading name of the model.

        There the encoder of a base model is under "distilbert", too.
        Source: tf_model.h5 as written by transformers 4.
        """
        prefix = f"{ENCODER_PREFIX}/" if self.in_encoder else ""
        return prefix + tf_path(self.row.name, self.layer, self.stored_leaf("tf").name)


def tf_path(module: str, layer: int | None, leaf: str) -> str:
    """Name in a TensorFlow file of a leaf, by the path of its module with {} for the layer."""
    parts = module.replace("layer.{}", f"layer_._{layer}").split(".")
    # "layer_._0" has a dot of its own, which the split has just taken apart.
    path = "/".join(parts).replace("layer_/_", "layer_._")
    return f"{path}/{leaf}:0"


def weights(config: Architecture, task: str) -> dict[str, Weight]:
    """Every tensor of the model for `task`, by canonical name, in the order of the hub's files.

    Args:
        config: The architecture.
        task: A key of `HEADS`.
    """
    prefix = f"{ENCODER_PREFIX}." if HEADS[task] else ""
    table: dict[str, Weight] = {}

    def add(row: Row, layer: int | None, prefix: str) -> None:
        letters = _sizes(config, layer)
        weight_shape = tuple(letters[letter] for letter in row.shape.split())
        module = prefix + row.at(layer)
        for leaf in LEAVES["pt"][row.kind]:
            tied = row.name == VOCAB_PROJECTOR and leaf == "weight" and config.tie_word_embeddings
            table[f"{module}.{leaf}"] = Weight(
                name=f"{module}.{leaf}",
                row=row,
                layer=layer,
                leaf=leaf,
                shape=weight_shape if leaf == "weight" else weight_shape[:1],
                tied_to=f"{ENCODER_PREFIX}.{WORD_EMBEDDINGS}.weight" if tied else None,
            )

    for row in EMBEDDINGS:
        add(row, None, prefix)
    for layer in range(config.n_layers):
        for row in LAYER:
            add(row, layer, prefix)
    for row in HEADS[task]:
        add(row, None, "")
    return table


def _sizes(config: Architecture, layer: int | None = None) -> dict[str, int]:
    """The sizes that the shape letters stand for, in one layer or outside of them."""
    return {
        "V": config.vocab_size,
        "P": config.max_position_embeddings,
        "D": config.dim,
        "F": config.hidden_dim,
        "A": config.attention_width(layer) if layer is not None else config.dim,
        "L": config.num_labels,
        "1": 1,
    }


def split_at_layer(name: str) -> tuple[str, int | None, str]:
    """A name of either layout before, at and after the number of its layer, if it has one.

    For messages only: it takes names from files, and nothing is looked up by it.
    """
    for mark, end in ((".layer.", "."), ("/layer_._", "/")):
        before, found, rest = name.partition(mark)
        number, _, after = rest.partition(end)
        if found and number.isascii() and number.isdecimal() and str(int(number)) == number:
            return before + mark, int(number), end + after
    return name, None, ""


def parameters(config: Architecture, task: str) -> Iterator[Weight]:
    """Those of `weights` that are parameters of their own; tied ones are left out."""
    return (weight for weight in weights(config, task).values() if weight.tied_to is None)


def width(config: Architecture, task: str) -> int:
    """How many numbers the model for `task` gives a token, or a text: its last axis."""
    head = HEADS[task]
    return _sizes(config)[head[-1].shape[0]] if head else config.dim


def count_parameters(config: Architecture, task: str) -> int:
    """Number of parameters of the model for `task`, tied ones counted once."""
    return sum(prod(weight.shape) for weight in parameters(config, task))
