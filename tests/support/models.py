"""Tiny models with spread weights, and batches for them, the same for both frameworks."""

import importlib

import numpy as np

from distil.common.config import DistilBertConfig
from distil.common.spec import HEADS, parameters
from distil.common.tasks import TASKS

ALL_TASKS = tuple(HEADS)

TINY = DistilBertConfig(
    vocab_size=61, max_position_embeddings=20, n_layers=2, n_heads=4, dim=32, hidden_dim=48,
    num_labels=3,
)  # fmt: skip

NO_DROPOUT = dict.fromkeys(
    ("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"), 0.0
)

# What a config can change about the arithmetic, one at a time.
CONFIGS = {
    "plain": {},
    "relu": {"activation": "relu"},
    "gelu_new": {"activation": "gelu_new"},
    "sinusoidal": {"sinusoidal_pos_embds": True},
    "untied": {"tie_word_embeddings": False},
    "pruned": {"pruned_heads": {0: [1], 1: [0, 3]}},
    "no padding token": {"pad_token_id": None},
    "padding token 5": {"pad_token_id": 5},
    "one layer, one head": {"n_layers": 1, "n_heads": 1},
}


def config_for(task, **changes):
    """The tiny configuration, as the task needs it."""
    labels = {"question-answering": {"num_labels": 2}}.get(task, {})
    return TINY.replace(**(changes | labels))


def spread(config, task, seed=0):
    """Random values for every parameter, norms and biases included.

    With a fresh initialisation a wrong GELU or LayerNorm epsilon changes outputs by less than
    1e-5; with these it shows at 1e-4 and more.
    """
    random = np.random.default_rng(seed)
    weights = {}
    for weight in parameters(config, task):
        values = random.standard_normal(weight.shape)
        if weight.row.kind in ("embedding", "positions"):
            values *= 0.05
        elif weight.leaf == "bias":
            values *= 0.3
        elif weight.row.kind == "norm":
            values = 1 + 0.3 * values
        else:
            values *= 2 / np.sqrt(weight.shape[1])
        weights[weight.name] = values
    return weights


def build(framework, config, task, weights=None, *, dtype="float64"):
    """A model of a framework with given weights (spread ones unless told otherwise)."""
    weights = spread(config, task) if weights is None else weights
    module = importlib.import_module(f"distil.{framework}")
    cls = getattr(module, ("TF" if framework == "tf" else "") + TASKS[task].class_name)
    read = {name: values.copy for name, values in weights.items()}
    return cls.make(config, read, seed=0, dtype=dtype, device=None)


def batch_for(config, task, *, rows=3, length=9, choices=4, mask="ragged", labels=True, seed=1):
    """Inputs, and labels if asked for, as numpy arrays by name.

    Masks: "none" (no attention_mask), "full", "ragged" (padding at the end), "holes" (anywhere),
    "empty row" (nothing shown in the first row).
    """
    random = np.random.default_rng(seed)
    shape = (rows, choices, length) if task == "multiple-choice" else (rows, length)
    batch = {"input_ids": random.integers(0, config.vocab_size, shape)}
    if mask != "none":
        shown = np.ones(shape, np.int64)
        if mask == "ragged":
            shown = (np.arange(length) < random.integers(1, length + 1, (*shape[:-1], 1))) * 1
        elif mask == "holes":
            shown = random.integers(0, 2, shape)
            shown[..., 0] = 1
        elif mask == "empty row":
            shown[0] = 0
        batch["attention_mask"] = shown
    return batch | (labels_for(config, task, shape, random) if labels else {})


def labels_for(config, task, shape, random):
    rows, length = shape[0], shape[-1]
    if task == "masked-lm":
        labels = random.integers(0, config.vocab_size, (rows, length))
        return {"labels": np.where(random.random((rows, length)) < 0.5, labels, -100)}
    if task == "sequence-classification":
        return {"labels": random.integers(0, config.num_labels, rows)}
    if task == "multiple-choice":
        return {"labels": random.integers(0, shape[1], rows)}
    if task == "token-classification":
        return {"labels": random.integers(0, config.num_labels, (rows, length))}
    if task == "question-answering":
        return {
            "start_positions": random.integers(0, length, rows),
            "end_positions": random.integers(0, length + 1, rows),
        }
    return {}


def measure(framework, model, batch, **options):
    """What the model computes for the batch: outputs and gradients as numpy arrays."""
    return importlib.import_module(f"distil.{framework}.measure").measure(model, batch, **options)
