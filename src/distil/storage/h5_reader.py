"""Reading tf_model.h5: weights only, as views of the file.

Source: ``tf_model.h5`` as transformers 4 and Keras 2 write it.  A whole checkpoint has a group
for each layer of the model, and in it the weights under paths that begin with the model's
name; a shard has the weights under their own paths.

HDF5 can do far more than hold arrays: read other files, in whole or in part, compute values,
and declare sizes that no file has; and its library crashes or hangs on a tree that contains
itself.  So the library never sees the file.  What is read here is what those writers use: groups
that are tables of symbols, and in them datasets that are plain runs of bytes of this very file.
The names are those of the groups: Keras repeats them in attributes, where text may be of any
length.

Source: HDF5 File Format Specification 3.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import NoReturn

from distil.errors import CheckpointError, UnsafeCheckpointError, shorten
from distil.storage import h5_structure as structure
from distil.storage.h5_structure import DATASPACE, DATATYPE, ELSEWHERE, LAYOUT, Link, Messages
from distil.storage.h5_types import dtype_of
from distil.storage.tensors import MappedFile, Opened, StoredTensor, check_shape

_MAX_DEPTH = 32


def read_h5(path: Path) -> Opened:
    """The tensors in `path`, by their paths within it.

    Raises:
        CheckpointError: It is damaged, or in a form that neither Keras nor transformers writes.
        UnsafeCheckpointError: It refers to other files, or declares more than it holds, or is a
            link that leaves its folder.
    """
    mapped = MappedFile(path)
    return _Reader(mapped).tensors(), mapped.close


class _Reader:
    """Goes through one file."""

    def __init__(self, mapped: MappedFile) -> None:
        self._mapped = mapped
        self._path = mapped.path
        self._file = structure.Structure(mapped)
        self._seen: set[int] = set()
        self._declared = 0

    def tensors(self) -> dict[str, StoredTensor]:
        """Everything in the file, which has to be datasets in groups."""
        root = self._messages("", self._file.root())
        return {
            name: self._tensor(name, messages) for name, messages in self._datasets("", root, 0)
        }

    def _datasets(self, path: str, group: Messages, depth: int) -> Iterator[tuple[str, Messages]]:
        for link in self._links(path, group):
            inner = f"{path}/{link.name}" if path else link.name
            self._file.spend(len(inner))
            if link.address is None:
                raise UnsafeCheckpointError(
                    "file refers to something outside itself, or through a soft link",
                    expected="weights stored in the file itself",
                    found=f"a {link.kind} link at {shorten(inner)}", where=self._path,
                    fix="do not trust this file",
                )  # fmt: skip
            messages = self._messages(inner, link.address)
            if LAYOUT in messages:
                yield inner, messages
            elif structure.is_group(messages) and depth < _MAX_DEPTH:
                yield from self._datasets(inner, messages, depth + 1)
            else:
                raise CheckpointError(
                    "file holds something other than weights", expected="datasets in groups",
                    found=shorten(inner), where=self._path,
                )  # fmt: skip

    def _messages(self, name: str, address: int) -> Messages:
        """What an object's header says, refused if it has been met: a loop, or shared values."""
        if address in self._seen:
            raise UnsafeCheckpointError(
                "two names in the file refer to the same object", found=shorten(name),
                where=self._path, fix="do not trust this file",
            )  # fmt: skip
        self._seen.add(address)
        return self._file.messages(address)

    def _links(self, path: str, group: Messages) -> list[Link]:
        links = self._file.links(group)
        if len({link.name for link in links}) != len(links):
            raise CheckpointError(
                "a name occurs twice in a group", found=shorten(path), where=self._path
            )
        return links

    def _tensor(self, name: str, messages: Messages) -> StoredTensor:
        """A dataset as a tensor, after everything it declares has been checked."""
        stored = structure.contiguous(messages)
        if stored is None or messages.keys() & ELSEWHERE:
            raise UnsafeCheckpointError(
                "weight is not a plain array in its file",
                expected="contiguous storage, neither external, virtual nor compressed",
                found=shorten(name), where=self._path,
                fix="save the checkpoint again with save_pretrained, or use its safetensors file",
            )  # fmt: skip
        if not messages.keys() >= {DATATYPE, DATASPACE}:
            self._damaged(name)
        dtype = dtype_of(messages[DATATYPE][0], name=name, where=self._path)
        dims = structure.shape(messages)
        if dims is None:
            self._damaged(name)
        shape = check_shape(dims, name=name, where=self._path)
        length = prod(shape) * dtype.itemsize
        self._declared += length
        offset, size = stored
        if length and (
            size != length
            or offset + length > self._mapped.size
            or self._declared > self._mapped.size
        ):
            raise UnsafeCheckpointError(
                "weight is larger than the bytes stored for it",
                expected=f"{length} bytes for {shorten(name)} {shape}",
                found=f"a file of {self._mapped.size} bytes", where=self._path,
            )  # fmt: skip
        return self._mapped.tensor(name, offset if length else 0, shape, dtype)

    def _damaged(self, name: str) -> NoReturn:
        raise CheckpointError(
            "not a valid HDF5 file", found=f"no shape or type for {shorten(name)}",
            where=self._path, fix="download or save it again",
        )  # fmt: skip
