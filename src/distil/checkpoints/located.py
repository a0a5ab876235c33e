"""A checkpoint that has been found, as it is passed to everything that reads one.

Its name is resolved once, its config.json is read once, and its files are opened once, when they
are first needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Self

import numpy as np

from distil.arrays import Array
from distil.checkpoints.matching import Match, match_weights
from distil.checkpoints.opening import open_checkpoint
from distil.checkpoints.sentence_files import read_encoding
from distil.common.config import DistilBertConfig, read_config
from distil.common.config_files import MODEL_TYPE
from distil.common.sentences import SentenceEncoding
from distil.common.tasks import Task, task_of_checkpoint
from distil.errors import CheckpointNotFoundError, InputError
from distil.storage import hub
from distil.storage.formats import layout_of
from distil.storage.hub import HubOptions
from distil.storage.modules import home_of
from distil.storage.pending import first_weights
from distil.storage.tensors import Checkpoint, StoredTensor


@dataclass(frozen=True, kw_only=True)
class Located:
    """A checkpoint on this machine, to be used in a ``with`` statement, which closes its files.

    Weights that were read stay valid afterwards.

    Attributes:
        name: The name it was asked for by.
        folder: Where it is.
        config: Its configuration.
        model_type: "distilbert", or "bert" for one that is folded into a DistilBERT.
        variant: Of its weight file, as in `open_checkpoint`.
    """

    name: str
    folder: Path
    config: DistilBertConfig
    model_type: str = MODEL_TYPE
    variant: str | None = None
    _matches: dict[str, tuple[DistilBertConfig, Match]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if "checkpoint" in vars(self):
            self.checkpoint.close()

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Its files, opened.

        Raises:
            CheckpointError: As `open_checkpoint`.
        """
        return open_checkpoint(self.folder, variant=self.variant)

    @cached_property
    def encoding(self) -> SentenceEncoding | None:
        """How it embeds texts, where its folder is one of sentence-transformers.

        Raises:
            ConfigError: It asks for what there is not here, such as a dense layer.
            CheckpointError: A file is damaged.
        """
        return read_encoding(home_of(self.folder))

    @property
    def task(self) -> Task:
        """The task it was saved for; the encoder alone where it does not say.

        Raises:
            InputError: It was saved from a class that is not known here.
        """
        return task_of_checkpoint(self.config, self.name)

    @property
    def own_task(self) -> Task | None:
        """As `task`, but None if its class is not known here."""
        try:
            return self.task
        except InputError:
            return None

    def match(self, task: str, config: DistilBertConfig | None = None) -> Match:
        """Its weights matched with those of the model for a task; see `match_weights`.

        Args:
            task: Name of the task.
            config: Of the model; None takes the checkpoint's own.

        Raises:
            CheckpointError: As `open_checkpoint` and `match_weights`.
        """
        config = self.config if config is None else config
        known = self._matches.get(task)
        if known is None or known[0] != config:
            known = self._matches[task] = config, match_weights(self.checkpoint, config, task)
        return known[1]


def in_memory(
    arrays: Mapping[str, Array], *, name: str | Path | None, config: DistilBertConfig | None
) -> Located:
    """A checkpoint of weights in memory, by PyTorch's names.

    Args:
        arrays: The weights.
        name: None.
        config: Of the model.

    Raises:
        InputError: There is a name as well, or no configuration.
    """
    if name is not None or config is None:
        raise InputError(
            "a state_dict takes the place of a checkpoint",
            expected="no name, and a config", where="state_dict",
            fix="pass config=, and None as the name",
        )  # fmt: skip
    where = Path("state_dict")
    tensors = {
        key: StoredTensor(key, where, array.shape, array.dtype, partial(np.asarray, array))
        for key, array in arrays.items()
    }
    found = Located(name="", folder=where, config=config)
    layout = layout_of("safetensors")
    vars(found)["checkpoint"] = Checkpoint(where, (), "safetensors", layout, tensors, _nothing)
    return found


def _without_config(folder: Path, error: CheckpointNotFoundError) -> CheckpointNotFoundError:
    """The same error; where weights were saved without a configuration, with what to do."""
    if first_weights(folder) is None:
        return error
    return CheckpointNotFoundError(
        error.problem, expected="a configuration beside the weights",
        found="weights alone, as transformers' Trainer saves those of this library's models",
        where=error.where,
        fix="save with model.save_pretrained(folder), or train with distil.pt.trainer.Trainer; "
        "what is there is loaded by its own class, with "
        "from_pretrained(folder, config=name of the checkpoint it was trained from)",
    )  # fmt: skip


def _nothing() -> None:
    """Close nothing: there is no file."""


def locate(
    name: str | Path,
    options: HubOptions = HubOptions(),
    *,
    variant: str | None = None,
    config: DistilBertConfig | None = None,
) -> Located:
    """Find a checkpoint, downloading it if need be, and read its configuration.

    Args:
        name: A folder, the name of a bundled checkpoint, or a name on the hub.
        options: For the hub.
        variant: Of its weights' file, as in `open_checkpoint`.
        config: Instead of its config.json, which is then not read.

    Raises:
        CheckpointNotFoundError: There is no checkpoint of that name.
        HubError: The hub cannot be reached, or does not have it.
        ConfigError: Its configuration is not valid.
    """
    folder = hub.snapshot(name, options, variant=variant)
    model_type = MODEL_TYPE
    if config is None:
        try:
            config, model_type = read_config(folder)
        except CheckpointNotFoundError as error:
            raise _without_config(folder, error) from None
    return Located(
        name=str(name), folder=folder, config=config, model_type=model_type, variant=variant
    )
