"""Opening a checkpoint: which files, in which format, under whose names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from distil.common.spec import BERT_PREFIX, ENCODER_PREFIX, HEADS
from distil.common.stored_int8 import unpacked_tensors
from distil.errors import CheckpointError, CheckpointNotFoundError, DistilError, listed, shorten
from distil.storage.bin_file import read_bin
from distil.storage.formats import FILE_KINDS, FileKind, Layout, layout_of, preferred
from distil.storage.h5_reader import read_h5
from distil.storage.index import read_index
from distil.storage.safetensors_file import read_safetensors
from distil.storage.tensors import Checkpoint, Opened, StoredTensor, same_values

_READERS: Mapping[str, Callable[[Path], Opened]] = {
    ".safetensors": read_safetensors,
    ".bin": read_bin,
    ".h5": read_h5,
}

_LOOKS = 10

# What a TensorFlow name may begin with once the name of the model is gone.
_TF_ROOTS = frozenset(
    {ENCODER_PREFIX, BERT_PREFIX, "mlm___cls", "nsp___cls"}
    | {row.name for rows in HEADS.values() for row in rows}
)


def open_checkpoint(
    folder: Path, *, variant: str | None = None, format: str | None = None  # noqa: A002
) -> Checkpoint:  # fmt: skip
    """Open the weights in `folder`, without reading any of them yet.

    Where the folder holds several kinds of file, the first of these is taken: safetensors,
    PyTorch's .bin, TensorFlow's .h5, each as one file before shards.

    Whether a safetensors file has PyTorch's or TensorFlow's names is told by the names themselves:
    PyTorch's have dots, TensorFlow's slashes and ":0", so they cannot be confused.  The metadata
    that should say so is omitted by some tools and wrong in some files.

    Args:
        folder: The folder.
        variant: Part of the file's name, as "fp16" in model.fp16.safetensors.
        format: "safetensors", "tf-safetensors", "bin" or "h5", to read no other.

    Returns:
        The checkpoint, to be closed or used in a ``with`` statement.

    Raises:
        CheckpointNotFoundError: There are no weights in the folder, or not of that format.
        CheckpointError: A file is damaged, or shards do not fit together.
        UnsafeCheckpointError: A file would do more than be read.
        FrameworkError: It is a .bin file and PyTorch is not installed.
    """
    folder = Path(folder)
    # Another process may be replacing the checkpoint: then files that an index names are gone
    # by the time they are looked for, and another look finds their successors.
    for _ in range(_LOOKS - 1):
        with suppress(CheckpointNotFoundError):
            return _open(folder, variant, format)
    return _open(folder, variant, format)


def _open(folder: Path, variant: str | None, format_name: str | None) -> Checkpoint:
    kind, name = _find(folder, variant, format_name)
    before = _identity(folder / name)
    shards: Mapping[str, frozenset[str]] | None = None
    if name == kind.index_name(variant):
        shards = read_index(folder / name)
    with ExitStack() as opened:
        if shards is None:
            checkpoint = open_files(folder, kind, {folder / name: None})
        else:
            files = {folder / shard: names for shard, names in shards.items()}
            checkpoint = open_files(folder, kind, files)
        opened.callback(checkpoint.close)
        if shards is not None and _identity(folder / name) != before:
            raise CheckpointNotFoundError(
                "checkpoint was replaced while its shards were opened", where=folder / name
            )
        if format_name not in (None, checkpoint.format):
            raise CheckpointNotFoundError(
                "no weights in this format", expected=format_name, found=checkpoint.format,
                where=folder / name,
            )  # fmt: skip
        opened.pop_all()
    return checkpoint


def open_files(
    folder: Path, kind: FileKind, files: Mapping[Path, frozenset[str] | None]
) -> Checkpoint:
    """Open the files of a checkpoint, whatever they are called.

    Args:
        folder: The folder that holds them.
        kind: What kind they are.
        files: For each file the names of its weights, as an index has them; None for the only
            file of a checkpoint.

    Raises:
        CheckpointError: A file is damaged, or shards do not fit together.
    """
    tensors: dict[str, StoredTensor] = {}
    with ExitStack() as opened:
        for file, names in files.items():
            found, close = _read(kind, file)
            opened.callback(close)
            # Keras stores the weights of a whole model in one group per layer.
            in_layers = kind.suffix == ".h5" and names is None
            found = _by_own_names(found, file, in_layers=in_layers)
            if names is not None:
                _check_shard(file, found, _own_names(names))
            if twice := tensors.keys() & found.keys():
                raise CheckpointError(
                    "weight is in two shards", found=shorten(min(twice)), where=file
                )
            tensors |= found
        found_format, layout = _format_of(kind, tensors)
        if found_format == "safetensors":
            tensors = unpacked_tensors(tensors)
        close_all = opened.pop_all().close
    return Checkpoint(
        folder, tuple(files), found_format, layout, MappingProxyType(tensors), close_all
    )


def _find(folder: Path, variant: str | None, format_name: str | None) -> tuple[FileKind, str]:
    """The file or index to read in `folder`."""
    try:
        names = set(os.listdir(folder))  # noqa: PTH208 - only the names
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointNotFoundError(
            "no such folder",
            where=folder,
            fix="check the name; it is relative to the working directory",
        ) from None
    except OSError as error:
        raise CheckpointError("folder cannot be read", found=error, where=folder) from error
    found = preferred(names, variant=variant, format_name=format_name)
    if found is None:
        looked_for = [kind.file_name(variant) for kind in FILE_KINDS]
        raise CheckpointNotFoundError(
            "no weights in this folder",
            expected=f"{', '.join(looked_for)}, or the index of their shards"
            + (f" (format {format_name})" if format_name else ""),
            found=listed(sorted(map(shorten, names)), 10) or "an empty folder",
            where=folder,
            fix="name a folder that save_pretrained wrote, or a model on the hub",
        )
    return found


def _identity(path: Path) -> tuple[int, ...] | None:
    """What distinguishes a file from one that replaces it; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _read(kind: FileKind, file: Path) -> Opened:
    try:
        return _READERS[kind.suffix](file)
    except DistilError:
        raise
    except OSError as error:  # of mapping it, or of reading it
        raise CheckpointError("file cannot be read", found=error, where=file) from error


def _format_of(kind: FileKind, tensors: Mapping[str, StoredTensor]) -> tuple[str, Layout]:
    """The format and layout that `tensors` show."""
    if len(kind.formats) == 1:
        return kind.formats[0], layout_of(kind.formats[0])
    in_tf = sum(_is_tf_name(name) for name in tensors)
    name = kind.formats[1 if 2 * in_tf > len(tensors) else 0]
    return name, layout_of(name)


def _is_tf_name(name: str) -> bool:
    return "/" in name and name.endswith(":0")


def _own_name(name: str) -> str:
    """A TensorFlow name without that of the model; any other name as it is.

    The leading part differs from one save to the next (it counts the instances that a process
    has made), and safetensors files lack it.
    """
    if not _is_tf_name(name):
        return name
    first, _, rest = name.partition("/")
    return name if first in _TF_ROOTS else rest


def _own_names(names: frozenset[str]) -> frozenset[str]:
    return frozenset(map(_own_name, names))


def _by_own_names(
    tensors: dict[str, StoredTensor], file: Path, *, in_layers: bool
) -> dict[str, StoredTensor]:
    """`tensors` by the names that stay once those of a layer's group and the model are gone."""
    renamed: dict[str, StoredTensor] = {}
    for path, tensor in tensors.items():
        name = _own_name(path.partition("/")[2] if in_layers else path)
        # A layer that uses another's weights is written with those: TensorFlow's masked-LM
        # heads come with the embeddings once more.
        if name in renamed and not same_values(renamed[name], tensor):
            raise CheckpointError(
                "weight occurs twice, with different values", found=shorten(name), where=file
            )
        renamed[name] = replace(tensor, name=name)
    return renamed


def _check_shard(file: Path, found: Mapping[str, StoredTensor], expected: frozenset[str]) -> None:
    """Check a shard against the index: it has the tensors that the index says, and no others.

    With that, and no name twice in the index, each tensor is in exactly one shard.
    """
    for problem, names in (
        ("shard lacks a weight that the index says it has", expected - found.keys()),
        ("shard has a weight that the index does not say it has", found.keys() - expected),
    ):
        if names:
            raise CheckpointError(
                problem, found=listed(sorted(map(shorten, names))), where=file,
                fix="download or save the checkpoint again",
            )  # fmt: skip
