"""The names under which a checkpoint may store the weights of a model.

They are built from the tables of `distil.common.spec` and looked up in the file; names found in
the file are never taken apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from distil.common import spec
from distil.common.bert import TOKEN_TYPE_EMBEDDINGS
from distil.common.spec import BERT_PREFIX, ENCODER_PREFIX, Weight
from distil.storage.formats import Layout

Family = Literal["distilbert", "bert"]

# BERT's masked-LM bias is on its own, and in newer files also beside the decoder.
_MLM = "cls.predictions"
_MLM_DECODER = f"{_MLM}.decoder"


@dataclass(frozen=True)
class Naming:
    """One way in which a checkpoint may name its weights.

    Attributes:
        layout: Whose names they are.
        family: Whose modules they are.
        prefixed: Whether the encoder's names begin with that of the family.
    """

    layout: Layout
    family: Family
    prefixed: bool

    def names(self, weight: Weight) -> Iterator[str]:
        """Every name that `weight` may have, the usual one first."""
        path = weight.row.name if self.family == "distilbert" else weight.row.bert
        if not path:
            return
        if path == _MLM_DECODER and weight.leaf == "bias":
            for owner in (_MLM, _MLM_DECODER):
                yield self._stored(owner, "bias")
            return
        if weight.in_encoder:
            path = self._prefix() + path
        yield self._stored(path, weight.stored_leaf(self.layout).name, weight.layer)
        if self.layout == "pt" and weight.row.kind == "norm":
            yield self._stored(path, spec.LEGACY_NORM_LEAVES[weight.leaf], weight.layer)

    def token_types(self) -> str:
        """Name of BERT's token-type table."""
        leaf = spec.LEAVES[self.layout]["positions"]["weight"].name
        return self._stored(self._prefix() + TOKEN_TYPE_EMBEDDINGS, leaf)

    def tolerated(self) -> Iterator[str]:
        """Names of tensors that no model needs: position ids, BERT's pooler and sentence head."""
        yield self._stored(self._prefix() + "embeddings", "position_ids")
        if self.family == "bert":
            for leaf in spec.LEAVES[self.layout]["linear"].values():
                yield self._stored(self._prefix() + "pooler.dense", leaf.name)
                yield self._stored("cls.seq_relationship", leaf.name)

    def _prefix(self) -> str:
        if not self.prefixed:
            return ""
        return f"{ENCODER_PREFIX if self.family == 'distilbert' else BERT_PREFIX}."

    def _stored(self, path: str, leaf: str, layer: int | None = None) -> str:
        if self.layout == "pt":
            return f"{path if layer is None else path.format(layer)}.{leaf}"
        first, _, rest = path.partition(".")
        if first == "cls":
            path = f"{'nsp' if rest == 'seq_relationship' else 'mlm'}___cls.{rest}"
        return spec.tf_path(path, layer, leaf)


def naming_of(names: Collection[str], weights: Collection[Weight], layout: Layout) -> Naming:
    """The naming under which most of the encoder is found.

    One naming must serve the whole checkpoint: an encoder whose halves are named differently
    was never saved as one.
    """
    families: tuple[Family, ...] = ("distilbert", "bert")
    candidates = [
        Naming(layout, family, prefixed) for family in families for prefixed in (True, False)
    ]
    encoder = [weight for weight in weights if weight.in_encoder]

    def found(naming: Naming) -> int:
        # BERT and DistilBERT name their embeddings alike; only BERT has token types.
        hits = sum(any(name in names for name in naming.names(weight)) for weight in encoder)
        return hits + (naming.family == "bert" and naming.token_types() in names)

    return max(candidates, key=found)
