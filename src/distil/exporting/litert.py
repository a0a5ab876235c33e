"""LiteRT, once called TensorFlow Lite: one .tflite for phones, run by ai-edge-litert.

float16 and int8 are the types that matrices are stored in.  int8 quantizes activations in each
call, so there is nothing to calibrate.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from distil.arrays import Array
from distil.exporting.forms import STEMS
from distil.exporting.source import INPUTS, Source
from distil.frameworks import part


def write(source: Source, folder: Path, dtype: str) -> Path:
    """Write model.tflite, with the type in its name; gives the file."""
    import tensorflow as tf  # noqa: PLC0415 - its runtime needs none of it

    exported, model = part("tf", "inference.exported"), source.model("tf")
    if dtype == "int8":  # the quantizer does not touch lookups
        exported.store_embeddings_in_bytes(model)
    module = exported.frozen(model, source.encoding)
    with TemporaryDirectory() as saved:  # a function alone would lose the names
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        serve = module.serve.get_concrete_function()
        tf.saved_model.save(module, saved, signatures=serve, options=options)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved)
        if dtype == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
    path = folder / f"{STEMS[dtype]}.tflite"
    if dtype == "int8":
        content = _in_bytes(content)
    path.write_bytes(content)
    return path


def _in_bytes(content: bytes) -> bytes:
    """A model with its matrices in int8; the converter itself would use one scale a matrix."""
    from ai_edge_quantizer import quantizer, recipe  # noqa: PLC0415 - for int8 alone

    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # it prints to both
        made = quantizer.Quantizer(bytearray(content), recipe.dynamic_wi8_afp32()).quantize()
    return bytes(made.quantized_model)


class LiteRT:
    """A file in LiteRT.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - writing needs none

        self._interpreter = Interpreter(str(path))
        self._signature = self._interpreter.get_signature_runner()

    def __call__(self, input_ids: Array, attention_mask: Array) -> Mapping[str, Array]:
        """The outputs by name."""
        found: Mapping[str, Array] = self._signature(
            **dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
        )
        return found


open_runtime = LiteRT
