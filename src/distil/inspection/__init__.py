"""`info`: what a checkpoint contains and which tasks it loads for.  Needs no framework."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from distil import api
from distil.checkpoints import Checkpoint, open_checkpoint
from distil.checkpoints.located import Located, locate
from distil.checkpoints.trained_head import NO, status_of
from distil.common.config import DistilBertConfig
from distil.common.spec import parameters
from distil.common.tasks import TASKS, Task
from distil.errors import DistilError, FrameworkError
from distil.frameworks import FRAMEWORKS
from distil.inspection.report import Info, Parameters, TokenizerInfo, Use, WeightFiles
from distil.storage.formats import FILE_KINDS, TOKENIZER_FILES, FileKind
from distil.storage.hub import split_options

_SIZES = (
    "n_layers", "n_heads", "dim", "hidden_dim", "vocab_size", "max_position_embeddings",
    "activation", "sinusoidal_pos_embds", "tie_word_embeddings",
)  # fmt: skip
_TOKENIZER_OPTIONS = (
    "do_lower_case", "strip_accents", "tokenize_chinese_chars", "do_basic_tokenize",
    "padding_side", "truncation_side",
)  # fmt: skip


def info(name: str | Path, **options: Any) -> Info:
    """Inspect a checkpoint without loading its weights into a model.

    Args:
        name: As in `distil.load`; the weights of a hub name are downloaded.
        **options: `revision`, `cache_dir`, `local_files_only` and `token` as in `distil.load`.

    Returns:
        What was found.

    Raises:
        CheckpointNotFoundError: There is no checkpoint of that name, or it has no weights.
        HubError: The hub cannot be reached, or does not have it.
        CheckpointError: The weights that would be loaded are damaged.
        ConfigError: The configuration is invalid.
    """
    hub_options, unknown = split_options(options)
    if unknown:
        raise TypeError(f"info() got an unexpected keyword argument {min(unknown)!r}")
    with locate(name, hub_options) as found:
        return _look_into(found)


def _look_into(found: Located) -> Info:
    config, own = found.config, found.own_task
    weights = tuple(_weights(found))
    tokenizer, tokenizer_problem = _tokenizer(found.folder, config)
    frameworks = {one.name: _versions(one.packages) for one in FRAMEWORKS.values()}
    return Info(
        name=found.name,
        folder=str(found.folder),
        model_type=found.model_type,
        architectures=tuple(config.architectures or ()),
        task=own.name if own else None,
        sizes={field: getattr(config, field) for field in _SIZES},
        labels=dict(config.id2label),
        problem_type=config.problem_type,
        parameters=_parameters(config, own or TASKS["base"]),
        weights=weights,
        tokenizer=tokenizer,
        tokenizer_problem=tokenizer_problem,
        uses=tuple(_uses(found, weights, frameworks)),
        frameworks=frameworks,
    )


def _parameters(config: DistilBertConfig, task: Task) -> Parameters:
    counts = {"embeddings": 0, "layers": 0, "head": 0}
    for weight in parameters(config, task.name):
        in_encoder = "embeddings" if weight.layer is None else "layers"
        counts[in_encoder if weight.in_encoder else "head"] += prod(weight.shape)
    return Parameters(**counts)


def _weights(found: Located) -> Iterator[WeightFiles]:
    """The weights in each format that is present, the preferred one first.

    Raises:
        CheckpointNotFoundError: There are no weights.
        CheckpointError: The preferred weights are damaged.
    """
    folder = found.folder
    names = {path.name for path in folder.iterdir()}
    kinds = [
        kind for kind in FILE_KINDS if not names.isdisjoint((kind.file_name(), kind.index_name()))
    ]
    if not kinds:
        found.checkpoint  # noqa: B018 - raises the error that says what is missing
    for kind in kinds:
        used = kind is kinds[0]
        try:
            if used:
                yield _opened(found.checkpoint, used=True)
                continue
            with open_checkpoint(folder, format=kind.formats[0]) as checkpoint:
                yield _opened(checkpoint, used=False)
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
        dtypes=dict(Counter(tensor.stored.name for tensor in checkpoint.tensors.values())),
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
    """The tokenizer in `folder`, and what is wrong with it, if anything."""
    try:
        tokenizer = api.load_tokenizer(folder)
    except DistilError as error:
        return None, error.problem
    problem = None
    if len(tokenizer) > config.vocab_size:
        problem = (
            f"it has {len(tokenizer)} tokens, but the model only {config.vocab_size}: "
            "call resize_token_embeddings"
        )
    limit = tokenizer.model_max_length
    tokens = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    found = TokenizerInfo(
        kind="WordPiece",
        vocab_size=len(tokenizer),
        # Files express "no limit" as a huge number.
        max_length=limit if limit < 10**9 else None,
        special_tokens=dict(tokens),
        options={name: getattr(tokenizer, name) for name in _TOKENIZER_OPTIONS},
        files=tuple(name for name in TOKENIZER_FILES if (folder / name).is_file()),
    )
    return found, problem


def _uses(
    found: Located,
    weights: tuple[WeightFiles, ...],
    frameworks: Mapping[str, Mapping[str, str]],
) -> Iterator[Use]:
    problem = next(files.problem for files in weights if files.used)
    for task in TASKS.values():
        status, reason = status_of(found, task) if problem is None else (NO, problem)
        yield Use(
            task=task.name,
            own=task == found.own_task,
            status=status,
            reason=reason,
            frameworks={f: status if versions else NO for f, versions in frameworks.items()},
        )


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of a framework's packages; {} if one is missing."""
    if not all(find_spec(package) for package in packages):
        return {}
    versions = {}
    for package in packages:
        # TensorFlow is also published under other names, such as tensorflow-cpu.
        for name in (package, f"{package}-cpu"):
            try:
                versions[package] = version(name)
                break
            except PackageNotFoundError:
                versions[package] = "unknown"
    return versions
