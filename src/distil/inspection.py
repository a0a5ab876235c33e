"""`info`: what a checkpoint holds, and what of it would load where.  Needs no framework."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from distil import api
from distil.checkpoints import Checkpoint, open_checkpoint
from distil.checkpoints.trained_head import NO, own_task, status_of
from distil.common.config import FILE_NAME, DistilBertConfig
from distil.common.spec import parameters
from distil.common.tasks import TASKS, Task
from distil.errors import (
    DistilError,
    FrameworkError,
)
from distil.storage import hub
from distil.storage.files import read_json
from distil.storage.formats import FILE_KINDS, FileKind

_FRAMEWORKS = {"pt": ("torch",), "tf": ("tensorflow", "keras")}
_SIZES = (
    "n_layers", "n_heads", "dim", "hidden_dim", "vocab_size", "max_position_embeddings",
    "activation", "sinusoidal_pos_embds", "tie_word_embeddings",
)  # fmt: skip
_TOKENIZER_OPTIONS = (
    "do_lower_case", "strip_accents", "tokenize_chinese_chars", "do_basic_tokenize",
    "padding_side", "truncation_side",
)  # fmt: skip


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


def info(name: str | Path, **options: Any) -> Info:
    """Look into a checkpoint, without loading it.

    Args:
        name: As in `distil.load`; of a name on the hub the weights are downloaded.
        **options: `revision`, `cache_dir`, `local_files_only` and `token` as in `distil.load`.

    Returns:
        What was found.

    Raises:
        CheckpointNotFoundError: There is no checkpoint of that name, or none with weights.
        HubError: The hub cannot be reached, or does not have it.
        CheckpointError: The weights that would be loaded are damaged.
        ConfigError: The configuration is not valid.
    """
    folder = hub.snapshot(name, **options)
    config = DistilBertConfig.from_pretrained(folder)
    own = own_task(config)
    weights = tuple(_weights(folder))
    tokenizer, tokenizer_problem = _tokenizer(folder, config)
    frameworks = {name: _versions(packages) for name, packages in _FRAMEWORKS.items()}
    return Info(
        name=str(name),
        folder=str(folder),
        model_type=read_json(folder / FILE_NAME).get("model_type", config.model_type),
        architectures=tuple(config.architectures or ()),
        task=own.name if own else None,
        sizes={field: getattr(config, field) for field in _SIZES},
        labels=dict(config.id2label),
        problem_type=config.problem_type,
        parameters=_parameters(config, own or TASKS["base"]),
        weights=weights,
        tokenizer=tokenizer,
        tokenizer_problem=tokenizer_problem,
        uses=tuple(_uses(folder, config, own, weights, frameworks)),
        frameworks=frameworks,
    )


def _parameters(config: DistilBertConfig, task: Task) -> Parameters:
    counts = {"embeddings": 0, "layers": 0, "head": 0}
    for weight in parameters(config, task.name):
        in_encoder = "embeddings" if weight.layer is None else "layers"
        counts[in_encoder if weight.in_encoder else "head"] += prod(weight.shape)
    return Parameters(**counts)


def _weights(folder: Path) -> Iterator[WeightFiles]:
    """The weights in every format that is there, the preferred one first.

    Raises:
        CheckpointNotFoundError: There are none.
        CheckpointError: The preferred ones are damaged.
    """
    names = {path.name for path in folder.iterdir()}
    kinds = [
        kind for kind in FILE_KINDS if not names.isdisjoint((kind.file_name(), kind.index_name()))
    ]
    if not kinds:
        open_checkpoint(folder)  # says in its own words what is missing
    for kind in kinds:
        used = kind is kinds[0]
        try:
            with open_checkpoint(folder, format=None if used else kind.formats[0]) as checkpoint:
                yield _opened(checkpoint, used=used)
        except DistilError as error:
            if used and not isinstance(error, FrameworkError):
                raise
            yield _not_opened(folder, kind, names, error, used=used)


def _opened(checkpoint: Checkpoint, *, used: bool) -> WeightFiles:
    return WeightFiles(
        format=checkpoint.format,
        files=tuple(file.name for file in checkpoint.files),
        bytes=sum(file.stat().st_size for file in checkpoint.files),
        tensors=len(checkpoint.tensors),
        dtypes=dict(Counter(tensor.dtype.name for tensor in checkpoint.tensors.values())),
        used=used,
    )


def _not_opened(
    folder: Path, kind: FileKind, names: set[str], error: DistilError, *, used: bool
) -> WeightFiles:
    files = [folder / name for name in (kind.file_name(), kind.index_name()) if name in names]
    return WeightFiles(
        format=kind.formats[0],
        files=tuple(file.name for file in files),
        bytes=sum(file.stat().st_size for file in files),
        tensors=None,
        dtypes={},
        used=used,
        problem=error.problem,
    )


def _tokenizer(folder: Path, config: DistilBertConfig) -> tuple[TokenizerInfo | None, str | None]:
    """The tokenizer in `folder`, and what is wrong with it."""
    try:
        tokenizer = api.load_tokenizer(folder)
    except DistilError as error:
        return None, error.problem
    problem = None
    if len(tokenizer) > config.vocab_size:
        problem = (
            f"it has {len(tokenizer)} tokens, the model only {config.vocab_size}: "
            "resize_token_embeddings"
        )
    limit = tokenizer.model_max_length
    tokens = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    found = TokenizerInfo(
        kind="WordPiece",
        vocab_size=len(tokenizer),
        # Files say "no limit" by a number that no text reaches.
        max_length=limit if limit < 10**9 else None,
        special_tokens=dict(tokens),
        options={name: getattr(tokenizer, name) for name in _TOKENIZER_OPTIONS},
        files=tuple(name for name in hub.TOKENIZER_FILES if (folder / name).is_file()),
    )
    return found, problem


def _uses(
    folder: Path,
    config: DistilBertConfig,
    own: Task | None,
    weights: tuple[WeightFiles, ...],
    frameworks: Mapping[str, Mapping[str, str]],
) -> Iterator[Use]:
    problem = next(files.problem for files in weights if files.used)
    statuses = dict.fromkeys(TASKS, (NO, problem or ""))
    if problem is None:
        with open_checkpoint(folder) as checkpoint:
            for task in TASKS.values():
                statuses[task.name] = status_of(checkpoint, config, task, own=own)
    for name, (status, reason) in statuses.items():
        yield Use(
            task=name,
            own=own is not None and own.name == name,
            status=status,
            reason=reason,
            frameworks={f: status if versions else NO for f, versions in frameworks.items()},
        )


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of the packages of a framework, {} if one is missing."""
    if not all(find_spec(package) for package in packages):
        return {}
    versions = {}
    for package in packages:
        # TensorFlow is published under several names, for processors of several kinds.
        for name in (package, f"{package}-cpu"):
            try:
                versions[package] = version(name)
                break
            except PackageNotFoundError:
                versions[package] = "unknown"
    return versions
