"""Models for inference alone: `optimize` makes one of a model in memory, `load` one of files.

Three things compute them: the framework itself ("packed", the default), OpenVINO and ONNX Runtime.
What int8 needs besides the weights, the ranges of what goes into each linear layer, is found here:
measured on texts that are given, else kept beside the checkpoint, else measured on a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from distil import engines
from distil.checkpoints.located import Located
from distil.common.config import DistilBertConfig
from distil.common.inference import quantization
from distil.common.inference.model import PACKED, InferenceModel, find_engine
from distil.common.inference.quantization import ActivationRanges
from distil.common.tasks import task_of_checkpoint
from distil.common.tokenizer import DistilBertTokenizerFast
from distil.errors import InputError
from distil.frameworks import Form, model_class, part

# Enough for ranges that hardly grow any more.
_LONGEST_SEQUENCE = 128


def optimize(
    model: Any,
    dtype: Any = "float32",
    *,
    engine: str | None = None,
    tokenizer: Any = None,
    calibration: Sequence[str] | None = None,
) -> InferenceModel:
    """Make a form of a model that is for inference alone, and faster.

    Padding is left out of every computation, queries, keys and values are one product, weights
    are laid out for the processor once, and where a head looks at the first token alone, the
    last layer is computed for that one.  The model may change afterwards; this form does not.

    Args:
        model: A model of this library, of either framework.
        dtype: To compute in: "float32" (results are the model's to 1e-5), "bfloat16" or "int8".
        engine: What computes: None or "packed", the model's own framework; "openvino" or
            "onnxruntime".
        tokenizer: Of the model; int8 needs it.
        calibration: Texts like those that will come, for int8; None takes a sample of English
            sentences.

    Returns:
        What is called like the model, or with `score` on sequences of any lengths.

    Raises:
        InputError: This is no model, or there is no such form of it in `dtype`.
        FrameworkError: The engine is not installed.

    Warns:
        UserWarning: The processor has no such arithmetic; the next best is taken.
    """
    engine = find_engine(engine) or PACKED
    framework = getattr(model, "framework", None)
    if framework not in ("pt", "tf") or isinstance(model, InferenceModel):
        raise InputError(
            "nothing to optimize", expected="a model of distil", found=type(model).__name__,
            where="model",
        )  # fmt: skip
    dtype = str(dtype).removeprefix("torch.")
    if engine == PACKED:
        ranges = None
        if (framework, dtype) == ("pt", "int8"):
            ranges = _measured(model, _sequences(model.config, tokenizer, calibration))
        return _packed(model, dtype, ranges)
    sequences = None
    if dtype == "int8":
        sequences = partial(_sequences, model.config, tokenizer, calibration)
    made: InferenceModel = engines.from_weights(
        dict(model.named_arrays()), model.config, model.task,
        engine=engine, dtype=dtype, calibration=sequences,
    )  # fmt: skip
    return made


def pack(
    model: Any, dtype: str, *, folder: Path, calibration: Sequence[str] | None
) -> InferenceModel:
    """The "packed" form of a model that was loaded from a folder; see `distil.load`."""
    ranges = None
    if (model.framework, dtype) == ("pt", "int8"):
        ranges = _ranges(folder, model, calibration)
    return _packed(model, dtype, ranges)


def load_with_engine(
    found: Located, task: str, form: Form, *, calibration: Sequence[str] | None, **overrides: Any
) -> InferenceModel:
    """Load a checkpoint into an engine, without any framework; see `distil.load`."""
    if form.device not in (None, "cpu"):
        raise InputError(
            f"{form.title} computes on the CPU here",
            expected="cpu", found=form.device, where="device",
        )  # fmt: skip
    config = found.config.replace(**overrides)
    made: InferenceModel = engines.load(
        found, config, task, engine=str(form.engine), dtype=form.dtype,
        calibration=lambda: _sequences(config, _tokenizer(found.folder), calibration),
        kept_ranges=calibration is None,
    )  # fmt: skip
    return made


def calibrate(folder: str | Path, texts: Sequence[str] | None = None) -> Path:
    """Measure on texts what int8 needs to know, and keep it beside a checkpoint.

    `load` and `pipeline` with dtype="int8" find it there and need not measure again.

    Args:
        folder: Of the checkpoint.
        texts: Like those that will come; None takes a sample of English sentences.

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
    ranges = _measured(model, _sequences(model.config, _tokenizer(folder), texts))
    quantization.save_ranges(
        folder, ranges, fingerprint=quantization.fingerprint(model.named_arrays())
    )
    return folder / quantization.FILE_NAME


def _packed(model: Any, dtype: str, ranges: ActivationRanges | None) -> InferenceModel:
    packed = part(model.framework, "inference.packed")
    options = {} if ranges is None else {"ranges": ranges}
    made: InferenceModel = packed.PackedModel(model, dtype=dtype, **options)
    return made


def _ranges(folder: Path, model: Any, calibration: Sequence[str] | None) -> ActivationRanges:
    """Those of the texts given, else those kept beside the checkpoint, else those of a sample."""
    if calibration is None:
        kept = quantization.load_ranges(
            folder, model.config, fingerprint=quantization.fingerprint(model.named_arrays())
        )
        if kept is not None:
            return kept
    return _measured(
        model,
        _sequences(model.config, _tokenizer(folder), calibration),
    )


def _measured(model: Any, sequences: Sequence[Any]) -> ActivationRanges:
    calibration = part("pt", "inference.calibration")
    measured: ActivationRanges = calibration.calibrate(model, sequences)
    return measured


def _sequences(
    config: DistilBertConfig, tokenizer: Any, texts: Sequence[str] | None
) -> list[list[int]]:
    """Token ids of the texts to calibrate on."""
    if tokenizer is None:
        raise InputError(
            "int8 has to see some text", expected="the tokenizer of the model", found="none",
            where="tokenizer", fix="pass tokenizer=distil.load_tokenizer(name)",
        )  # fmt: skip
    texts = quantization.sample_texts() if texts is None else list(texts)
    if not texts:
        raise InputError("there is nothing to calibrate on", where="calibration")
    longest = min(config.max_position_embeddings, _LONGEST_SEQUENCE)
    found: list[list[int]] = tokenizer(texts, truncation=True, max_length=longest)["input_ids"]
    return found


def _tokenizer(folder: Path) -> DistilBertTokenizerFast:
    return DistilBertTokenizerFast.from_pretrained(folder)
