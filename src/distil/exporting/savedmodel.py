"""TensorFlow's own: a SavedModel as TensorFlow Serving takes it, in a folder with a version.

In float16 it computes in float16.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from distil.arrays import Array
from distil.exporting.forms import STEMS
from distil.exporting.source import INPUTS, Source
from distil.frameworks import part

_SERVING = "serving_default"
_VERSION = "1"  # TensorFlow Serving takes the highest number


def write(source: Source, folder: Path, dtype: str) -> Path:
    """Write saved_model/1, with the type in the first name; gives that folder.

    Its signatures, one of TensorFlow Serving's name and one called as the task, are the same.
    """
    import tensorflow as tf  # noqa: PLC0415 - other forms need none of it

    module = part("tf", "inference.exported").traced(source.model("tf", dtype), source.encoding)
    serve = module.serve.get_concrete_function()
    task = "sentence_embeddings" if source.encoding else source.task.name.replace("-", "_")
    path = folder / f"saved_{STEMS[dtype]}" / _VERSION
    tf.saved_model.save(module, str(path), signatures={_SERVING: serve, task: serve})
    return path


class SavedModel:
    """A folder in TensorFlow.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        import tensorflow as tf  # noqa: PLC0415 - likewise

        self._to_tensor = tf.constant
        self._model = tf.saved_model.load(str(path))  # has to stay: it holds the weights
        self._run = self._model.signatures[_SERVING]

    def __call__(self, input_ids: Array, attention_mask: Array) -> Mapping[str, Array]:
        """The outputs by name."""
        given = zip(INPUTS, (input_ids, attention_mask), strict=True)
        found = self._run(**{name: self._to_tensor(one) for name, one in given})
        return {name: value.numpy() for name, value in found.items()}


open_runtime = SavedModel
