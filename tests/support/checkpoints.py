"""Small models for the tests of checkpoints: a configuration, random weights, and their bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from distil.checkpoints import open_checkpoint, save_checkpoint
from distil.checkpoints.matching import Match, match_weights
from distil.common import spec
from distil.common.config import DistilBertConfig
from distil.storage.tensors import BFLOAT16

DTYPES = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.float16),
    "bfloat16": BFLOAT16,
}

Arrays = dict[str, np.ndarray[Any, Any]]


def tiny_config(**fields: Any) -> DistilBertConfig:
    """A configuration whose sizes all differ, so that no two axes can be taken for each other."""
    sizes = {
        "vocab_size": 31, "max_position_embeddings": 13, "dim": 8, "n_heads": 2,
        "n_layers": 2, "hidden_dim": 20, "num_labels": 3,
    }  # fmt: skip
    return DistilBertConfig(**(sizes | fields))


def random_weights(
    config: DistilBertConfig, task: str, *, dtype: str = "float32", seed: int = 0
) -> Arrays:
    """Every weight of a model at random, tied ones left out."""
    generator = np.random.default_rng(seed)
    return {
        weight.name: generator.standard_normal(weight.shape).astype(DTYPES[dtype])
        for weight in spec.parameters(config, task)
    }


def save(
    folder: Path, config: DistilBertConfig, task: str = "sequence-classification", **options: Any
) -> Arrays:
    """Save a random model, and return its weights."""
    seed = options.pop("seed", 0)
    arrays = random_weights(config, task, dtype=options.pop("stored", "float32"), seed=seed)
    save_checkpoint(folder, iter(arrays.items()), config=config, task=task, **options)
    return arrays


def load(
    folder: Path, config: DistilBertConfig, task: str = "sequence-classification"
) -> tuple[Arrays, Match]:
    """The weights in `folder`, and how they were found."""
    with open_checkpoint(folder) as checkpoint:
        match = match_weights(checkpoint, config, task)
        return {name: source.read() for name, source in match.sources.items()}, match


def assert_same_bits(found: Arrays, expected: Arrays) -> None:
    """Same names, types, shapes and bytes."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name
