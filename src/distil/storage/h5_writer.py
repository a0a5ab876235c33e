"""Writing tf_model.h5 as transformers and Keras 2 do.

Source: ``TFPreTrainedModel.save_pretrained`` of transformers 4.57, and the file that it writes.
"""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np

from distil.arrays import Array
from distil.storage.tensors import BFLOAT16

# Keras 3 writes other files; 2.15 is the last version that wrote these.
_KERAS_VERSION = "2.15.0"

# HDF5 has no room for a longer attribute in the header of an object.
_LONGEST_ATTRIBUTE = 64512


class _PatientFile(io.FileIO):
    """A file that takes everything and says only afterwards what it could not keep.

    HDF5 does not survive a write that fails: on a full disk it crashes the process while it
    cleans up.  So no write fails here, and whoever writes asks `check` in between.

    Args:
        path: The file to write.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data`, unless a write has failed before."""
        rest = memoryview(data).cast("B")
        length = rest.nbytes
        try:
            while rest.nbytes and self._error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._error = error
        return length

    def truncate(self, size: int | None = None) -> int:
        """Give the file its length, unless a write has failed before."""
        try:
            if self._error is None:
                super().truncate(size)
        except OSError as error:
            self._error = error
        return size or 0

    def check(self) -> None:
        """Raise the first error there was."""
        if self._error is not None:
            raise self._error


class H5Writer:
    """Writes tensors as they come.

    Args:
        path: The file to write.
        model_name: The leading name of the weights, as tf_distil_bert_model.
    """

    def __init__(self, path: Path, model_name: str) -> None:
        self._disk = _PatientFile(path)
        self._file = h5py.File(self._disk, "w", libver="earliest")
        self._model_name = model_name
        self._names: list[str] = []

    def add(self, name: str, array: Array) -> None:
        """Write one tensor."""
        array = np.ascontiguousarray(array)
        kind = _type_of(array.dtype)
        space = h5py.h5s.create_simple(array.shape)
        # Opened by hand: h5py knows no bfloat16, and would store it as unnamed bytes.
        parents = h5py.h5p.create(h5py.h5p.LINK_CREATE)
        parents.set_create_intermediate_group(True)
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_obj_track_times(False)  # the same weights give the same file at any time
        dataset = h5py.h5d.create(
            self._file.id, name.encode(), kind, space, dcpl=creation, lcpl=parents
        )
        same_bits = array.view(f"V{array.itemsize}")
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, same_bits, mtype=kind)
        self._disk.check()
        self._names.append(name)

    def finish(self, *, alone: bool) -> None:
        """Write the lists of names and close the file.

        Args:
            alone: Whether this is the whole checkpoint. Shards are laid out by weights, a
                whole file by the layers of the model.
        """
        if alone:
            self._lay_out_by_layers()
        else:
            _write_names(self._file, "layer_names", self._names)
        self._file.close()
        self._disk.check()
        self._disk.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        with suppress(OSError, RuntimeError, ValueError):  # as h5py passes on HDF5's errors
            self._file.close()
        self._disk.close()

    def _lay_out_by_layers(self) -> None:
        layers: dict[str, list[str]] = {}
        for name in self._names:
            layers.setdefault(name.partition("/")[0], []).append(name)
        self._file.attrs["backend"] = np.bytes_(b"tensorflow")
        self._file.attrs["keras_version"] = np.bytes_(_KERAS_VERSION.encode())
        # Moved aside first, since a layer and its weights both begin with the layer's name.
        for layer in layers:
            self._file.move(layer, f"{self._model_name}/{layer}")
        for layer, names in layers.items():
            paths = [f"{self._model_name}/{name}" for name in names]
            group = self._file.create_group(layer)
            group.create_group(self._model_name)
            self._file.move(f"{self._model_name}/{layer}", f"{layer}/{self._model_name}/{layer}")
            _write_names(group, "weight_names", paths)
        del self._file[self._model_name]
        _write_names(self._file.create_group("top_level_model_weights"), "weight_names", [])
        _write_names(self._file, "layer_names", list(layers))


def _type_of(dtype: np.dtype[Any]) -> Any:
    """The HDF5 type that `dtype` is stored as.

    HDF5 before 2.0 has no bfloat16; other readers of the file get its numbers as float32.
    Source: H5T_FLOAT_BFLOAT16LE of HDF5 2.0, which is defined in this way.
    """
    if dtype != BFLOAT16:
        return h5py.h5t.py_create(dtype.newbyteorder("<"))
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)  # sign, exponent's place and size, mantissa's
    kind.set_size(2)
    kind.set_ebias(127)
    return kind


def _write_names(node: Any, attribute: str, names: list[str]) -> None:
    """Store a list of names as an attribute, in numbered parts if it is too long for one."""
    encoded = np.asarray([name.encode() for name in names])
    parts = 1
    while any(part.nbytes > _LONGEST_ATTRIBUTE for part in np.array_split(encoded, parts)):
        parts += 1
    if parts == 1:
        node.attrs[attribute] = encoded
        return
    for number, part in enumerate(np.array_split(encoded, parts)):
        node.attrs[f"{attribute}{number}"] = part
