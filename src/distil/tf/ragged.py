"""Ragged inputs, which a model takes as rows that are filled up."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from distil.common.labels import IGNORED
from distil.errors import InputError


def padded(inputs: dict[str, Any], pad_token_id: int | None) -> dict[str, Any]:
    """The inputs of a call without ragged ones.

    Ids are filled up with the padding token, labels with what no loss counts, the others with 0;
    where there is no attention mask, there is one then.

    Raises:
        InputError: Embeddings are ragged.
    """
    ragged = {name: x for name, x in inputs.items() if isinstance(x, tf.RaggedTensor)}
    if not ragged:
        return inputs
    if "inputs_embeds" in ragged:
        raise InputError(
            "ragged embeddings are not taken", where="inputs_embeds",
            fix="pass inputs_embeds.to_tensor(), and an attention_mask",
        )  # fmt: skip
    fill = {"input_ids": pad_token_id or 0, "labels": IGNORED}
    dense = {name: x.to_tensor(tf.cast(fill.get(name, 0), x.dtype)) for name, x in ragged.items()}
    if "input_ids" in ragged and inputs.get("attention_mask") is None:
        dense["attention_mask"] = tf.ones_like(ragged["input_ids"]).to_tensor()
    return inputs | dense
