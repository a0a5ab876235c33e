"""Inference-only models: sequences of any length in, arrays out, and no padding computed.

`InferenceModel` is the interface of all of them, whether PyTorch, TensorFlow or an engine
computes.  Shapes: b rows, s length of the longest, n sequences, t tokens scored of one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from distil.arrays import Array
from distil.common.config import DistilBertConfig
from distil.common.inputs import check_arrays
from distil.common.outputs import ModelOutput
from distil.common.tasks import TASKS
from distil.errors import InputError

# What computes: the model's own framework ("packed"), or an engine.  "auto" is the fastest that is
# installed, see `distil.frameworks.choose_engine`.
PACKED = "packed"
AUTO = "auto"
Engine = Literal["packed", "openvino", "onnxruntime", "auto"]
ENGINES: tuple[str, ...] = get_args(Engine)


class InferenceModel(ABC):
    """A form of a model that scores sequences.

    Attributes:
        framework: What computes: "pt", "tf", "openvino" or "onnxruntime".
        engine: "packed" if that is a framework, else the same name.
        config: Of the model.
        task: Of the model, a name of `distil.common.tasks`.
        dtype: What it computes in: "float32", "bfloat16", "float16" or "int8".
        device: Where it computes.
    """

    framework: str
    engine: str = PACKED
    config: DistilBertConfig
    task: str
    dtype: str
    device: Any = "cpu"

    def __repr__(self) -> str:
        framework = f", framework={self.framework!r}" if self.engine == PACKED else ""
        return (
            f"<{TASKS[self.task].class_name} for inference: engine={self.engine!r}{framework}, "
            f"dtype={self.dtype!r}, device={str(self.device)!r}>"
        )

    def __call__(
        self, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None
    ) -> ModelOutput:
        """Score a padded batch, as a model does.

        Args:
            input_ids: Token ids (b, s), of multiple choice (b, choices, s): an array, or a tensor
                of any framework.
            attention_mask: 0 where a token is padding; None shows all.
            token_type_ids: Ignored, with one warning.

        Returns:
            The model's kind of output, on the CPU, in float32: tensors of the framework that
            computes, NumPy arrays of an engine; what belongs to padding is 0.

        Raises:
            InputError: The inputs do not fit the model or one another, or a row is all padding.
        """
        task = TASKS[self.task]
        ids = _to_array(input_ids)
        mask = None if attention_mask is None else _to_array(attention_mask)
        check_arrays(self.config, ids, mask, token_type_ids, choices=task.has_choices)
        fields = self.score_padded(ids, mask)
        return task.output(**{name: self._own(array) for name, array in fields.items()})

    def _own(self, array: Array) -> Any:
        """An array in this form's own type."""
        return array

    @abstractmethod
    def score(
        self,
        sequences: Sequence[Any],
        *,
        positions: Sequence[Any] | None = None,
        wanted: Sequence[Any] | None = None,
    ) -> list[Array]:
        """Score sequences.

        Args:
            sequences: Token ids of each, special tokens included; none is empty, and none is
                longer than the model has positions.
            positions: Of the tokens of each; None counts from 0.
            wanted: Which tokens of each are to be scored, by number; None scores all.  Heads
                that read only the first token ignore it.

        Returns:
            For each sequence, in the order given, its logits (of the base model its hidden
            states) in float32: (labels) where the head reads only the first token, else
            (t, labels); labels are start and end for question answering.
        """

    def score_padded(self, input_ids: Array, attention_mask: Array | None) -> dict[str, Array]:
        """Score a padded batch: the fields of the model's output.

        Args:
            input_ids: Token ids (b, s), of multiple choice (b, choices, s).
            attention_mask: Of the same shape, 0 where a token is padding; None shows all.

        Returns:
            The fields by name, in float32, as the model gives them; what belongs to padding is 0.

        Raises:
            InputError: A row has nothing to attend to.
        """
        ids = input_ids.reshape(-1, input_ids.shape[-1])
        if attention_mask is None:
            scores = self.score(list(ids))
            shown = np.ones(ids.shape, bool)
        else:
            shown = attention_mask.reshape(ids.shape) != 0
            if not shown.any(axis=1).all():
                raise InputError("the mask of a row is all 0", where="attention_mask")
            places = [np.flatnonzero(row) for row in shown]
            rows = [row[place] for row, place in zip(ids, places, strict=True)]
            scores = self.score(rows, positions=places)
        task = TASKS[self.task]
        if task.reads_first:
            logits = np.stack(scores)
            return {"logits": logits.reshape(input_ids.shape[:-1]) if task.has_choices else logits}
        padded = np.zeros((*ids.shape, scores[0].shape[-1]), np.float32)
        padded[shown] = np.concatenate(scores)
        if len(task.scores) == 1:
            return {task.scores[0]: padded}
        return {name: padded[..., number] for number, name in enumerate(task.scores)}


def _to_array(x: Any) -> Array:
    return np.asarray(x.cpu() if hasattr(x, "cpu") else x)


def find_engine(name: str | None) -> str | None:
    """`name`, if it names an engine.

    Raises:
        InputError: It does not.
    """
    if name is not None and name not in ENGINES:
        raise InputError(
            "unknown engine", expected=", ".join(ENGINES), found=repr(name), where="engine"
        )
    return name
