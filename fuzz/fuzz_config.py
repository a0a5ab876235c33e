"""Fuzz the reader of config.json."""

import json
from pathlib import Path

from harness import fuzz

from distil.common import spec
from distil.common.config import DistilBertConfig
from support.checkpoints import tiny_config

BERT = {
    "model_type": "bert", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 20, "vocab_size": 31, "classifier_dropout": None, "hidden_act": "gelu",
}  # fmt: skip


def read(folder: Path) -> None:
    """Read, change, write and read again, and count the weights."""
    config = DistilBertConfig.from_pretrained(folder)
    assert DistilBertConfig.from_dict(json.loads(config.to_json_string())) == config
    spec.count_parameters(config.replace(num_labels=2), "question-answering")


if __name__ == "__main__":
    table = tiny_config(pruned_heads={0: [1]}, architectures=["X"], num_labels=2).to_dict()
    table |= {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}}
    seeds = [json.dumps(table | extra).encode() for extra in ({}, {"extra": {}, "num_labels": 2})]
    fuzz("config.json", [*seeds, json.dumps(BERT).encode()], read)
