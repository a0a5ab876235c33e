"""Code as users write it, for type checkers alone: it is never run.

`assert_type` is an error where a checker sees another type, and a line that ends with
`# type: ignore[...]` has to be an error: checkers warn of one that is not needed.
"""

# pyright: basic, reportUnnecessaryTypeIgnoreComment=true

from pathlib import Path
from typing import assert_type

import distil
from distil.common.inference.model import InferenceModel
from distil.pipelines.answering import QuestionAnsweringPipeline
from distil.pipelines.base import Pipeline
from distil.pipelines.classification import TextClassificationPipeline
from distil.pipelines.embeddings import FeatureExtractionPipeline, SentenceEmbeddingsPipeline

NAME = "sst2-small"

classifier = distil.load(NAME, task="text-classification")
assert_type(classifier, distil.DistilBertForSequenceClassification)
assert_type(classifier.config, distil.DistilBertConfig)
assert_type(distil.load(Path(NAME), task="base", framework="torch"), distil.DistilBertModel)
assert_type(distil.load(NAME, task="mlm", revision="main"), distil.DistilBertForMaskedLM)
assert_type(distil.load(NAME, task="multiple-choice"), distil.DistilBertForMultipleChoice)
assert_type(distil.load(NAME, task="ner"), distil.DistilBertForTokenClassification)
assert_type(distil.load(NAME, task="qa"), distil.DistilBertForQuestionAnswering)
assert_type(distil.load(NAME), distil.DistilBertPreTrainedModel)
assert_type(
    distil.load(NAME, task="sentiment-analysis", framework="tf", num_labels=3),
    distil.TFDistilBertForSequenceClassification,
)
assert_type(distil.load(NAME, framework="keras", task="fill-mask"), distil.TFDistilBertForMaskedLM)
assert_type(distil.load(NAME, framework="tf"), distil.TFDistilBertPreTrainedModel)
assert_type(distil.load(NAME, engine="openvino"), InferenceModel)
assert_type(distil.load(NAME, task="ner", dtype="int8"), InferenceModel)

assert_type(distil.load_tokenizer(NAME), distil.DistilBertTokenizerFast)
assert_type(distil.load_tokenizer(NAME, fast=False), distil.DistilBertTokenizer)

assert_type(distil.pipeline("sentiment-analysis", NAME), TextClassificationPipeline)
assert_type(distil.pipeline("question-answering", model=NAME), QuestionAnsweringPipeline)
assert_type(distil.pipeline("feature-extraction", NAME), FeatureExtractionPipeline)
assert_type(distil.pipeline("sentence-embeddings", NAME), SentenceEmbeddingsPipeline)
assert_type(distil.pipeline(model=NAME, dtype="int8"), Pipeline)


def chosen_when_it_runs(framework: str) -> None:
    """A framework that is only known then."""
    model = distil.load(NAME, framework=framework, task="ner")
    model.anything_at_all()


distil.load(NAME, task="text-clasification")  # type: ignore[call-overload]
distil.pipeline("text-clasification", NAME)  # type: ignore[call-overload]
distil.load_tokenizer(NAME).no_such_method()  # type: ignore[attr-defined]
distil.load_tokenizer(NAME, fast="yes")  # type: ignore[call-overload]
print(distil.predict(NAME, ["text"]).no_such_field)  # type: ignore[attr-defined]
