"""Models for inference alone: `optimize` makes one of a model in memory, `load` one of files.

Three things compute them: the framework itself ("packed", the default), OpenVINO and ONNX Runtime.
What int8 needs besides the weights, the ranges of what goes into each linear layer, is found here:
measured on texts that are given, else kept beside the checkpoint, else measured on a sample.  What
was measured is kept in the user's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from distil.checkpoints.located import Located
from distil.common.config import DistilBertConfig
from distil.common.inference.calibration import Calibration, sample_texts
from distil.common.inference.model import PACKED, InferenceModel
from distil.common.inference.ranges import FILE_NAME, ActivationRanges, fingerprint, save_ranges
from distil.common.tasks import task_of_checkpoint
from distil.errors import InputError
from distil.frameworks import Form, check_threads, choose_engine, is_cpu, model_class, part

# Enough for ranges that hardly grow any more.
_LONGEST_SEQUENCE = 128


def optimize(
    model: Any,
    dtype: Any = "float32",
    *,
    engine: str | None = None,
    tokenizer: Any = None,
    calibration: Sequence[str] | None = None,
    threads: int | None = None,
) -> InferenceModel:
    """Make a faster form of a model, for inference alone.

    Padding is left out of every computation, queries, keys and values are one product, weights
    are laid out for the processor once, and where a head looks at the first token alone, the
    last layer is computed for that one.  The model may change afterwards; this form does not.

    Args:
        model: A model of this library, of either framework.
        dtype: To compute in: "float32" (results are the model's to 1e-5), "bfloat16" or "int8".
        engine: What computes: None or "packed", the model's own framework; "openvino" or
            "onnxruntime"; "auto" the fastest that is installed.
        tokenizer: Of the model; int8 needs it.
        calibration: Texts like those to be predicted, for int8; None takes a sample of English
            sentences.
        threads: How many an engine computes with; None takes one a core.  Frameworks have one
            number for the whole process and refuse it.

    Returns:
        What is called like the model, or with `score` on sequences of any lengths.

    Raises:
        InputError: This is not a model, or it has no such form in `dtype`.
        FrameworkError: The engine is not installed.

    Warns:
        UserWarning: The processor lacks this arithmetic; the next best type is used.
    """
    framework = getattr(model, "framework", None)
    if framework not in ("pt", "tf") or isinstance(model, InferenceModel):
        raise InputError(
            "nothing to optimize", expected="a model of distil", found=type(model).__name__,
            where="model",
        )  # fmt: skip
    dtype = str(dtype).removeprefix("torch.")
    device = getattr(model, "device", None)
    engine = choose_engine(engine, dtype=dtype, device=device) or PACKED
    check_threads(threads, engine)
    texts = _calibration(model.config, lambda: tokenizer, calibration)
    if engine == PACKED:
        return _packed(model, dtype, texts)
    from distil import engines  # noqa: PLC0415 - brings readers of files

    return engines.from_weights(
        dict(model.named_arrays()), model.config, model.task,
        engine=engine, dtype=dtype, calibration=texts, threads=threads,
    )  # fmt: skip


def pack(
    model: Any, dtype: str, *, folder: Path, calibration: Sequence[str] | None
) -> InferenceModel:
    """The "packed" form of a model that was loaded from a folder; see `distil.load`."""
    return _packed(model, dtype, calibration_of(model.config, folder, calibration))


def load_with_engine(
    found: Located, task: str, form: Form, *, calibration: Sequence[str] | None, **overrides: Any
) -> InferenceModel:
    """Load a checkpoint into an engine, without any framework; see `distil.load`."""
    if not is_cpu(form.device):
        raise InputError(
            f"{form.title} computes on the CPU here",
            expected="cpu", found=form.device, where="device",
        )  # fmt: skip
    from distil import engines  # noqa: PLC0415 - brings readers of files

    config = found.config.replace(**overrides)
    return engines.load(
        found, config, task, engine=str(form.engine), dtype=form.dtype,
        calibration=calibration_of(config, found.folder, calibration), threads=form.threads,
    )  # fmt: skip


def calibrate(folder: str | Path, texts: Sequence[str] | None = None) -> Path:
    """Measure on texts what int8 needs to know, and keep it beside a checkpoint.

    `load` and `pipeline` with dtype="int8" find it there and do not measure again.

    Args:
        folder: The checkpoint's folder.
        texts: Texts like those to be predicted; None takes a sample of English sentences.

    Returns:
        The file written.

    Raises:
        InputError: There are no texts.
        FrameworkError: PyTorch, which measures, is not installed.
        CheckpointError: The file cannot be written.
    """
    folder = Path(folder)
    task = task_of_checkpoint(DistilBertConfig.from_pretrained(folder), folder)
    model = model_class("pt", task).from_pretrained(folder)
    measured = _calibration(model.config, partial(_tokenizer, folder), texts)
    weights = dict(model.named_arrays())
    key = fingerprint(weights, model.config, model.task)
    save_ranges(folder, _ranges(model, measured), fingerprint=key)
    return folder / FILE_NAME


def _packed(model: Any, dtype: str, calibration: Calibration) -> InferenceModel:
    packed = part(model.framework, "inference.packed")
    options = {}
    if (model.framework, dtype) == ("pt", "int8"):
        options["ranges"] = _ranges(model, calibration)
    made: InferenceModel = packed.PackedModel(model, dtype=dtype, **options)
    return made


def _ranges(model: Any, calibration: Calibration) -> ActivationRanges:
    """The ranges for a model of PyTorch's."""
    observe = partial(part("pt", "inference.calibration").observe, model)
    weights = dict(model.named_arrays())
    return calibration.ranges(weights, model.config, model.task, by="pt", observe=observe)


def calibration_of(
    config: DistilBertConfig, folder: Path, texts: Sequence[str] | None
) -> Calibration:
    """What a checkpoint is calibrated on for int8.

    Args:
        config: Of the model.
        folder: Of the checkpoint, its tokenizer included.
        texts: None takes the ranges that the checkpoint comes with, else a sample of sentences.
    """
    checkpoint = folder if texts is None else None
    return _calibration(config, partial(_tokenizer, folder), texts, checkpoint)


def _calibration(
    config: DistilBertConfig,
    tokenizer: Callable[[], Any],
    texts: Sequence[str] | None,
    checkpoint: Path | None = None,
) -> Calibration:
    def sequences() -> Sequence[Any]:
        tokenize = tokenizer()
        if tokenize is None:
            raise InputError(
                "int8 needs texts to calibrate on", expected="the tokenizer of the model",
                found="none", where="tokenizer", fix="pass tokenizer=distil.load_tokenizer(name)",
            )  # fmt: skip
        given = sample_texts() if texts is None else list(texts)
        longest = min(config.max_position_embeddings, _LONGEST_SEQUENCE)
        found: list[list[int]] = []
        if given:
            found = tokenize(given, truncation=True, max_length=longest)["input_ids"]
        return found

    return Calibration(sequences=sequences, checkpoint=checkpoint)


def _tokenizer(folder: Path) -> Any:
    from distil.common import tokenizer  # noqa: PLC0415 - tokenizers is needed for int8 alone

    return tokenizer.DistilBertTokenizerFast.from_pretrained(folder)
