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

from distil import keras_names

__version__ = "0.1.0"

_API = ("load", "load_tokenizer", "save")
_ERRORS = (
    "CheckpointError", "CheckpointNotFoundError", "CheckpointWarning", "ConfigError",
    "DistilError", "ExportError", "FrameworkError", "HubError", "InputError",
    "TokenizerError", "TrainingError", "UnsafeCheckpointError", "WeightsError",
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
    "SentenceEncoding": "distil.common.sentences",
    "bench": "distil.benchmarking",
    "calibrate": "distil.optimization",
    "compare": "distil.parity",
    "convert": "distil.conversion",
    "distill": "distil.training",
    "evaluate": "distil.evaluation",
    "export": "distil.exporting",
    "info": "distil.inspection",
    "make_student": "distil.training.student",
    "optimize": "distil.optimization",
    "pipeline": "distil.pipelines",
    "predict": "distil.prediction",
    "push": "distil.publishing",
    "serve": "distil.serving",
    "train": "distil.training",
    **dict.fromkeys(_MODELS, "distil.pt"),
    **{f"TF{name}": "distil.tf" for name in _MODELS},
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - a list, made from the table above

keras_names.register([name for name, home in _HOMES.items() if home == "distil.tf"])


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
    return [*__all__, "__version__"]


if TYPE_CHECKING:  # each name as itself: that is how checkers know that it is exported
    from distil.api import load as load
    from distil.api import load_tokenizer as load_tokenizer
    from distil.api import save as save
    from distil.benchmarking import bench as bench
    from distil.common.config import DistilBertConfig as DistilBertConfig
    from distil.common.sentences import SentenceEncoding as SentenceEncoding
    from distil.common.tokenizer import BatchEncoding as BatchEncoding
    from distil.common.tokenizer import DistilBertTokenizer as DistilBertTokenizer
    from distil.common.tokenizer import DistilBertTokenizerFast as DistilBertTokenizerFast
    from distil.conversion import convert as convert
    from distil.errors import CheckpointError as CheckpointError
    from distil.errors import CheckpointNotFoundError as CheckpointNotFoundError
    from distil.errors import CheckpointWarning as CheckpointWarning
    from distil.errors import ConfigError as ConfigError
    from distil.errors import DistilError as DistilError
    from distil.errors import ExportError as ExportError
    from distil.errors import FrameworkError as FrameworkError
    from distil.errors import HubError as HubError
    from distil.errors import InputError as InputError
    from distil.errors import TokenizerError as TokenizerError
    from distil.errors import TrainingError as TrainingError
    from distil.errors import UnsafeCheckpointError as UnsafeCheckpointError
    from distil.errors import WeightsError as WeightsError
    from distil.evaluation import evaluate as evaluate
    from distil.exporting import export as export
    from distil.inspection import info as info
    from distil.optimization import calibrate as calibrate
    from distil.optimization import optimize as optimize
    from distil.parity import compare as compare
    from distil.pipelines import pipeline as pipeline
    from distil.prediction import predict as predict
    from distil.pt import *  # noqa: F403
    from distil.publishing import push as push
    from distil.serving import serve as serve
    from distil.tf import *  # noqa: F403
    from distil.training import distill as distill
    from distil.training import train as train
    from distil.training.student import make_student as make_student
