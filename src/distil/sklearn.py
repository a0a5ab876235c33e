"""Models as scikit-learn has them: `TextEmbedder` and `TextClassifier`.

    from distil.sklearn import TextEmbedder
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    search = make_pipeline(TextEmbedder("my-checkpoint"), LogisticRegression())
    search.fit(texts, labels)

Both take texts as a list, an array or a column of a table.  The model is loaded on first use; a
cloned or unpickled estimator loads it again.  `fit` trains nothing: to fine-tune a model, use
`distil.train`.
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
    """An estimator whose parameters are the arguments of a pipeline.

    scikit-learn reads an estimator's parameters from the signature of its own `__init__`, so a
    subclass with more of them must repeat these.
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
        """The pipeline; made again if a parameter has changed."""
        wanted = self.get_params(deep=False)
        if vars(self).get("_made", (None,))[0] != wanted:
            # For the others, a sentence-transformers folder may have settings of its own.
            given = {name: value for name, value in wanted.items() if value is not None}
            self._made = (wanted, pipeline(self.task, **given))
        made: Pipeline = self._made[1]
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_made"}

    def __sklearn_is_fitted__(self) -> bool:
        return True


class TextEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _OnPipeline):  # type: ignore[misc]
    """Turns texts into sentence embeddings, as features for scikit-learn's estimators.

    Args:
        model: As in `distil.pipeline`.
        pooling: As in `distil.SentenceEncoding`; None takes the model folder's own, or "mean".
        normalize: Scale vectors to unit length, so that dot products are cosines; None takes the
            model folder's own setting, or True.
        stride: As in `TextClassifier`.
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
        """Load the model; it is already trained."""
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
    """Classifies texts with a trained model, one label per text.

    Args:
        model: As in `distil.pipeline`.
        stride: Split long texts into windows that overlap by this many tokens; None truncates.
        framework: As in `distil.pipeline`.
        engine: Likewise.
        dtype: Likewise.
        device: Likewise.
        threads: Likewise.
        tokenizer: Likewise.

    Attributes:
        classes_: The model's labels; their indices if `fit` was given integers.
    """

    task = "text-classification"

    def fit(self, X: Any, y: Any = None) -> Self:
        """Load the model and check that it knows the labels; it is already trained.

        Args:
            X: Texts.
            y: Their labels, as names or as indices; `predict` returns the same kind.

        Raises:
            InputError: The model does not know one of the labels.
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
            InputError: The model is a regression, or gives several labels per text.
        """
        pipe = self.pipeline()
        config, names = pipe.model.config, self._names()
        if len(names) == 1 or config.problem_type == BINARY:
            raise InputError(
                "the model does not choose one label per text", where="model",
                found=f"num_labels {len(names)}, problem_type {config.problem_type}",
                fix="use distil.pipeline, which returns all scores",
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
