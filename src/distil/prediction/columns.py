"""Results as table columns, after those of the input rows; the last one holds errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from distil.errors import InputError, not_installed
from distil.pipelines.base import Pipeline
from distil.pipelines.embeddings import FeatureExtractionPipeline
from distil.prediction.making import has_several_labels

ERROR = "error"

# The fields of one result, by task, with their Arrow types.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "sequence-classification": {"label": "string", "score": "double"},
    "multiple-choice": {"choice": "string", "index": "int64", "score": "double"},
    "question-answering": {
        "answer": "string", "score": "double", "start": "int64", "end": "int64",
    },
    "masked-lm": {
        "token_str": "string", "score": "double", "token": "int64", "sequence": "string",
    },
    "token-classification": {
        "entity_group": "string", "score": "double", "word": "string", "start": "int64",
        "end": "int64",
    },
}  # fmt: skip
_SINGLE_TOKENS = {
    "entity": "string", "score": "double", "index": "int64", "word": "string", "start": "int64",
    "end": "int64",
}  # fmt: skip

# Tasks whose best result gets columns of its own, unless top_k asks for several.
_ONE_ANSWER = ("sequence-classification", "multiple-choice", "question-answering")


def arrow() -> Any:
    """The package pyarrow.

    Raises:
        FrameworkError: It is not installed.
    """
    try:
        import pyarrow  # noqa: PLC0415 - optional
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise not_installed(
            "pyarrow", where="predict", extra="datasets", use="write parquet files"
        ) from None
    return pyarrow


class Columns:
    """The result columns of a pipeline.

    The best result of a row has columns of its own, such as "label" and "score".  Several results,
    the entities of a text, the words for its masks, and the labels of a multi-label model go into
    one list column, "results".  A vector goes into "embedding".  If a row has no result, "error"
    says why.

    Args:
        pipe: The pipeline.
        several: Whether top_k asks for several results a row.
        prefix: Put before the names of these columns.
        taken: Names of the input's columns.

    Attributes:
        types: Types by name, "error" included.

    Raises:
        InputError: A name is taken, or the results do not fit into a column.
        FrameworkError: pyarrow is not installed.
    """

    def __init__(
        self, pipe: Pipeline, *, several: bool, prefix: str = "", taken: Sequence[str] = ()
    ) -> None:
        if isinstance(pipe, FeatureExtractionPipeline):
            raise InputError(
                "hidden states of every token cannot be written to a table",
                expected="sentence-embeddings, or a model with a head", found="feature-extraction",
                where="task",
            )  # fmt: skip
        self._pa = pa = arrow()
        several = several or has_several_labels(pipe)
        self._one = not several and pipe.task in _ONE_ANSWER
        self._masks = pipe.task == "masked-lm"
        fields = _FIELDS.get(pipe.task)
        if getattr(pipe.options, "aggregation_strategy", None) == "none":
            fields = _SINGLE_TOKENS
        if fields is not None and getattr(pipe.options, "return_null_odds", False):
            fields = {**fields, "null_odds": "double"}
        if fields is None:
            found = {"embedding": pa.list_(pa.float32())}
        elif self._one:
            found = {name: pa.type_for_alias(kind) for name, kind in fields.items()}
        else:
            one = pa.struct([(name, pa.type_for_alias(kind)) for name, kind in fields.items()])
            found = {"results": pa.list_(pa.list_(one) if self._masks else one)}
        self._prefix = prefix
        self.types = {prefix + name: kind for name, kind in {**found, ERROR: pa.string()}.items()}
        both = [name for name in self.types if name in taken]
        if both:
            raise InputError(
                "the input already has a column of this name", found=", ".join(both),
                where="prefix", fix="choose a prefix for the result columns: prefix=predicted_",
            )  # fmt: skip

    def added(self, table: Any, results: Sequence[Any], problems: Mapping[int, InputError]) -> Any:
        """A table of input rows with the result columns appended.

        Args:
            table: The input rows.
            results: One for each row; None if it has none.
            problems: Why a row has none, by its number in the table.
        """
        pa = self._pa
        errors = {row: " ".join(str(problem).split()) for row, problem in problems.items()}
        found = [self._shaped(result) for result in results]
        for row, result in enumerate(found):
            if row not in errors and not _finite(result):
                errors[row], found[row] = "the model's scores are not finite", None
        for name, kind in self.types.items():
            inner = name.removeprefix(self._prefix)
            if inner == ERROR:
                values = [errors.get(row) for row in range(len(found))]
            elif self._one:
                values = [None if one is None else one[inner] for one in found]
            else:
                values = found
            table = table.append_column(pa.field(name, kind), pa.array(values, kind))
        return table

    def _shaped(self, result: Any) -> Any:
        """A result in the form of its column, whether the pipeline gave it alone or in a list."""
        if result is None or isinstance(result, np.ndarray):
            return result
        if self._one:
            return result if isinstance(result, dict) else result[0]
        listed = [result] if isinstance(result, dict) else result
        return [listed] if self._masks and isinstance(listed[0], dict) else listed


def _finite(result: Any) -> bool:
    """Whether all scores of a result are finite."""
    if isinstance(result, np.ndarray):
        return bool(np.isfinite(result).all())
    if isinstance(result, list):
        return all(map(_finite, result))
    return result is None or isfinite(result["score"])
