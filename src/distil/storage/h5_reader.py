"""Reading tf_model.h5: weights only, as views of the file.

Source: ``tf_model.h5`` as transformers 4 and Keras 2 write it.  A whole checkpoint has a group
for each layer of the model, and in it the weights under paths that begin with the model's
name; a shard has the weights under their own paths.

HDF5 can do far more than hold arrays: read other files, in whole or in part, compute values,
and declare sizes that no file has.  So the library is asked only for names and for where the
bytes lie; whatever is not a plain run of bytes of this very file is refused.  The names are
those of the groups: Keras repeats them in attributes, where text may be of any length.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]

from distil.errors import CheckpointError, DistilError, UnsafeCheckpointError, shorten
from distil.storage.h5_types import dtype_of
from distil.storage.tensors import MappedFile, Opened, StoredTensor, check_shape

_SIGNATURE = b"\x89HDF\r\n\x1a\n"

_MAX_DEPTH = 32


def read_h5(path: Path) -> Opened:
    """The tensors in `path`, by their paths within it.

    Raises:
        OSError: The file cannot be opened.
        CheckpointError: It is damaged.
        UnsafeCheckpointError: It refers to other files, or declares more than it holds.
    """
    mapped = MappedFile(path)
    if mapped.bytes(0, len(_SIGNATURE)) != _SIGNATURE:
        raise CheckpointError(
            "not an HDF5 file", expected=_SIGNATURE, found=mapped.bytes(0, len(_SIGNATURE)),
            where=path, fix="download or save it again",
        )  # fmt: skip
    try:
        with h5py.File(_BytesOfFile(mapped), "r") as file:
            return _Reader(file, mapped).tensors(), mapped.close
    except DistilError:
        raise
    except Exception as error:  # h5py passes on HDF5's errors as many types
        raise CheckpointError(
            "not a valid HDF5 file", found=shorten(f"{type(error).__name__}: {error}"),
            where=path, fix="download or save it again",
        ) from None  # fmt: skip


class _BytesOfFile(io.RawIOBase):
    """The mapped bytes as a file, so that HDF5 opens none, and sees the bytes that we see."""

    def __init__(self, mapped: MappedFile) -> None:
        self._mapped = mapped
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._mapped.size}[whence]
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`, with zeros beyond the end: HDF5 does not take failing reads well."""
        view = memoryview(buffer).cast("B")
        found = self._mapped.bytes(self._place, self._place + view.nbytes)
        view[:] = found.ljust(view.nbytes, b"\0")
        self._place += view.nbytes
        return view.nbytes


class _Reader:
    """Goes through one open file."""

    def __init__(self, file: Any, mapped: MappedFile) -> None:
        self._file = file
        self._mapped = mapped
        self._path = mapped.path
        self._seen: set[int] = set()
        self._declared = 0

    def tensors(self) -> dict[str, StoredTensor]:
        """Everything in the file, which has to be datasets in groups."""
        return {name: self._tensor(name, dataset) for name, dataset in self._datasets("", 0)}

    def _datasets(self, path: str, depth: int) -> Iterator[tuple[str, Any]]:
        group = self._file[path] if path else self._file
        self._note(path, group)
        for step in group:
            inner = f"{path}/{step}" if path else step
            link = group.get(step, getlink=True)
            if type(link) is not h5py.HardLink:
                raise UnsafeCheckpointError(
                    "file refers to something outside itself, or around a corner",
                    expected="weights that lie in it",
                    found=f"{type(link).__name__} at {shorten(inner)}", where=self._path,
                    fix="do not trust this file",
                )  # fmt: skip
            node = group[step]
            if isinstance(node, h5py.Dataset):
                yield inner, node
            elif isinstance(node, h5py.Group) and depth < _MAX_DEPTH:
                yield from self._datasets(inner, depth + 1)
            else:
                raise CheckpointError(
                    "file holds something else than weights", expected="datasets in groups",
                    found=shorten(inner), where=self._path,
                )  # fmt: skip

    def _note(self, name: str, node: Any) -> None:
        """Refuse what has been met before: a loop, or one array for two weights."""
        address = h5py.h5o.get_info(node.id).addr
        if address in self._seen:
            raise UnsafeCheckpointError(
                "two names in the file stand for the same thing", found=shorten(name),
                where=self._path, fix="do not trust this file",
            )  # fmt: skip
        self._seen.add(address)

    def _tensor(self, name: str, dataset: Any) -> StoredTensor:
        """`dataset` as a tensor, after everything it declares has been checked."""
        self._note(name, dataset)
        creation = dataset.id.get_create_plist()
        offset = dataset.id.get_offset()
        plain = (
            creation.get_layout() == h5py.h5d.CONTIGUOUS
            and creation.get_external_count() == 0
            and creation.get_nfilters() == 0
        )
        if not plain:
            raise UnsafeCheckpointError(
                "weight is not a plain array in its file",
                expected="contiguous storage, neither external, virtual nor compressed",
                found=shorten(name), where=self._path,
                fix="save the checkpoint again with save_pretrained, or use its safetensors file",
            )  # fmt: skip
        dtype = dtype_of(dataset.id.get_type(), name=name, where=self._path)
        shape = check_shape(dataset.shape, name=name, where=self._path)
        length = prod(shape) * dtype.itemsize
        self._declared += length
        if length and (
            offset is None
            or offset + length > self._mapped.size
            or self._declared > self._mapped.size
            or dataset.id.get_storage_size() != length
        ):
            raise UnsafeCheckpointError(
                "weight is larger than what the file holds of it",
                expected=f"{length} bytes for {shorten(name)} {shape}",
                found=f"a file of {self._mapped.size} bytes", where=self._path,
            )  # fmt: skip
        return self._mapped.tensor(name, offset or 0, shape, dtype)
