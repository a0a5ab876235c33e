"""A checkpoint being saved: files under temporary names, then the rename that makes it current.

`distil.checkpoints.writing` says in which order, and what each step is for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from distil.arrays import Array
from distil.checkpoints.opening import open_files
from distil.common import spec
from distil.common.config import DistilBertConfig
from distil.common.config_files import FILE_NAME
from distil.common.spec import SCALE
from distil.common.stored_int8 import QUANTIZATION, QUANTIZATION_KEY, parts
from distil.common.tasks import TASKS
from distil.errors import CheckpointError, listed, shorten
from distil.storage import pending
from distil.storage.bin_file import BinWriter
from distil.storage.files import atomic_write, json_text, remove, write_json
from distil.storage.formats import FORMATS, kinds_of, layout_of
from distil.storage.safetensors_file import SafetensorsWriter
from distil.storage.tensors import FLOATS, INT8, WRITTEN, Checkpoint


class Writer(Protocol):
    """Writes the tensors of one file, one after another."""

    def add(self, name: str, array: Array) -> None:
        """Write one tensor under the name and in the orientation of the format."""

    def finish(self, *, alone: bool) -> None:
        """Complete and close the file; `alone` if it holds all the weights."""

    def abandon(self) -> None:
        """Close the file, complete or not; raises no error."""


@dataclass
class Shard:
    """A file under a temporary name, and what has been written into it."""

    path: Path
    writer: Writer
    names: list[str] = field(default_factory=list)
    size: int = 0


class Saving:
    """One checkpoint being saved: its shards so far, and the weights still to come."""

    def __init__(
        self,
        folder: Path,
        config: DistilBertConfig,
        task: str,
        format_name: str,
        limit: int | None,
        own: Mapping[str, Array],
        dtype: np.dtype[Any] | None,
    ) -> None:
        if format_name not in FORMATS:
            raise CheckpointError(
                "unknown checkpoint format", expected=", ".join(FORMATS), found=repr(format_name)
            )
        if dtype == INT8 and format_name != "safetensors":
            raise CheckpointError(
                "this format has no room for int8", expected="safetensors",
                found=format_name, where="dtype", fix="choose that format, or another type",
            )  # fmt: skip
        self._folder = folder
        self.config = config
        if dtype == INT8:
            self.config = config.replace(extra={**config.extra, QUANTIZATION_KEY: QUANTIZATION})
        self._dtype = dtype
        self._format = format_name
        (self._kind,) = kinds_of(format_name)
        self._layout = layout_of(format_name)
        self._model_name = TASKS[task].tf_model
        self._weights = spec.weights(config, task)
        self._missing = {
            name: weight for name, weight in self._weights.items() if weight.tied_to is None
        }
        self._tied = {
            weight.tied_to: weight.name for weight in self._weights.values() if weight.tied_to
        }
        self._limit = limit
        self._own = own
        self._shards: list[Shard] = []
        self._temporary: list[Path] = []
        self._announced: Path | None = None

    def add(self, name: str, array: Array) -> None:
        """Write one weight into the last shard, or into a new one if that is full."""
        weight = self._weights.get(name)
        if weight is not None and weight.tied_to is not None:
            return  # it shares the values of the weight that it is tied to
        if self._missing.pop(name, None) is None or weight is None:
            problem = "is not one of this model" if weight is None else "was given twice"
            raise CheckpointError(f"weight {problem}", found=shorten(name), where=self._folder)
        if array.shape != weight.shape:
            raise CheckpointError(
                "weight has a different shape from the model's", expected=weight.shape,
                found=array.shape, where=name,
            )  # fmt: skip
        stored, swapped = name, False
        if self._layout == "tf":
            stored, swapped = weight.tf_name(), weight.stored_leaf("tf").transposed
        shard = self._write(stored, array, swapped=swapped)
        if isinstance(shard.writer, BinWriter) and name in self._tied:
            shard.writer.tie(self._tied[name], to=name)
            shard.names.append(self._tied[name])

    def add_own(self) -> None:
        """Write the weights of a subclass."""
        for name, array in self._own.items():
            if self._layout == "tf":
                raise CheckpointError(
                    "only PyTorch's layout has room for other weights", found=shorten(name),
                    where=self._folder, fix='save it with format="safetensors"',
                )  # fmt: skip
            self._write(name, array, swapped=False)

    def _write(self, name: str, array: Array, *, swapped: bool) -> Shard:
        if array.dtype not in FLOATS:
            raise CheckpointError(
                "weight cannot be stored", expected=", ".join(dtype.name for dtype in FLOATS),
                found=array.dtype, where=name,
            )  # fmt: skip
        if self._dtype == INT8:
            stored = parts(name, array)
        else:
            stored = {name: array.astype(self._dtype or array.dtype, copy=False)}
        shard = self._shard_for(sum(part.nbytes for part in stored.values()))
        for part, values in stored.items():
            shard.writer.add(part, values.T if swapped else values)
            shard.names.append(part)
            shard.size += values.nbytes
        return shard

    def finish(self) -> None:
        """Bring every file to disk, complete, under its temporary name."""
        if self._missing:
            raise CheckpointError(
                "weights to save are incomplete",
                expected=f"{len(self._weights)} weights",
                found=f"none for {listed(self._missing)}", where=self._folder,
            )  # fmt: skip
        for shard in self._shards:
            shard.writer.finish(alone=len(self._shards) == 1)
            with shard.path.open("rb+") as file:
                os.fsync(file.fileno())

    def opened(self) -> Checkpoint:
        """What has been written, open for reading under its temporary names."""
        alone = len(self._shards) == 1
        files = {shard.path: None if alone else frozenset(shard.names) for shard in self._shards}
        return open_files(self._folder, self._kind, files)

    def switch(self, before: Callable[[], None] | None, *, write_config: bool) -> list[Path]:
        """Make the new checkpoint the current one, with `before` just before the last rename."""

        def prepare(weights: bytes | Path) -> None:
            if write_config:
                self._announce(weights)
            if before is not None:
                before()

        if len(self._shards) == 1:
            prepare(self._shards[0].path)
            return [self._place(self._shards[0], self._kind.file_name())]
        paths: list[Path] = []
        index = self._folder / self._kind.index_name()
        names = self._free_names()
        content = self._index(names)
        try:
            for shard, name in zip(self._shards, names, strict=True):
                paths.append(self._folder / name)
                self._place(shard, name)
            prepare(json_text(content).encode())
            write_json(index, content)
        except BaseException:
            # An interrupt may come when the index is in place, and the shards are needed.
            if not (index.is_file() and index.read_bytes() == json_text(content).encode()):
                for path in paths:
                    remove(path)
            raise
        return [index, *paths]

    def _announce(self, weights: bytes | Path) -> None:
        """Prepare the change of config.json, where there is one to change."""
        text = json_text(self.config.to_dict())
        config = self._folder / FILE_NAME
        if not config.is_file():
            self.config.save_pretrained(self._folder)
        elif config.read_bytes() != text.encode():
            self._announced = pending.announce(self._folder, text, weights)

    def clean_up(self) -> None:
        """Remove temporary files that are still there."""
        for shard in self._shards:
            shard.writer.abandon()
        for path in self._temporary:
            remove(path)
        # Where its weights are in place, the announcement holds until config.json has followed.
        with suppress(CheckpointError):
            if self._announced and pending.current_config(self._folder) != self._announced:
                remove(self._announced)

    def _shard_for(self, size: int) -> Shard:
        last = self._shards[-1] if self._shards else None
        if last is None or (self._limit is not None and last.size + size > self._limit):
            mark = f"{os.getpid()}-{os.urandom(4).hex()}"
            path = self._folder / f".{self._kind.stem}.{mark}.tmp"
            self._temporary.append(path)
            last = Shard(path, self._writer(path))
            self._shards.append(last)
        return last

    def _writer(self, path: Path) -> Writer:
        if self._format == "bin":
            return BinWriter(path)
        if self._format == "h5":
            from distil.storage.h5_writer import H5Writer  # noqa: PLC0415 - h5py takes long

            return H5Writer(path, self._model_name)
        shapes = [
            (weight.tf_name() if self._layout == "tf" else name, weight.stored_shape(self._layout))
            for name, weight in self._weights.items()
        ]
        shapes += [(name, array.shape) for name, array in self._own.items()]
        if self._dtype == INT8:
            shapes += [(name + SCALE, shape[:1]) for name, shape in shapes]
        return SafetensorsWriter(path, shapes, {"format": self._layout})

    def _place(self, shard: Shard, name: str) -> Path:
        """Give `shard` its name."""
        path = self._folder / name
        with atomic_write(path) as temporary:
            shard.path.replace(temporary)
        return path

    def _free_names(self) -> list[str]:
        """Names for the shards that no file has, so that the old index keeps its own shards."""
        count = len(self._shards)
        for mark in ("", f"-{os.urandom(4).hex()}"):
            names = [self._kind.shard_name(number, count, mark) for number in range(1, count + 1)]
            if not any((self._folder / name).exists() for name in names):
                break
        return names

    def _index(self, files: list[str]) -> dict[str, Any]:
        # transformers' TensorFlow indexes keep the name of the model, which its files lack.
        prefix = f"{self._model_name}/" if self._layout == "tf" else ""
        return {
            "metadata": {"total_size": sum(shard.size for shard in self._shards)},
            "weight_map": {
                prefix + name: file
                for shard, file in zip(self._shards, files, strict=True)
                for name in shard.names
            },
        }


def dtype_of(name: str | None) -> np.dtype[Any] | None:
    """The type to store that is called `name`; None for each array's own.

    Raises:
        CheckpointError: No file of weights can hold it.
    """
    if name is None:
        return None
    if name not in WRITTEN:
        raise CheckpointError(
            "type cannot be stored", expected=", ".join(WRITTEN), found=repr(name), where="dtype"
        )
    return WRITTEN[name]
