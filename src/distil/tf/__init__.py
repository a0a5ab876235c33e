"""DistilBERT in TensorFlow, as Keras 3 models."""

import keras

from distil.errors import FrameworkError

if keras.backend.backend() != "tensorflow":
    raise FrameworkError(
        "distil's TensorFlow models need Keras to run on TensorFlow",
        expected="KERAS_BACKEND=tensorflow",
        found=f"KERAS_BACKEND={keras.backend.backend()}",
        fix="set the environment variable before Keras is imported, or use framework='pt'",
    )

from distil.tf.heads import (
    TFDistilBertForMaskedLM,
    TFDistilBertForMultipleChoice,
    TFDistilBertForQuestionAnswering,
    TFDistilBertForSequenceClassification,
    TFDistilBertForTokenClassification,
    TFDistilBertModel,
)
from distil.tf.model import TFDistilBertPreTrainedModel

__all__ = [
    "TFDistilBertForMaskedLM",
    "TFDistilBertForMultipleChoice",
    "TFDistilBertForQuestionAnswering",
    "TFDistilBertForSequenceClassification",
    "TFDistilBertForTokenClassification",
    "TFDistilBertModel",
    "TFDistilBertPreTrainedModel",
]
