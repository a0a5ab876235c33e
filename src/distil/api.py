"""From a name to a model or a tokenizer: `load`, `load_tokenizer`, `save`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from distil.checkpoints.located import Located, locate
from distil.checkpoints.sentence_files import write_encoding
from distil.common import tasks
from distil.common.inference.model import Engine, InferenceModel
from distil.common.sentences import SentenceEncoding
from distil.common.tasks import AnyTask, Task, find_task
from distil.errors import InputError
from distil.frameworks import Form, PyTorch, TensorFlow, choose_form, model_class
from distil.optimization import load_with_engine, pack
from distil.storage.hub import HubOptions

if TYPE_CHECKING:
    from distil import pt, tf
    from distil.common.tokenizer import DistilBertTokenizer, DistilBertTokenizerFast

Name = str | Path


# Where no framework is named, the types are PyTorch's.  What is called with names that are known
# only when the program runs is `Any`; a task that does not exist is an error in any case.
@overload
def load(
    name: Name, *, engine: Engine, task: AnyTask | None = None, **options: Any
) -> InferenceModel: ...
@overload
def load(
    name: Name, *, dtype: Literal["int8"], task: AnyTask | None = None, **options: Any
) -> InferenceModel: ...
@overload
def load(
    name: Name, *, task: tasks.Base, framework: PyTorch | None = None, **options: Any
) -> pt.DistilBertModel: ...
@overload
def load(
    name: Name, *, task: tasks.MaskedLM, framework: PyTorch | None = None, **options: Any
) -> pt.DistilBertForMaskedLM: ...
@overload
def load(
    name: Name,
    *,
    task: tasks.SequenceClassification,
    framework: PyTorch | None = None,
    **options: Any,
) -> pt.DistilBertForSequenceClassification: ...
@overload
def load(
    name: Name, *, task: tasks.MultipleChoice, framework: PyTorch | None = None, **options: Any
) -> pt.DistilBertForMultipleChoice: ...
@overload
def load(
    name: Name, *, task: tasks.TokenClassification, framework: PyTorch | None = None, **options: Any
) -> pt.DistilBertForTokenClassification: ...
@overload
def load(
    name: Name, *, task: tasks.QuestionAnswering, framework: PyTorch | None = None, **options: Any
) -> pt.DistilBertForQuestionAnswering: ...
@overload
def load(
    name: Name, *, task: None = None, framework: PyTorch | None = None, **options: Any
) -> pt.DistilBertPreTrainedModel: ...
@overload
def load(
    name: Name, *, task: tasks.Base, framework: TensorFlow, **options: Any
) -> tf.TFDistilBertModel: ...
@overload
def load(
    name: Name, *, task: tasks.MaskedLM, framework: TensorFlow, **options: Any
) -> tf.TFDistilBertForMaskedLM: ...
@overload
def load(
    name: Name, *, task: tasks.SequenceClassification, framework: TensorFlow, **options: Any
) -> tf.TFDistilBertForSequenceClassification: ...
@overload
def load(
    name: Name, *, task: tasks.MultipleChoice, framework: TensorFlow, **options: Any
) -> tf.TFDistilBertForMultipleChoice: ...
@overload
def load(
    name: Name, *, task: tasks.TokenClassification, framework: TensorFlow, **options: Any
) -> tf.TFDistilBertForTokenClassification: ...
@overload
def load(
    name: Name, *, task: tasks.QuestionAnswering, framework: TensorFlow, **options: Any
) -> tf.TFDistilBertForQuestionAnswering: ...
@overload
def load(
    name: Name, *, task: None = None, framework: TensorFlow, **options: Any
) -> tf.TFDistilBertPreTrainedModel: ...
@overload
def load(
    name: Name, *, task: AnyTask | None = None, framework: str | None, **options: Any
) -> Any: ...
def load(
    name: str | Path,
    *,
    framework: str | None = None,
    task: str | None = None,
    dtype: Any = None,
    device: Any = None,
    engine: str | None = None,
    calibration: Sequence[str] | None = None,
    threads: int | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    **config_overrides: Any,
) -> Any:
    """Load a model, ready for inference (dropout off).

    Any checkpoint format loads in either framework, and so does a BERT, folded into a
    DistilBERT (see `distil.common.bert`).

    Args:
        name: A folder, the name of a bundled checkpoint, or a name on the hub.
        framework: "pt" or "tf"; None takes the environment variable DISTIL_FRAMEWORK, else the
            one that is installed, else "pt".
        task: "base", "masked-lm", "sequence-classification", "multiple-choice",
            "token-classification" or "question-answering", or what pipelines call them; None
            takes the checkpoint's own.  A head that the checkpoint lacks is initialized at
            random, with a warning.
        dtype: Of the weights: "float32" (as None), "float64", "bfloat16", "float16", or "auto"
            for the type they are stored in; in TensorFlow also a policy ("mixed_bfloat16");
            "int8" for inference alone, by the engine.
        device: Where the weights go; None leaves it to the framework.
        engine: None gives the model itself, to train or to use; "packed", "openvino" and
            "onnxruntime" a faster form for inference alone (see `optimize`), as dtype="int8" does;
            "auto" the fastest that is installed, which its `engine` then tells.
        calibration: Texts like those to be predicted, for int8 (see `optimize`).
        threads: How many an engine computes with; None takes one a core.  Frameworks have one
            number for the whole process and refuse it.
        revision: Branch, tag or commit on the hub.
        cache_dir: Where files from the hub are cached.
        local_files_only: Do not ask the hub; use what is cached.
        token: For the hub, if the model is not public.
        **config_overrides: Fields of the configuration to set, `ignore_mismatched_sizes`,
            `seed`, `variant`: see `from_pretrained`.

    Returns:
        A torch.nn.Module or a keras.Model, of the class for the task; with an engine, a
        `distil.common.inference.model.InferenceModel`.

    Raises:
        FrameworkError: The framework or the engine is unknown or not installed.
        InputError: The task is unknown.
        CheckpointNotFoundError: There is no checkpoint of that name.
        HubError: The hub cannot be reached, or does not have it.
        CheckpointError: The files are damaged, or not those of this model.
        ConfigError: The configuration, or an override, is not valid.
    """
    dtype = config_overrides.pop("torch_dtype", None) if dtype is None else dtype
    form = choose_form(
        framework=framework, engine=engine, dtype=dtype, device=device, threads=threads
    )
    asked = None if task is None else find_task(task)
    options = HubOptions(
        revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
    )
    with locate(name, options, variant=config_overrides.pop("variant", None)) as found:
        return load_located(
            found, asked or found.task, form, calibration=calibration, **config_overrides
        )


def load_located(
    found: Located,
    task: Task,
    form: Form,
    *,
    calibration: Sequence[str] | None = None,
    **config_overrides: Any,
) -> Any:
    """Load a model from a checkpoint that has been found; see `load`."""
    if form.framework is None:
        return load_with_engine(found, task.name, form, calibration=calibration, **config_overrides)
    cls = model_class(form.framework, task)
    dtype = form.dtype if form.engine is None else None
    model = cls.from_located(found, dtype=dtype, device=form.device, **config_overrides)
    if form.engine is None:
        return model
    return pack(model, form.dtype, folder=found.folder, calibration=calibration)


@overload
def load_tokenizer(
    name: Name, *, fast: Literal[True] = True, **options: Any
) -> DistilBertTokenizerFast: ...
@overload
def load_tokenizer(name: Name, *, fast: bool, **options: Any) -> DistilBertTokenizer: ...
def load_tokenizer(
    name: Name, *, fast: bool = True, **options: Any
) -> DistilBertTokenizer | DistilBertTokenizerFast:
    """Load a tokenizer.

    Args:
        name: As in `load`.
        fast: The one in Rust; False gives the one in pure Python, with the same results.
        **options: Those of `load` for the hub, and the tokenizer's own.

    Raises:
        CheckpointNotFoundError: There is no checkpoint of that name.
        TokenizerError: Its files are missing or damaged.
    """
    from distil.common import tokenizer  # noqa: PLC0415 - tokenizers is not needed to load models

    cls = tokenizer.DistilBertTokenizerFast if fast else tokenizer.DistilBertTokenizer
    return cls.from_pretrained(name, **options)


def save(
    model: Any,
    folder: str | Path,
    *,
    tokenizer: Any = None,
    encoding: SentenceEncoding | None = None,
    **options: Any,
) -> None:
    """Write a model, and its tokenizer if given, to a folder that `load` reads.

    Args:
        model: A model of this library, of either framework.
        folder: The folder to write; created if need be.
        tokenizer: Of the model.
        encoding: How it embeds sentences, which makes the folder one of sentence-transformers.
            None leaves what the folder says of that as it is.
        **options: `format` and `max_shard_size`, see `save_pretrained`.

    Raises:
        InputError: It is not a model, or not a tokenizer.
        CheckpointError: It cannot be written; what was there before is intact.
    """
    for what, value in (("model", model), ("tokenizer", tokenizer)):
        if value is not None and not hasattr(value, "save_pretrained"):
            raise InputError(
                f"not a {what} that can be saved", found=type(value).__name__, where=what
            )
    model.save_pretrained(folder, **options)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    if encoding is not None:
        write_encoding(Path(folder), encoding, dim=model.config.dim)
