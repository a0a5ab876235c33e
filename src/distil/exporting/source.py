"""What is exported: a checkpoint, its task, and the inputs and outputs of the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, get_args

import numpy as np

from distil import api, engines
from distil.arrays import Array
from distil.checkpoints.located import Located
from distil.checkpoints.trained_head import check_trained
from distil.common import tasks
from distil.common.config import DistilBertConfig
from distil.common.inference.calibration import Calibration
from distil.common.inference.ranges import ActivationRanges
from distil.common.labels import check_task
from distil.common.sentences import SentenceEncoding
from distil.common.tasks import Task, find_task
from distil.engines.graph import Weights
from distil.errors import InputError, shown
from distil.frameworks import choose_form

INPUTS = ("input_ids", "attention_mask")  # int64, (batch, length); multiple choice: (b, choices, s)
EMBEDDING = "sentence_embedding"

# Scores at padding.  They are 0, except where the largest score of a text is searched for.
NOTHING = {"question-answering": -10_000.0}
# The least length to divide by: a vector of zeros has no direction, and stays as it is.
SHORTEST = 1e-12


@dataclass(frozen=True, kw_only=True)
class Source:
    """A checkpoint with all weights for a task.

    Attributes:
        found: The checkpoint, open.
        task: Of the model.
        encoding: How texts become vectors; None where the task's own scores are given.
        calibration: What int8 is calibrated on.
    """

    found: Located
    task: Task
    encoding: SentenceEncoding | None
    calibration: Calibration

    @property
    def config(self) -> DistilBertConfig:
        """Of the model."""
        return self.found.config

    @property
    def outputs(self) -> Mapping[str, tuple[str, ...]]:
        """What a file gives in float32: axes by name, the last of them None-sized or fixed."""
        rows = ("batch_size", "num_choices") if self.task.has_choices else ("batch_size",)
        if self.encoding is not None:
            return {EMBEDDING: (*rows, "dim")}
        if self.task.has_choices:
            return {"logits": rows}
        if self.task.reads_first:
            return {"logits": (*rows, "labels")}
        rows = (*rows, "sequence_length")
        if len(self.task.scores) > 1:
            return dict.fromkeys(self.task.scores, rows)
        return {self.task.scores[0]: (*rows, "labels" if self.task.name != "base" else "dim")}

    @property
    def input_axes(self) -> tuple[str, ...]:
        """The axes of its inputs, all of any size."""
        choices = ("num_choices",) if self.task.has_choices else ()
        return ("batch_size", *choices, "sequence_length")

    @cached_property
    def arrays(self) -> Mapping[str, Array]:
        """The weights by canonical name, tied ones left out, in float32."""
        match = self.found.match(self.task.name)
        return {name: np.asarray(one.read(), np.float32) for name, one in match.sources.items()}

    @cached_property
    def weights(self) -> Weights:
        """As `arrays`, for the graphs of engines."""
        return Weights(self.arrays, self.config, self.task.name)

    @property
    def reads_first(self) -> bool:
        """Whether a text's first token alone decides what is given."""
        return self.task.reads_first or self.pooling == "cls"

    @property
    def pooling(self) -> str | None:
        """What makes one vector of those of a text's tokens, if something does."""
        return None if self.encoding is None else self.encoding.pooling

    def ranges(self, engine: str) -> ActivationRanges:
        """The ranges of activations that int8 needs, measured by an engine.

        Raises:
            InputError: There is nothing to calibrate on.
        """
        return engines.measured_ranges(
            self.arrays, self.config, self.task.name, engine=engine, calibration=self.calibration
        )

    def model(self, framework: str, dtype: str = "float32") -> Any:
        """The plain model in a framework."""
        form = choose_form(framework=framework, dtype=dtype)
        return api.load_located(self.found, self.task, form)


def make_source(
    found: Located,
    task: str | None,
    pooling: str | None,
    calibration: Calibration,
) -> Source:
    """What is exported of a checkpoint.

    Args:
        found: The checkpoint.
        task: As callers name it; None takes the checkpoint's own.
        pooling: Of sentence embeddings; None takes what the checkpoint says, else "mean".
        calibration: For int8.

    Raises:
        InputError: The task or the pooling is unknown, or they do not go together.
        ConfigError: The checkpoint embeds texts in a way that there is not here.
        WeightsError: The checkpoint lacks weights: no trained head for the task, say.
    """
    chosen = found.task if task is None else find_task(task)
    check_task(found.config, chosen.name)
    named = str(task).replace("_", "-").lower()
    embeds = named in get_args(tasks.Embeddings)
    if pooling is not None and not embeds:
        raise InputError(
            "only sentence embeddings are pooled", expected="no pooling", found=shown(pooling),
            where="pooling", fix="pass task='sentence-embeddings', or leave pooling out",
        )  # fmt: skip
    encoding = (found.encoding or SentenceEncoding()) if embeds else None
    if encoding is not None and pooling is not None:
        encoding = replace(encoding, pooling=pooling)
    check_trained(found, chosen)
    return Source(found=found, task=chosen, encoding=encoding, calibration=calibration)
