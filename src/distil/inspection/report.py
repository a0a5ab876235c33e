"""What `info` finds out about a checkpoint."""

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
        bytes: Their size together.
        tensors: Number of tensors, None if the files could not be opened.
        dtypes: Number of tensors of each type.
        used: Whether it is these that `distil.load` takes.
        problem: Why they could not be opened, else None.
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
    """Number of parameters, tied ones counted once.

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
        """Those that are there under any head."""
        return self.embeddings + self.layers

    @property
    def total(self) -> int:
        """All."""
        return self.encoder + self.head


@dataclass(frozen=True, kw_only=True)
class TokenizerInfo:
    """The tokenizer.

    Attributes:
        kind: What its algorithm is called.
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
    """What becomes of the checkpoint when it is loaded for a task.

    Attributes:
        task: The task.
        own: Whether it is what the checkpoint was saved for.
        status: "loads", "new head" (its weights are drawn at random), or "no".
        reason: Why; what is missing, left over or wrong.
        frameworks: The status in each framework, "no" where the framework is not installed.
    """

    task: str
    own: bool
    status: str
    reason: str
    frameworks: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Info:
    """What `info` found.

    Attributes:
        name: The checkpoint.
        folder: Where it is.
        model_type: "distilbert", or "bert" for one that is folded into a DistilBERT.
        architectures: The classes that config.json names.
        task: What it is loaded for unless told otherwise, None if its class is unknown.
        sizes: Fields of the configuration by name.
        labels: Label of each class.
        problem_type: What kind of classification config.json says it is.
        parameters: How many, of the model for `task`.
        weights: The files, those that are used first.
        tokenizer: The tokenizer, or None.
        tokenizer_problem: Why there is none, else None.
        uses: What would load, a task each.
        frameworks: Versions of the packages of each framework, {} where it is not installed.
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
        """Everything as tables, lists and numbers."""
        table = asdict(self)
        table["parameters"] |= {
            "encoder": self.parameters.encoder, "total": self.parameters.total
        }  # fmt: skip
        return table
