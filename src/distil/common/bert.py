"""A BERT encoder with one segment is a DistilBERT encoder: converting its configuration.

DistilBERT has no token types.  For text of a single segment BERT adds the same row 0 of
its token-type table to every position, so adding that row to the position table gives an
encoder with the same outputs.  Its pooler is left out, as in Sanh et al. 2019, section 3.
The weights are folded in `distil.checkpoints.matching`; module names are in the spec's rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distil.common.spec import NORM_EPSILON
from distil.errors import ConfigError

MODEL_TYPE = "bert"

TOKEN_TYPE_EMBEDDINGS = "embeddings.token_type_embeddings"

_FIELDS = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "classifier_dropout": "seq_classif_dropout",
}

# Fixed in a DistilBERT; a BERT with other values computes another function.
_FIXED = {
    "layer_norm_eps": NORM_EPSILON,
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}

# Used by the folding itself, and meaningless afterwards.
_DROPPED = ("model_type", "type_vocab_size", "use_cache", "gradient_checkpointing", *_FIXED)

# BERT's own defaults, where they differ from DistilBERT's.
_DEFAULTS = {"n_layers": 12}


def to_distilbert(table: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a BERT's config.json as that of a DistilBERT with the same encoder.

    Raises:
        ConfigError: The BERT computes something that no DistilBERT can.
    """
    for name, value in _FIXED.items():
        if table.get(name, value) != value:
            raise ConfigError(
                "no DistilBERT computes the same as this BERT",
                expected=f"{name} {value!r}", found=repr(table[name]), where=name,
            )  # fmt: skip
    renamed = dict(_DEFAULTS)
    for name, value in table.items():
        # A null classifier_dropout means "as elsewhere".
        if name not in _DROPPED and not (name in _FIELDS and value is None):
            renamed[_FIELDS.get(name, name)] = value
    return renamed
