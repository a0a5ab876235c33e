"""Models as scikit-learn has them: `TextEmbedder` and `TextClassifier`.

    from distil.sklearn import TextEmbedder
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    search = make_pipeline(TextEmbedder("my-checkpoint"), LogisticRegression())
    search.fit(texts, labels)

Both take texts as a list, an array or a column of a table.  The model is loaded when it is first
used; cloned or pickled, an estimator loads it again.  `fit` trains nothing: to fine-tune a model,
use `distil.train`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np

from distil.arrays import Array
from distil.common.labels import BINARY
from distil.errors import InputError, not_installed, shorten
from distil.pipelines import pipeline
from distil.pipelines.base import Pipeline

try:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        TransformerMixin,
    )
except ImportError as error:
    raise not_installed("scikit-learn", where="distil.sklearn", extra="train") from error


class _OnPipeline(BaseEstimator):  # type: ignore[misc]
    """An estimator whose parameters are a pipeline's arguments.

    scikit-learn reads an estimator's parameters from the signature of its `__init__`, so one that
    has more of them repeats these there.
    """

    task: Any = None

    def __init__(
        self,
        model: Any = None,
        *,
        stride: int | None = None,
        framework: str | None = None,
        engine: str | None = None,
        dtype: Any = "float32",
        device: Any = None,
        threads: int | None = None,
        tokenizer: str | Path | None = None,
    ) -> None:
        self.model = model
        self.stride = stride
        self.framework = framework
        self.engine = engine
        self.dtype = dtype
        self.device = device
        self.threads = threads
        self.tokenizer = tokenizer

    def pipeline(self) -> Pipeline:
        """The pipeline, made anew where a parameter has been set since."""
        wanted = self.get_params(deep=False)
        if vars(self).get("_made", (None,))[0] != wanted:
            # Of the others, a folder of sentence-transformers has its own.
            given = {name: value for name, value in wanted.items() if value is not None}
            self._made = (wanted, pipeline(self.task, **given))
        made: Pipeline = self._made[1]
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_made"}

    def __sklearn_is_fitted__(self) -> bool:
        return True


class TextEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _OnPipeline):  # type: ignore[misc]
    """Turns texts into sentence embeddings, for whatever scikit-learn does with numbers.

    Args:
        model: As in `distil.pipeline`.
        pooling: As in `distil.SentenceEncoding`; None is what the model's folder says, else "mean".
        normalize: Scale vectors to length one, so that their products are cosines; None is what the
            model's folder says, else True.
        stride: As in `TextClassifier`, like all that follow.
        framework: Likewise.
        engine: Likewise.
        dtype: Likewise.
        device: Likewise.
        threads: Likewise.
        tokenizer: Likewise.
    """

    task = "sentence-embeddings"

    def __init__(
        self,
        model: Any = None,
        *,
        pooling: str | None = None,
        normalize: bool | None = None,
        stride: int | None = None,
        framework: str | None = None,
        engine: str | None = None,
        dtype: Any = "float32",
        device: Any = None,
        threads: int | None = None,
        tokenizer: str | Path | None = None,
    ) -> None:
        super().__init__(
            model, stride=stride, framework=framework, engine=engine, dtype=dtype, device=device,
            threads=threads, tokenizer=tokenizer,
        )  # fmt: skip
        self.pooling = pooling
        self.normalize = normalize

    def fit(self, X: Any, y: Any = None) -> Self:
        """Load the model, which is trained already."""
        self.pipeline()
        return self

    def transform(self, X: Any) -> Array:
        """Embeddings (n, dim) of n texts."""
        pipe = self.pipeline()
        if len(X) == 0:
            return np.empty((0, self._n_features_out), np.float32)
        embeddings: Array = pipe(X, as_array=True)
        return embeddings

    @property
    def _n_features_out(self) -> int:
        return int(self.pipeline().model.config.dim)


class TextClassifier(ClassifierMixin, _OnPipeline):  # type: ignore[misc]
    """Classifies texts with a model that has been trained to; one label a text.

    Args:
        model: As in `distil.pipeline`.
        stride: Read long texts in windows that share so many tokens; None cuts them.
        framework: As in `distil.pipeline`, like all that follow.
        engine: What computes.
        dtype: To compute in.
        device: Where.
        threads: How many an engine computes with.
        tokenizer: Of a model in memory.

    Attributes:
        classes_: The model's labels; after `fit` on integers, their numbers.
    """

    task = "text-classification"

    def fit(self, X: Any, y: Any = None) -> Self:
        """Load the model, and see that it knows the labels; it is trained already.

        Args:
            X: Texts.
            y: Their labels, or the numbers of these; `predict` gives the same kind.

        Raises:
            InputError: There are others.
        """
        self.by_number_ = y is not None and np.issubdtype(np.asarray(y).dtype, np.integer)
        known = self.classes_.tolist()
        others = [one for one in np.unique([] if y is None else y).tolist() if one not in known]
        if others:
            raise InputError(
                "the model does not know these labels", expected=_listed(known),
                found=_listed(others), where="y", fix="train one with distil.train",
            )  # fmt: skip
        return self

    @property
    def classes_(self) -> Array:
        """The labels, in the order of `predict_proba`'s columns."""
        names = self._names()
        return np.arange(len(names)) if getattr(self, "by_number_", False) else np.array(names)

    def predict(self, X: Any) -> Array:
        """The label of each of n texts (n)."""
        labels: Array = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """The probabilities (n, classes) of the labels of n texts.

        Raises:
            InputError: The model gives numbers, or several labels a text.
        """
        pipe = self.pipeline()
        config, names = pipe.model.config, self._names()
        if len(names) == 1 or config.problem_type == BINARY:
            raise InputError(
                "this model does not choose one label for a text", where="model",
                found=f"num_labels {len(names)}, problem_type {config.problem_type}",
                fix="use distil.pipeline, which gives all scores",
            )  # fmt: skip
        columns = {name: number for number, name in enumerate(names)}
        scores = np.zeros((len(X), len(names)))
        for row, found in enumerate(pipe(X, top_k=None) if len(X) else []):
            for one in found:
                scores[row, columns[one["label"]]] = one["score"]
        return scores

    def _names(self) -> list[str]:
        labels = self.pipeline().model.config.id2label
        return [labels[number] for number in range(len(labels))]


def _listed(labels: Iterable[Any]) -> str:
    return shorten(", ".join(map(str, labels)))
