"""`predict`: predictions for texts, or for files of any size.

`distil.pipeline` does the work.  This room pairs texts with their contexts or choices, compares
the two frameworks, and processes files part by part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, overload

from distil.common.rules import as_list
from distil.errors import InputError, shown
from distil.prediction.files import predict_files
from distil.prediction.job import PredictedFiles
from distil.prediction.making import difference_of, frameworks_of, make_pipeline
from distil.prediction.rows import describe, make_rows

__all__ = [
    "PredictedFiles",
    "Prediction",
    "difference_of",
    "frameworks_of",
    "make_pipeline",
    "predict",
    "predict_files",
]

# In float32, logits differ by less than 1e-5 of the largest, which is seldom above 10.
LARGEST_DIFFERENCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The result of `predict`.

    Attributes:
        task: The task of the model.
        frameworks: Those that ran: "pt", "tf" or both, or an engine.
        results: One for each text: the text under "text", "question" or "prompt", and what the
            pipeline returns for it under "result"; from the first framework.
        difference: The largest difference between the scores of the two frameworks; None if only
            one ran.
    """

    task: str
    frameworks: tuple[str, ...]
    results: tuple[Mapping[str, Any], ...]
    difference: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether the two frameworks agree; True if only one ran."""
        return self.difference is None or self.difference <= LARGEST_DIFFERENCE

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts, lists and numbers, for JSON."""
        finite = self.difference is not None and isfinite(self.difference)
        return {
            "task": self.task,
            "frameworks": list(self.frameworks),
            "difference": self.difference if finite else None,
            "agrees": self.agrees,
            "results": list(self.results),
        }


@overload
def predict(
    name: str | Path | Sequence[str] | None,
    texts: str | Sequence[str] | None = None,
    *,
    file: None = None,
    **options: Any,
) -> Prediction: ...
@overload
def predict(
    name: str | Path | None, *, file: str | Path, output: str | Path, **options: Any
) -> PredictedFiles: ...
def predict(
    name: Any,
    texts: str | Sequence[str] | None = None,
    *,
    task: str | None = None,
    framework: str | None = None,
    pair: str | Sequence[str] | None = None,
    context: str | Sequence[str] | None = None,
    choices: Sequence[str] | None = None,
    file: str | Path | None = None,
    output: str | Path | None = None,
    **options: Any,
) -> Prediction | PredictedFiles:
    """Load a model and predict texts, or files of any size.

    For example::

        distil.predict("my-model", ["A fine film.", "Dull."]).results
        distil.predict("my-model", file="reviews/*.parquet", output="labelled/", shard="3/16")

    Files are processed part by part into a folder; after a crash or a kill the same call resumes.
    See `distil.prediction.files.predict_files` for its further arguments.

    Args:
        name: As in `distil.load`; None takes the bundled sentiment model.  If it is the only
            positional argument, it holds the texts for that model.
        texts: One or more texts: to classify, to embed or with masks; questions; or prompts.
        task: As in `distil.pipeline`; the checkpoint must have a head for it.
        framework: As in `distil.load`, or "both" to run both and compare their scores.
        pair: Second texts for a sequence classifier: one for each text, or one for all.
        context: Where to look for answers: one for each question, or one for all.
        choices: Possible continuations of each prompt, at least two.
        file: Instead of texts: a data file, a folder of them, or a glob pattern.
        output: The output folder, with `file`.
        **options: Further options of `distil.pipeline`.

    Returns:
        One result for each text, in order; with `file`, a summary of what was written.

    Raises:
        InputError: A text is empty, or lacks its mask or context; an argument is invalid; or no
            row of the files could be predicted.
        WeightsError: The checkpoint has no trained head for the task.
        DistilError: The checkpoint cannot be loaded; see `distil.load`.

    Warns:
        UserWarning: Texts are longer than the model accepts, and are truncated.
    """
    given = {"pair": pair, "context": context, "choices": choices}
    if file is not None or output is not None:
        if file is None or output is None or texts is not None:
            raise InputError(
                "file and output go together", expected="file and output, or texts",
                found=f"file={file!r}, output={output!r}, texts={shown(texts)}", where="output",
            )  # fmt: skip
        return predict_files(
            name, file, output, task=task, framework=framework, for_all=given, **options
        ).sound()
    if texts is None:
        name, texts = None, _texts(name)
    if not isinstance(name, str | Path | None):
        raise InputError(
            "the name of a model must be one string", found=type(name).__name__, where="name",
            fix="pass the model first, then the texts",
        )  # fmt: skip
    pipe = make_pipeline(name, task=task, framework=framework, **options)
    texts = [texts] if isinstance(texts, str) else as_list(texts, "texts")
    rows = make_rows(pipe.task, texts, given)
    found = [result for _, result in pipe.stream(enumerate(rows))]
    return Prediction(
        task=pipe.task,
        frameworks=frameworks_of(pipe),
        results=tuple(map(describe, rows, found)),
        difference=difference_of(pipe),
    )


def _texts(given: Any) -> str | Sequence[str]:
    """The texts of a call that names no model."""
    if given is None or isinstance(given, Path):
        raise InputError("there is no text", expected="at least one", where="texts")
    texts: str | Sequence[str] = given
    return texts
