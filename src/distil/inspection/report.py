"""The report that `info` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class WeightFiles:
    """The weights in one format: a file, or several shards.

    Attributes:
        format: As in `distil.checkpoints.FORMATS`.
        files: Names of the files.
        bytes: Their total size.
        tensors: Number of tensors, None if the files could not be opened; scales of int8 are not
            counted.
        dtypes: Number of tensors of each type in the files.
        used: Whether these are what `distil.load` reads.
        problem: Why they could not be opened, or None.
    """

    format: str
    files: tuple[str, ...]
    bytes: int
    tensors: int | None
    dtypes: Mapping[str, int]
    used: bool
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Numbers of parameters; tied ones count once.

    Attributes:
        embeddings: Of the embeddings.
        layers: Of all layers.
        head: Of the head of the checkpoint's own task.
    """

    embeddings: int
    layers: int
    head: int

    @property
    def encoder(self) -> int:
        """Of the encoder, without the head."""
        return self.embeddings + self.layers

    @property
    def total(self) -> int:
        """All parameters."""
        return self.encoder + self.head


@dataclass(frozen=True, kw_only=True)
class TokenizerInfo:
    """The tokenizer.

    Attributes:
        kind: Name of its algorithm.
        vocab_size: Number of tokens, added ones included.
        max_length: Longest row, None for no limit.
        special_tokens: Ids by token.
        options: Its options by name.
        files: Names of its files.
    """

    kind: str
    vocab_size: int
    max_length: int | None
    special_tokens: Mapping[str, int]
    options: Mapping[str, Any]
    files: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Use:
    """What happens when the checkpoint is loaded for a task.

    Attributes:
        task: The task.
        own: Whether the checkpoint was saved for this task.
        status: "loads", "new head" (initialized at random), or "no".
        reason: Why: what is missing, left over or wrong.
        frameworks: The status in each framework; "no" if it is not installed.
    """

    task: str
    own: bool
    status: str
    reason: str
    frameworks: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Info:
    """The result of `info`.

    Attributes:
        name: The checkpoint.
        folder: Its location.
        model_type: "distilbert", or "bert" for a BERT that is loaded as a DistilBERT.
        architectures: The classes named in config.json.
        task: The task it is loaded for by default; None if its class is unknown.
        sizes: Fields of the configuration by name.
        labels: Label of each class.
        problem_type: As in config.json.
        parameters: Of the model for `task`.
        weights: The weight files; those that are used come first.
        tokenizer: The tokenizer, or None.
        tokenizer_problem: What is wrong with it, or why there is none; or None.
        uses: What happens for each task.
        frameworks: Versions of each framework's packages; {} if it is not installed.
    """

    name: str
    folder: str
    model_type: str
    architectures: tuple[str, ...]
    task: str | None
    sizes: Mapping[str, Any]
    labels: Mapping[int, str]
    problem_type: str | None
    parameters: Parameters
    weights: tuple[WeightFiles, ...]
    tokenizer: TokenizerInfo | None
    tokenizer_problem: str | None
    uses: tuple[Use, ...]
    frameworks: Mapping[str, Mapping[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts, lists and numbers, for JSON."""
        table = asdict(self)
        table["parameters"] |= {
            "encoder": self.parameters.encoder, "total": self.parameters.total
        }  # fmt: skip
        return table
