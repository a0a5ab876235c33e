"""Saving a checkpoint so that at any moment a reader finds the old one or the new one, complete.

1. The weights are written beside the old ones under temporary names, and flushed to disk.
2. The caller's `verify` may read them back, and refuse them.  Shards get their names, names
   that no shard of the old checkpoint has.  The new configuration is announced
   (`distil.storage.pending`), and the caller's `before_switch` runs.
3. One rename puts the new checkpoint in place: of the only file, or of the index.
4. What is left of the old checkpoint is removed, the most preferred first: as long as one of
   its files is there for a reader to prefer, it is there whole.
5. config.json is replaced, and the announcement is removed.

From the names of the shards on, others that save into the folder wait
(`distil.storage.files.lock`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from distil.arrays import Array
from distil.checkpoints.saving import Saving, dtype_of
from distil.common.config import DistilBertConfig
from distil.storage import pending
from distil.storage.files import lock, refusals
from distil.storage.formats import FILE_KINDS, bytes_of
from distil.storage.tensors import Checkpoint

_SECONDS_TO_KEEP_LEFTOVERS = 24 * 60 * 60


def save_checkpoint(
    folder: Path,
    weights: Iterable[tuple[str, Array]],
    *,
    config: DistilBertConfig,
    task: str,
    format: str = "safetensors",  # noqa: A002
    max_shard_size: str | int | None = None,
    dtype: str | None = None,
    verify: Callable[[Checkpoint], None] | None = None,
    before_switch: Callable[[], None] | None = None,
    write_config: bool = False,
    own: Mapping[str, Array] = MappingProxyType({}),
) -> list[Path]:
    """Save the weights of a model, in place of whatever checkpoint `folder` holds.

    The weights are taken one at a time and written as they come, so that saving needs memory
    for one of them only (format "bin" aside: PyTorch pickles a whole file at once).  A kill,
    a full disk or an error from `weights` leaves the old checkpoint as it was.

    Args:
        folder: Where to; made if it is not there.
        weights: Canonical names and arrays in PyTorch's orientation, in any order: all the
            weights of `distil.common.spec.weights`, where tied ones may be left out.
        config: The architecture.
        task: What the model is for, a key of `distil.common.tasks.TASKS`.
        format: "safetensors", "tf-safetensors", "bin" or "h5".
        max_shard_size: Largest size of a file, in bytes or as "500MB" or "2GiB"; None for a
            single file. A larger weight gets a file of its own.
        dtype: Type to store ("float32", "float64", "float16", "bfloat16"); None keeps each
            array's own.  "int8" stores matrices so, see `distil.common.stored_int8`, all else in
            float32, and adds to the configuration that it does.
        verify: Called with the new checkpoint, opened from its temporary files; raises if it is
            not as it should be, and the old one stays.
        before_switch: Called once, when nothing but renaming is left to do.
        write_config: Save `config` as config.json, too.  A kill at any moment leaves the old
            weights with the old configuration or the new ones with the new.
        own: Weights that a subclass has besides, by the names that they are written under.

    Returns:
        The files written, the index first if there is one.

    Raises:
        CheckpointError: The folder cannot be written to, or the weights are not the model's.
        FrameworkError: The format is "bin" and PyTorch is not installed.
    """
    folder = Path(folder)
    saving = Saving(folder, config, task, format, bytes_of(max_shard_size), own, dtype_of(dtype))
    try:
        with refusals("checkpoint cannot be saved", folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name, array in weights:
                saving.add(name, array)
            saving.add_own()
            saving.finish()
            if verify is not None:
                with saving.opened() as checkpoint:
                    verify(checkpoint)
            # If two processes save at once, one would remove what the other has just put in place.
            with lock(folder):
                written = saving.switch(before_switch, write_config=write_config)
                _remove_others(folder, written)
                if write_config:
                    saving.config.save_pretrained(folder)
                    pending.forget(folder)
    finally:
        saving.clean_up()
    return written


def weight_files(folder: Path) -> Iterator[Path]:
    """Every file of weights in `folder` that saving there replaces, the most preferred first."""
    for kind in FILE_KINDS:
        paths = [folder / kind.file_name(), folder / kind.index_name()]
        for pattern in kind.shard_patterns():
            paths.extend(folder.glob(pattern))
        yield from (path for path in paths if os.path.lexists(path))


def _remove_others(folder: Path, written: list[Path]) -> None:
    """Remove the weights in `folder` that are not among `written`, and leftovers of kills."""
    for path in weight_files(folder):
        if path not in written:
            path.unlink(missing_ok=True)
    for kind in FILE_KINDS:
        for path in folder.glob(f".{kind.stem}.*.tmp"):
            # A younger one may belong to a process that is saving right now.
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _SECONDS_TO_KEEP_LEFTOVERS:
                    path.unlink()
