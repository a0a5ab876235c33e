"""DistilBERT in PyTorch and TensorFlow at once: one specification, five heads, the same numbers.

    import distil                                     # loads no framework

    model = distil.load(name, framework="tf", task="sequence-classification")
    tokenizer = distil.load_tokenizer(name)
    batch = tokenizer(["one text", "another"], padding=True, return_tensors="tf")
    output = model(**batch)                           # output.logits

Everything public is here; each name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_API = ("load", "load_tokenizer", "save")
_ERRORS = (
    "CheckpointError", "CheckpointNotFoundError", "CheckpointWarning", "ConfigError",
    "DistilError", "FrameworkError", "HubError", "InputError", "TokenizerError",
    "TrainingError", "UnsafeCheckpointError", "WeightsError",
)  # fmt: skip
_TOKENIZERS = ("BatchEncoding", "DistilBertTokenizer", "DistilBertTokenizerFast")
_MODELS = (
    "DistilBertForMaskedLM", "DistilBertForMultipleChoice", "DistilBertForQuestionAnswering",
    "DistilBertForSequenceClassification", "DistilBertForTokenClassification",
    "DistilBertModel", "DistilBertPreTrainedModel",
)  # fmt: skip

_HOMES = {
    **dict.fromkeys(_API, "distil.api"),
    **dict.fromkeys(_ERRORS, "distil.errors"),
    **dict.fromkeys(_TOKENIZERS, "distil.common.tokenizer"),
    "DistilBertConfig": "distil.common.config",
    "bench": "distil.benchmarking",
    "calibrate": "distil.optimization",
    "compare": "distil.parity",
    "convert": "distil.conversion",
    "distill": "distil.training",
    "evaluate": "distil.evaluation",
    "info": "distil.inspection",
    "optimize": "distil.optimization",
    "pipeline": "distil.pipelines",
    "predict": "distil.prediction",
    "train": "distil.training",
    **dict.fromkeys(_MODELS, "distil.pt"),
    **{f"TF{name}": "distil.tf" for name in _MODELS},
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - a list, made from the table above


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'distil' has no attribute {name!r}")
    if home in ("distil.pt", "distil.tf"):
        from distil.frameworks import import_framework  # noqa: PLC0415

        module: Any = import_framework(home.removeprefix("distil."))
    else:
        module = importlib.import_module(home)
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if TYPE_CHECKING:
    from distil.api import load, load_tokenizer, save
    from distil.benchmarking import bench
    from distil.common.config import DistilBertConfig
    from distil.common.tokenizer import (
        BatchEncoding,
        DistilBertTokenizer,
        DistilBertTokenizerFast,
    )
    from distil.conversion import convert
    from distil.errors import (
        CheckpointError,
        CheckpointNotFoundError,
        CheckpointWarning,
        ConfigError,
        DistilError,
        FrameworkError,
        HubError,
        InputError,
        TokenizerError,
        TrainingError,
        UnsafeCheckpointError,
        WeightsError,
    )
    from distil.evaluation import evaluate
    from distil.inspection import info
    from distil.optimization import calibrate, optimize
    from distil.parity import compare
    from distil.pipelines import pipeline
    from distil.prediction import predict
    from distil.pt import *  # noqa: F403
    from distil.tf import *  # noqa: F403
    from distil.training import distill, train
