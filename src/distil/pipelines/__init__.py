"""From raw texts to answers: `pipeline`.

    classify = distil.pipeline("text-classification", model=name)
    classify("A fine film.")                     # [{"label": "POSITIVE", "score": 0.99...}]
    for result in classify(open("lines.txt")):   # any length, in order, in constant memory
        ...

Arguments and results are those of transformers' pipelines.  A pipeline tokenizes in the background
while the model computes, computes no padding and no text twice, and takes a stream in windows.

Pickled or deep-copied, a pipeline is made again from the name or the folder of its model, with the
same options; a token for the hub is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, overload

from distil import api
from distil.checkpoints.located import Located, locate
from distil.checkpoints.trained_head import missing_head
from distil.common import tasks
from distil.common.inference.model import PACKED, InferenceModel
from distil.common.tasks import Task, bundled_for, find_task
from distil.errors import InputError, WeightsError
from distil.frameworks import choose_form
from distil.pipelines.answering import QuestionAnsweringPipeline
from distil.pipelines.base import Pipeline
from distil.pipelines.choices import MultipleChoicePipeline
from distil.pipelines.classification import TextClassificationPipeline
from distil.pipelines.embeddings import FeatureExtractionPipeline, SentenceEmbeddingsPipeline
from distil.pipelines.masks import FillMaskPipeline
from distil.pipelines.tokens import TokenClassificationPipeline
from distil.storage import hub
from distil.storage.hub import HubOptions
from distil.storage.paths import is_folder

# By task; two read the encoder alone, and "feature-extraction" names the other one.
PIPELINES: Mapping[str, type[Pipeline]] = {
    cls.task: cls
    for cls in (
        SentenceEmbeddingsPipeline,
        FillMaskPipeline,
        TextClassificationPipeline,
        MultipleChoicePipeline,
        TokenClassificationPipeline,
        QuestionAnsweringPipeline,
    )
}
_FEATURES = "feature-extraction"


@overload
def pipeline(
    task: tasks.Features, model: Any = None, **options: Any
) -> FeatureExtractionPipeline: ...
@overload
def pipeline(
    task: Literal["base"] | tasks.Embeddings, model: Any = None, **options: Any
) -> SentenceEmbeddingsPipeline: ...
@overload
def pipeline(task: tasks.MaskedLM, model: Any = None, **options: Any) -> FillMaskPipeline: ...
@overload
def pipeline(
    task: tasks.SequenceClassification, model: Any = None, **options: Any
) -> TextClassificationPipeline: ...
@overload
def pipeline(
    task: tasks.MultipleChoice, model: Any = None, **options: Any
) -> MultipleChoicePipeline: ...
@overload
def pipeline(
    task: tasks.TokenClassification, model: Any = None, **options: Any
) -> TokenClassificationPipeline: ...
@overload
def pipeline(
    task: tasks.QuestionAnswering, model: Any = None, **options: Any
) -> QuestionAnsweringPipeline: ...
@overload
def pipeline(task: None = None, model: Any = None, **options: Any) -> Pipeline: ...
def pipeline(
    task: str | None = None,
    model: Any = None,
    *,
    framework: str | None = None,
    dtype: Any = "float32",
    engine: str | None = None,
    tokenizer: Any = None,
    device: Any = None,
    calibration: Sequence[str] | None = None,
    threads: int | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    **options: Any,
) -> Pipeline:
    """Make a pipeline, which turns texts into results.

    Args:
        task: "text-classification" (or "sentiment-analysis"), "token-classification" (or "ner"),
            "question-answering", "fill-mask", "multiple-choice", "feature-extraction", or
            "sentence-embeddings", the default for a model without a head; None takes the
            model's own.
        model: A name as in `distil.load`, a model of this library, or an inference-only form of
            one (see `distil.optimize`).  None takes the one that comes with the package: of
            sentiment, or for "sentence-embeddings" an encoder.
        framework: As in `distil.load`.
        dtype: To compute in: "float32", "bfloat16" or "int8".
        engine: What computes: None or "packed", the framework itself, without padding; "openvino"
            or "onnxruntime"; "auto" the fastest that is installed.
        tokenizer: Of the model, or its name; needed unless `model` is a name.
            One of transformers is turned into one of this library.
        device: As in `distil.load`.
        calibration: Texts like those to be predicted, for int8.
        threads: How many an engine computes with; None takes one a core.  Frameworks have one
            number for the whole process and refuse it.
        revision: As in `distil.load`, like all that follow.
        cache_dir: Where files from the hub are kept.
        local_files_only: Do not ask the hub.
        token: For the hub.
        **options: Of every call, unless the call gives others: see the pipeline's `Options`.  A
            folder of sentence-transformers has its own for embeddings: pooling, length, prompts.

    Returns:
        What is called with texts, see `distil.pipelines.base.Pipeline`.

    Raises:
        InputError: The task or an option is unknown, or does not fit the model.
        WeightsError: The checkpoint has no trained head for the task.
        DistilError: The model cannot be loaded; see `distil.load` and `distil.optimize`.
    """
    asked = None if task is None else find_task(task)
    hub_options = HubOptions(
        revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
    )
    named = model
    if model is None:
        model = hub.bundled()[bundled_for(task)]  # whatever folder of that name there is
    origin: partial[Any] | None = None
    if isinstance(model, str | Path):
        origin = partial(
            pipeline, task, _lasting(named), framework=framework, dtype=dtype, engine=engine,
            tokenizer=_lasting(tokenizer), device=device, calibration=calibration,
            threads=threads, **vars(replace(hub_options, token=None)),
        )  # fmt: skip
    if isinstance(tokenizer, str | Path):
        tokenizer = api.load_tokenizer(tokenizer, **vars(hub_options))
    if isinstance(model, str | Path):
        form = choose_form(
            framework=framework, engine=engine or PACKED, dtype=dtype, device=device,
            threads=threads,
        )  # fmt: skip
        with locate(model, hub_options) as found:
            asked = asked or found.task
            _check_head(found, asked)
            tokenizer = tokenizer or api.load_tokenizer(found.folder)
            if _kind(task, asked.name) is SentenceEmbeddingsPipeline and found.encoding is not None:
                options = {**vars(found.encoding), **options}
            model = api.load_located(found, asked, form, calibration=calibration)
    elif not isinstance(model, InferenceModel):
        from distil.optimization import optimize  # noqa: PLC0415 - after names are checked

        model = optimize(
            model, dtype, engine=engine, tokenizer=tokenizer, calibration=calibration,
            threads=threads,
        )  # fmt: skip
    elif threads is not None or engine is not None or calibration is not None:
        raise InputError(
            "the model is already optimized for inference",
            expected="threads, engine and calibration left out", found=repr(model), where="model",
            fix="pass them to distil.load or distil.optimize",
        )  # fmt: skip
    tokenizer = _own(tokenizer)
    if tokenizer is None:
        raise InputError(
            "a model in memory has no tokenizer", where="tokenizer",
            fix="pass tokenizer=distil.load_tokenizer(...)",
        )  # fmt: skip
    made = _kind(task, asked.name if asked else model.task)(model, tokenizer, **options)
    made.origin = origin
    return made


def _kind(asked: str | None, task: str) -> type[Pipeline]:
    """The pipeline for a task, by what it was asked for as."""
    features = asked is not None and asked.replace("_", "-").lower() == _FEATURES
    return FeatureExtractionPipeline if features else PIPELINES[task]


def _own(tokenizer: Any) -> Any:
    """A tokenizer of transformers as one of this library, by its files; any other as it is."""
    if type(tokenizer).__module__.partition(".")[0] != "transformers":
        return tokenizer
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return api.load_tokenizer(folder)


def _lasting(name: Any) -> Any:
    """What names the same folder wherever a process is started; anything else as it is."""
    found = isinstance(name, str | Path) and name != "" and is_folder(name)
    return str(Path(name).resolve()) if found else name


def _check_head(found: Located, task: Task) -> None:
    """Refuse a checkpoint whose head for the task would be random."""
    problem = missing_head(found, task)
    if problem is not None:
        raise WeightsError(
            f"this checkpoint has no trained head for {task.name}, and a random one predicts "
            "nothing",
            found=problem, where=found.name,
            fix="use a checkpoint trained for it; `distil info` shows what this one is for",
        )  # fmt: skip
