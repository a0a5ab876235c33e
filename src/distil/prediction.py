"""`predict`: what a model says about texts that are all there, in one framework or in both.

`distil.pipeline` does the work; here are the texts put together with what goes with them, and
the two frameworks with one another.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from distil.common.tasks import TASKS
from distil.errors import CheckpointWarning, InputError
from distil.frameworks import FRAMEWORKS, import_framework
from distil.pipelines import pipeline
from distil.pipelines.base import Pipeline
from distil.pipelines.comparison import ComparedModels

# float32 differs by less than 1e-5 of the largest logit, and these are seldom above 10.
LARGEST_DIFFERENCE = 1e-4

BOTH = "both"

# The arguments that hold what goes with texts, by its field.
_ARGUMENTS = {"text_pair": "pair", "context": "context", "choices": "choices"}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What `predict` gives.

    Attributes:
        task: What the model was loaded for.
        frameworks: Those that ran: "pt", "tf" or both, or an engine.
        results: One for each text, which is in it under "text", "question" or "prompt"; under
            "result" what the pipeline gives.  Of the first framework.
        difference: The largest difference between the scores of the two frameworks; None where
            one ran.
    """

    task: str
    frameworks: tuple[str, ...]
    results: tuple[Mapping[str, Any], ...]
    difference: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether two frameworks gave the same; True where one ran."""
        return self.difference is None or self.difference <= LARGEST_DIFFERENCE

    def to_dict(self) -> dict[str, Any]:
        """Everything as tables, lists and numbers."""
        finite = self.difference is not None and isfinite(self.difference)
        return {
            "task": self.task,
            "frameworks": list(self.frameworks),
            "difference": self.difference if finite else None,
            "agrees": self.agrees,
            "results": list(self.results),
        }


def predict(
    name: str | Path | Sequence[str] | None,
    texts: str | Sequence[str] | None = None,
    *,
    task: str | None = None,
    framework: str | None = None,
    pair: str | Sequence[str] | None = None,
    context: str | Sequence[str] | None = None,
    choices: Sequence[str] | None = None,
    **options: Any,
) -> Prediction:
    """Load a model and predict texts with it.

    Args:
        name: As in `distil.load`; None takes the model that comes with the package.  Where
            nothing follows it, this is what is said of `texts`, for that model.
        texts: One or several: what is classified, embedded or has masks; questions; prompts.
        task: As in `distil.pipeline`; the checkpoint has to have the head for it.
        framework: As in `distil.load`, or "both" to run both and compare their scores.
        pair: Second texts for a sequence classifier, one for each text or one for all.
        context: Where to look for answers, one for each question or one for all.
        choices: How each prompt may continue, at least two.
        **options: Further ones of `distil.pipeline`.

    Returns:
        The results, one for each text, in their order.

    Raises:
        InputError: A text is empty, or lacks its mask or context; or an argument is impossible.
        WeightsError: The checkpoint has no head for the task; a random one predicts nothing.
        DistilError: The checkpoint cannot be loaded; see `distil.load`.

    Warns:
        UserWarning: Texts are longer than the model accepts, and are cut.
    """
    if texts is None:
        name, texts = None, _texts(name)
    if not isinstance(name, str | Path | None):
        raise InputError(
            "a model is named by one string", found=type(name).__name__, where="name",
            fix="pass the model first, then the texts",
        )  # fmt: skip
    pipe = make_pipeline(name, task=task, framework=framework, **options)
    texts = [texts] if isinstance(texts, str) else list(texts)
    rows = make_rows(pipe.task, texts, {"pair": pair, "context": context, "choices": choices})
    found = [result for _, result in pipe.stream(enumerate(rows))]
    return Prediction(
        task=pipe.task,
        frameworks=frameworks_of(pipe),
        results=tuple(map(describe, rows, found)),
        difference=difference_of(pipe),
    )


def _texts(given: Any) -> str | Sequence[str]:
    """What stands alone in a call, if it is texts."""
    if given is None or isinstance(given, Path):
        raise InputError("there is no text", expected="at least one", where="texts")
    texts: str | Sequence[str] = given
    return texts


def make_pipeline(
    name: str | Path | None,
    *,
    framework: str | None = None,
    top_k: int | None = None,
    **options: Any,
) -> Pipeline:
    """A pipeline as `distil.pipeline` makes it, or one of both frameworks, which are compared.

    Args:
        name: As in `predict`.
        framework: As in `distil.load`, or "both".
        top_k: How many labels, words, choices or answers to give; None for what is usual.
        **options: Further ones of `distil.pipeline`.

    Raises:
        InputError: Frameworks are to be compared in anything but float32.
        DistilError: As `distil.pipeline`.
    """
    if framework != BOTH:
        pipe: Pipeline = pipeline(model=name, framework=framework, **options)
    else:
        dtype, engine = options.get("dtype") or "float32", options.get("engine")
        if dtype != "float32" or engine not in (None, "packed"):
            raise InputError(
                "frameworks are compared in float32, without an engine",
                found=f"dtype {dtype}, engine {engine}", where="framework 'both'",
            )  # fmt: skip
        for one in FRAMEWORKS:
            import_framework(one)
        one, two = FRAMEWORKS
        pipe = pipeline(model=name, framework=one, **options)
        with warnings.catch_warnings():
            # The first framework has said what there is to say about the checkpoint.
            warnings.simplefilter("ignore", CheckpointWarning)
            other = pipeline(model=name, framework=two, **options)
        pipe.model, pipe.origin = ComparedModels(pipe.model, other.model), None
    if hasattr(pipe.options, "top_k"):
        pipe.set_options(top_k=TASKS[pipe.task].top_k if top_k is None else top_k)
    elif top_k is not None:
        raise InputError("this task has no top_k", found=f"a model for {pipe.task}", where="top_k")
    return pipe


def frameworks_of(pipe: Pipeline) -> tuple[str, ...]:
    """What computes."""
    compared = isinstance(pipe.model, ComparedModels)
    return tuple(FRAMEWORKS) if compared else (pipe.model.framework,)


def difference_of(pipe: Pipeline) -> float | None:
    """The largest difference of two frameworks so far; None where there is one."""
    return pipe.model.difference if isinstance(pipe.model, ComparedModels) else None


def fields_of(task: str) -> tuple[str, str | None]:
    """The names of a task's text, and of what goes with it."""
    return TASKS[task].row


def make_rows(
    task: str, texts: Sequence[str], given: Mapping[str, Any]
) -> list[str | dict[str, Any]]:
    """Texts with what goes with them, as rows of a pipeline.

    Args:
        task: Of the pipeline.
        texts: One or more.
        given: Of "pair", "context" and "choices", what there is.

    Raises:
        InputError: There is no text, or the task needs something that is not given, or has no
            use for what is.
    """
    if not texts:
        raise InputError("there are no texts", expected="at least one", where="texts")
    first, second = fields_of(task)
    values = seconds(task, given, len(texts))
    if values is None or second is None:
        return list(texts)
    return [{first: text, second: value} for text, value in zip(texts, values, strict=True)]


def seconds(task: str, given: Mapping[str, Any], count: int | None = None) -> list[Any] | None:
    """What goes with texts.

    Args:
        task: Of the pipeline.
        given: Of "pair", "context" and "choices", what there is.
        count: How many texts there are; None if that is not known: then there has to be one for
            all, or none.

    Returns:
        One for each text, one for all where `count` is None; None if there is none.

    Raises:
        InputError: As `make_rows`.
    """
    wanted = _ARGUMENTS.get(fields_of(task)[1] or "", "")
    for name, value in given.items():
        if value is not None and name != wanted:
            raise InputError(
                f"this task has no {name}", found=f"a model for {task}", where=name,
                fix=f"pass {wanted} instead" if wanted else "leave it out",
            )  # fmt: skip
    value = given.get(wanted)
    if value is None:
        if TASKS[task].needs_second and count is not None:
            raise InputError(f"{task} needs {wanted}", found="none", where=wanted)
        return None
    if wanted == "choices":
        return [list(value)] * (count or 1)
    values = [value] if isinstance(value, str) else list(value)
    if len(values) == 1:
        return values * (count or 1)
    if len(values) != count:
        raise InputError(
            f"there must be one {wanted} for each text, or one for all",
            expected="1" + (f" or {count}" if count else ""),
            found=len(values), where=wanted,
        )  # fmt: skip
    return values


def describe(row: str | Mapping[str, Any], result: Any) -> dict[str, Any]:
    """A row with its result, of lists and numbers.

    What may be long, or is in the result (a context, choices), is left out.
    """
    if isinstance(row, str):
        shown: dict[str, Any] = {"text": row}
    else:
        shown = {name: value for name, value in row.items() if name not in ("context", "choices")}
    # Vectors are arrays.
    return shown | {"result": result.tolist() if hasattr(result, "tolist") else result}
