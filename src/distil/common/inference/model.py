"""Models for inference alone: sequences of any lengths in, arrays out, and no padding computed.

`InferenceModel` is what all of them have in common, whatever computes: PyTorch, TensorFlow or an
engine.  Shapes: b rows, s length of the longest, n sequences, t tokens scored of one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from distil.arrays import Array
from distil.common.config import DistilBertConfig
from distil.common.tasks import TASKS
from distil.errors import InputError

# What can compute it, besides the framework that the model is of ("packed").
PACKED = "packed"
Engine = Literal["packed", "openvino", "onnxruntime"]
ENGINES: tuple[str, ...] = get_args(Engine)


class InferenceModel(ABC):
    """A form of a model that scores sequences.

    Attributes:
        framework: What computes: "pt", "tf", "openvino" or "onnxruntime".
        config: Of the model.
        task: Of the model, a name of `distil.common.tasks`.
        dtype: What it computes in: "float32", "bfloat16", "float16" or "int8".
    """

    framework: str
    config: DistilBertConfig
    task: str
    dtype: str

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
                that look at the first token alone take no notice.

        Returns:
            For each sequence, in the order given, its logits (of the base model its hidden
            states) in float32: (labels) where the head looks at the first token alone, else
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


def find_engine(name: str | None) -> str | None:
    """`name`, if there is such an engine.

    Raises:
        InputError: There is none of that name.
    """
    if name is not None and name not in ENGINES:
        raise InputError(
            "unknown engine", expected=", ".join(ENGINES), found=repr(name), where="engine"
        )
    return name
