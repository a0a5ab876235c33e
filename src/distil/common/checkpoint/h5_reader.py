"""Reading tf_model.h5: weights only, as views of the file.

Source: ``tf_model.h5`` as transformers 4 and Keras 2 write it.  One file has a group for each
layer of the model, listed in the attribute ``layer_names``, with the paths of its weights in
``weight_names``; a shard lists the paths of its weights in ``layer_names`` itself.

HDF5 can do far more than hold arrays: read other files, in whole or in part, compute values,
and declare sizes that no file has.  So the library is asked only for names and for where the
bytes lie; whatever is not a plain run of bytes of this very file is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]

from distil.common.checkpoint.h5_types import dtype_of
from distil.common.checkpoint.tensors import (
    Array,
    MappedFile,
    Opened,
    StoredTensor,
    check_shape,
    shorten,
)
from distil.common.errors import CheckpointError, DistilError, UnsafeCheckpointError

_SIGNATURE = b"\x89HDF\r\n\x1a\n"

# Weights that belong to the model itself rather than to one of its layers.
_TOP_LEVEL = "top_level_model_weights"

_MAX_ATTRIBUTE = 16 * 1024 * 1024
_MAX_CHUNKS = 10_000
_MAX_DEPTH = 64


def read_h5(path: Path) -> Opened:
    """The tensors in `path`, by the names that its attributes give.

    Raises:
        OSError: The file cannot be opened.
        CheckpointError: It is damaged, or does not hold the weights of a Keras model.
        UnsafeCheckpointError: It refers to other files, or declares more than it holds.
    """
    mapped = MappedFile(path)
    if mapped.bytes(0, len(_SIGNATURE)) != _SIGNATURE:
        raise CheckpointError(
            "not an HDF5 file", expected=_SIGNATURE, found=mapped.bytes(0, len(_SIGNATURE)),
            where=path, fix="download or save it again",
        )  # fmt: skip
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            return _Reader(file, mapped).tensors(), mapped.close
    except DistilError:
        raise
    except Exception as error:  # h5py passes on HDF5's errors as many types
        raise CheckpointError(
            "not a valid HDF5 file", found=shorten(f"{type(error).__name__}: {error}"),
            where=path, fix="download or save it again",
        ) from None  # fmt: skip


class _Reader:
    """Goes through one open file."""

    def __init__(self, file: Any, mapped: MappedFile) -> None:
        self._file = file
        self._mapped = mapped
        self._path = mapped.path
        self._seen: set[int] = set()
        self._declared = 0

    def tensors(self) -> dict[str, StoredTensor]:
        """Every weight that the file lists."""
        tensors: dict[str, StoredTensor] = {}
        for name, dataset in self._datasets():
            if name in tensors:
                raise CheckpointError("weight stands twice", found=shorten(name), where=self._path)
            tensors[name] = self._tensor(name, dataset)
        return tensors

    def _datasets(self) -> Iterator[tuple[str, Any]]:
        listed = self._names(self._file, "layer_names")
        if listed is None:
            raise CheckpointError(
                "not the weights of a Keras model", expected="the attribute layer_names",
                found=shorten(", ".join(map(str, self._file.attrs))) or "no attributes",
                where=self._path, fix="save it with save_pretrained, not model.save",
            )  # fmt: skip
        layers = dict.fromkeys(listed)
        if self._file.id.links.exists(_TOP_LEVEL.encode()):
            layers[_TOP_LEVEL] = None
        for layer in layers:
            found = self._follow(self._file, layer)
            if isinstance(found, h5py.Dataset):
                yield layer, found
                continue
            for name in self._names(found, "weight_names") or ():
                dataset = self._follow(found, name)
                if not isinstance(dataset, h5py.Dataset):
                    raise CheckpointError(
                        "weight is no dataset", found=shorten(name), where=self._path
                    )
                yield name, dataset

    def _names(self, node: Any, attribute: str) -> list[str] | None:
        """The names in an attribute, which is split in numbered parts where it is long."""
        if attribute in node.attrs:
            return self._texts(node, attribute)
        names: list[str] = []
        for number in range(_MAX_CHUNKS):
            if f"{attribute}{number}" not in node.attrs:
                return names if number else None
            names.extend(self._texts(node, f"{attribute}{number}"))
        raise CheckpointError("attribute has too many parts", found=attribute, where=self._path)

    def _texts(self, node: Any, attribute: str) -> list[str]:
        stored = node.attrs.get_id(attribute)
        # Names of variable length could each repeat one long text; Keras writes none.  An
        # empty list is stored as floating-point numbers.
        size = prod(stored.shape) * stored.dtype.itemsize
        if len(stored.shape) != 1 or (stored.dtype.kind != "S" and size > 0):
            raise CheckpointError(
                "attribute is not a list of names of fixed length",
                found=f"{attribute}: {stored.dtype} {stored.shape}", where=self._path,
            )  # fmt: skip
        if size > min(_MAX_ATTRIBUTE, self._mapped.size):
            raise UnsafeCheckpointError(
                "attribute is larger than its file", found=attribute, where=self._path
            )
        if size == 0:
            return []
        try:
            return [name.decode("utf-8") for name in node.attrs[attribute].tolist()]
        except UnicodeDecodeError as error:
            raise CheckpointError(
                "name of a weight is not UTF-8", found=error, where=self._path
            ) from None

    def _follow(self, group: Any, path: str) -> Any:
        """What lies at `path` below `group`, each step of the way being in this file."""
        steps = path.split("/")
        if len(steps) > _MAX_DEPTH or not all(steps) or {".", ".."} & set(steps) or "\0" in path:
            raise CheckpointError(
                "name of a weight is no path", found=shorten(path), where=self._path
            )
        node = group
        for step in steps:
            link = node.get(step, getlink=True) if isinstance(node, h5py.Group) else None
            if link is None:
                raise CheckpointError(
                    "weight that the file lists is missing", found=shorten(path), where=self._path
                )
            if type(link) is not h5py.HardLink:
                raise UnsafeCheckpointError(
                    "file refers to something outside itself, or around a corner",
                    expected="weights that lie in it",
                    found=f"{type(link).__name__} at {shorten(path)}", where=self._path,
                    fix="do not trust this file",
                )  # fmt: skip
            node = node[step]
        return node

    def _tensor(self, name: str, dataset: Any) -> StoredTensor:
        """`dataset` as a tensor, after everything it declares has been checked."""
        address = h5py.h5o.get_info(dataset.id).addr
        creation = dataset.id.get_create_plist()
        offset = dataset.id.get_offset()
        plain = (
            creation.get_layout() == h5py.h5d.CONTIGUOUS
            and creation.get_external_count() == 0
            and creation.get_nfilters() == 0
            and address not in self._seen
        )
        if not plain:
            raise UnsafeCheckpointError(
                "weight is not a plain array in its file",
                expected="contiguous storage, neither external, virtual, compressed nor shared",
                found=shorten(name), where=self._path,
                fix="save the checkpoint again with save_pretrained, or use its safetensors file",
            )  # fmt: skip
        self._seen.add(address)
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
        start = offset or 0

        def load() -> Array:
            return self._mapped.array(start, shape, dtype)

        return StoredTensor(name, self._path, shape, dtype, load)
