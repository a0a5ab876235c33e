"""`convert`: a whole checkpoint folder in another format.  Needs no framework (a .bin aside).

Weights go through one at a time, each straight from the memory map of its file, so that the
memory needed is that of the largest one, whatever the size of the model.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distil import api
from distil.checkpoints import FORMATS, save_checkpoint
from distil.checkpoints.beside import Beside
from distil.checkpoints.located import Located, locate
from distil.checkpoints.matching import Match, Source
from distil.checkpoints.trained_head import check_trained
from distil.checkpoints.transfer import Progress, Transfer
from distil.checkpoints.writing import weight_files
from distil.common.config import DistilBertConfig
from distil.common.config_files import FILE_NAME
from distil.common.labels import check_task
from distil.common.spec import weights
from distil.common.stored_names import naming_of
from distil.common.tasks import Task, find_task
from distil.errors import CheckpointError, InputError, listed
from distil.frameworks import FRAMEWORKS, import_framework
from distil.storage.formats import FORMAT_ALIASES, TOKENIZER_FILES, layout_of
from distil.storage.hub import HubOptions
from distil.storage.paths import path_of
from distil.storage.tensors import INT8, WRITTEN

if TYPE_CHECKING:
    from distil.parity import Comparison


@dataclass(frozen=True, kw_only=True)
class WrittenFile:
    """A file in the target.

    Attributes:
        name: Its name.
        bytes: Its size.
    """

    name: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What `convert` did.

    Attributes:
        source: The checkpoint that was read.
        source_format: Its format, as in `distil.checkpoints.FORMATS`.
        target: The folder that was written.
        format: The format of the weights there.
        task: What the checkpoint is for.
        files: What was written: weights, then config.json, then the tokenizer.
        tensors: Number of tensors, tied ones not counted.
        dtypes: Number of tensors of each type, as written; scales of int8 are not counted.
        cast: Number of tensors whose type was changed.
        renamed: Number of tensors that have another name now.
        transposed: Number of tensors whose axes were swapped.
        folded: Tensors that were added to another one: a BERT's token types.
        dropped: Tensors that the model does not have and that were left out: those that loading
            warns about, and a BERT's pooler, about which it does not.
        not_copied: Other files beside the source, which were not copied.
        comparison: The result of `distil.compare` for the target, None if not asked for.
    """

    source: str
    source_format: str
    target: str
    format: str
    task: str
    files: tuple[WrittenFile, ...]
    tensors: int
    dtypes: Mapping[str, int]
    cast: int
    renamed: int
    transposed: int
    folded: tuple[str, ...]
    dropped: tuple[str, ...]
    not_copied: tuple[str, ...]
    comparison: Comparison | None = None

    @property
    def agrees(self) -> bool:
        """Whether the frameworks agree on the target; true if that was not checked."""
        return self.comparison is None or self.comparison.agrees

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts, lists and numbers, for JSON."""
        table = {name: value for name, value in vars(self).items() if name != "comparison"}
        table["files"] = [asdict(file) for file in self.files]
        table["comparison"] = None if self.comparison is None else self.comparison.to_dict()
        return table


def convert(
    source: str | Path,
    target: str | Path,
    to: str = "pt",
    *,
    task: str | None = None,
    dtype: str | None = None,
    max_shard_size: str | int | None = None,
    force: bool = False,
    check: bool = False,
    check_finite: bool = True,
    progress: Progress | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Conversion:
    """Write a checkpoint in another format: config.json, weights, tokenizer, sentence encoding.

    Neither framework is imported, unless a .bin is read or written or `check` is set.  What was
    written is read back and compared with the source, bit for bit, before it replaces anything:
    an error or a kill leaves the target's weights as they were.

    Args:
        source: A folder, the name of a bundled checkpoint, or a name on the hub.  A BERT becomes
            a DistilBERT (see `distil.common.bert`).
        target: A folder, made if need be.  It may be the source itself, with `force`.
        to: "pt" (model.safetensors; also called "safetensors"), "tf" (tf_model.h5; also "h5"),
            "tf-safetensors" (model.safetensors as transformers' TensorFlow models write it) or
            "bin".
        task: What for, as in `distil.load`; None takes the checkpoint's own.  "base" leaves the
            head out.
        dtype: Type of the weights: "float32", "float16", "bfloat16" or "float64"; "int8" for
            matrices in signed bytes with a scale for each row, and float32 for all else.  None
            keeps the stored ones, and makes float32 of int8, which fewer programs read.
        max_shard_size: Largest size of a file, as "500MB"; None writes one file.
        force: Replace the checkpoint that is in the target, whatever its format.
        check: Run what was written in both frameworks, see `distil.compare`.
        check_finite: Refuse weights that hold infinity or NaN, before a cast or after it.
        progress: Called repeatedly with the bytes processed so far, and the total.
        revision: Branch, tag or commit on the hub.
        cache_dir: Where files from the hub are cached.
        local_files_only: Do not ask the hub; use what is cached.
        token: For the hub, if the model is not public.

    Returns:
        A summary of what was done.

    Raises:
        CheckpointNotFoundError: There is no checkpoint called `source`.
        HubError: The hub cannot be reached, or does not have it.
        CheckpointError: The source is damaged or lacks weights, the target holds a checkpoint
            already, or it cannot be written.
        ConfigError: The source's configuration is not valid.
        InputError: There is no such format, task or type.
        FrameworkError: A framework is needed, see above, and not installed.
    """
    format_name = _format_called(to)
    wanted = _dtype_called(dtype)
    asked = None if task is None else find_task(task)
    target = path_of(target, "target")
    _check_target(target, force=force)
    options = HubOptions(
        revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
    )
    with locate(source, options) as found:
        chosen = asked or found.task
        check_task(found.config, chosen.name)
        if check:
            _check_that_both_run(found.folder)
        match = check_trained(found, chosen)
        config = _config_of_target(found.config, chosen, match, wanted)
        transfer = Transfer(match.sources, wanted, check_finite, progress)
        beside = Beside.of(found)
        left = tuple(beside.not_copied(target))
        copied: list[Path] = []
        with _no_new_folder_on_error(target):
            written = save_checkpoint(
                target,
                transfer.weights(),
                config=config,
                task=chosen.name,
                format=format_name,
                max_shard_size=max_shard_size,
                dtype="int8" if wanted == INT8 else None,
                verify=lambda files: transfer.verify(files, config, chosen.name),
                before_switch=lambda: copied.extend(beside.copy(target, dim=config.dim)),
                write_config=True,
            )
        changes = _changes(found, match, chosen, format_name, wanted)
    return Conversion(
        source=str(source),
        target=str(target),
        format=format_name,
        task=chosen.name,
        files=tuple(
            WrittenFile(name=file.relative_to(target).as_posix(), bytes=file.stat().st_size)
            for file in (*written, target / FILE_NAME, *copied)
        ),
        **changes,
        not_copied=left,
        comparison=_compare(target) if check else None,
    )


def _format_called(name: str) -> str:
    found = FORMAT_ALIASES.get(str(name), name)
    if found not in FORMATS:
        raise InputError(
            "unknown checkpoint format",
            expected=", ".join((*FORMAT_ALIASES, *FORMATS)), found=repr(name), where="to",
        )  # fmt: skip
    return found


def _dtype_called(name: str | None) -> np.dtype[Any] | None:
    if name is not None and str(name) not in WRITTEN:
        raise InputError(
            "unknown type", expected=", ".join(WRITTEN), found=repr(name), where="dtype"
        )
    return None if name is None else WRITTEN[name]


def _check_target(target: Path, *, force: bool) -> None:
    """Refuse a target that is not a folder, or that holds a checkpoint, without `force`."""
    if target.exists() and not target.is_dir():
        raise CheckpointError("target is not a folder", where=target, fix="name another one")
    names = (FILE_NAME, *TOKENIZER_FILES)
    there = list(weight_files(target))
    there += [target / name for name in names if os.path.lexists(target / name)]
    if there and not force:
        raise CheckpointError(
            "target already holds a checkpoint", expected="an empty or a new folder",
            found=listed(path.name for path in there),
            where=target, fix="choose another folder, or replace it with force=True",
        )  # fmt: skip


def _check_that_both_run(folder: Path) -> None:
    """Ask for what `compare` needs before anything is written."""
    for framework in FRAMEWORKS:
        import_framework(framework)
    api.load_tokenizer(folder)


def _config_of_target(
    config: DistilBertConfig, task: Task, match: Match, dtype: np.dtype[Any] | None
) -> DistilBertConfig:
    # What is stored in int8 is read as float32, which is what the rest is stored in.
    whole = np.dtype(np.float32) if dtype == INT8 else dtype
    stored = {(whole or one.dtype).name for one in match.sources.values()}
    return config.replace(
        architectures=[task.class_name],
        # A config can name one type only; without it, readers look at the weights.
        dtype=stored.pop() if len(stored) == 1 else None,
    )


@contextmanager
def _no_new_folder_on_error(target: Path) -> Iterator[None]:
    is_new = not target.exists()
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):  # another process may have written into it
                target.rmdir()
        raise


def _changes(
    found: Located,
    match: Match,
    task: Task,
    format_name: str,
    dtype: np.dtype[Any] | None,
) -> dict[str, Any]:
    """What happened to the tensors, as fields of a `Conversion`."""
    layout = layout_of(format_name)
    checkpoint, table = found.checkpoint, weights(found.config, task.name)
    sources = match.sources.values()
    pairs = [(one, table[one.name]) for one in sources]
    naming = naming_of(checkpoint.tensors, table.values(), checkpoint.layout)
    tolerated = (name for name in naming.tolerated() if name in checkpoint.tensors)
    written = [_written(one, dtype) for one in sources]
    return {
        "source_format": checkpoint.format,
        "tensors": len(sources),
        "dtypes": dict(Counter(one.name for one in written)),
        "cast": sum(one.tensor.stored != own for one, own in zip(sources, written, strict=True)),
        "renamed": sum(
            one.tensor.name != (weight.tf_name() if layout == "tf" else weight.name)
            for one, weight in pairs
        ),
        "transposed": sum(
            one.transposed != weight.stored_leaf(layout).transposed for one, weight in pairs
        ),
        "folded": tuple(one.added.name for one in sources if one.added is not None),
        "dropped": (*(finding.name for finding in match.report.unexpected), *tolerated),
    }


def _written(source: Source, dtype: np.dtype[Any] | None) -> np.dtype[Any]:
    """The type that a weight is stored in."""
    if dtype == INT8 and len(source.shape) != 2:
        return np.dtype(np.float32)
    return dtype or source.dtype


def _compare(target: Path) -> Comparison:
    from distil.parity import compare  # noqa: PLC0415 - only a check needs it

    return compare(target)
