"""Reading and writing PyTorch's .bin files: the only code below the frameworks that needs torch."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from distil.arrays import Array
from distil.errors import CheckpointError, FrameworkError, UnsafeCheckpointError, shorten
from distil.storage.archive import Entry, read_archive
from distil.storage.opened import open_own
from distil.storage.pickles import MAX_PICKLE_BYTES, Storage, check_older_form, check_pickle
from distil.storage.tensors import BFLOAT16, Opened, StoredTensor

# weights_only=True could be made to run code before (CVE-2025-32434).
_OLDEST_TORCH = (2, 6)

_ZIP_MAGIC = b"PK\x03\x04"


def read_bin(path: Path) -> Opened:
    """The tensors in `path`, a state dict written by ``torch.save``, old or new.

    Only tensors and plain containers are unpickled (``weights_only=True``), of a pickle that has
    been looked through before; nothing is ever tried again without that.  The values are read
    into memory at once, not mapped: ``torch.save`` rewrites its file in place, and a model would
    lose its weights, and the file, with ``torch.save(model.state_dict(), path)``.

    Raises:
        OSError: The file cannot be read.
        CheckpointError: It is damaged, or holds something other than dense tensors by name.
        UnsafeCheckpointError: Its pickle names something that is not a tensor, or the file is a
            link that leaves its folder.
        FrameworkError: PyTorch is missing or too old.
    """
    torch = _torch(path)
    with open_own(path) as file:
        _check(file, path)
        content = _unpickled(torch, file, path)
    if not isinstance(content, dict):
        raise CheckpointError(
            "not a state dict", expected="tensors by name", found=type(content).__name__, where=path
        )
    # A pickle can give a table another `items`.
    tensors = {name: _tensor(torch, path, name, value) for name, value in dict.items(content)}
    return tensors, tensors.clear


def _check(file: BinaryIO, path: Path) -> None:
    """Refuse what is not built as a state dict, before PyTorch sees it.

    CRCs are not compared: ``torch.serialization.set_crc32_options(False)`` leaves them wrong.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(len(_ZIP_MAGIC)) != _ZIP_MAGIC:
        file.seek(0)
        check_older_form(file.read(MAX_PICKLE_BYTES), path, size=size)
        return
    entries = read_archive(file, path)
    pickled = entries.get("data.pkl")
    if pickled is None or pickled.size > MAX_PICKLE_BYTES:
        raise CheckpointError(
            "not a file of PyTorch weights",
            expected=f"an entry data.pkl of at most {MAX_PICKLE_BYTES} bytes",
            found="none" if pickled is None else f"{pickled.size} bytes", where=path,
            fix="download or save it again",
        )  # fmt: skip
    file.seek(pickled.start)
    _check_sizes(check_pickle(file.read(pickled.size), path, size=size), entries, path)


def _check_sizes(
    storages: Mapping[object, Storage], entries: Mapping[str, Entry], path: Path
) -> None:
    """Refuse storages of which the archive holds more or less than the pickle says."""
    for key, storage in storages.items():
        entry = entries.get(f"data/{key}")
        expected = storage.elements * storage.itemsize
        if entry is None or entry.size != expected:
            raise CheckpointError(
                "weights are cut off, or missing", expected=f"{expected} bytes of data/{key}",
                found="none" if entry is None else f"{entry.size} bytes", where=path,
                fix="download or save it again",
            )  # fmt: skip


def _unpickled(torch: Any, file: BinaryIO, path: Path) -> Any:
    """What ``torch.load`` makes of the file."""
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on what is strange about a pickle: see `_tensor`
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(
            "file is damaged, or holds more than tensors", expected="a state dict",
            found=shorten(str(error).replace("\n", " ")), where=path,
            fix="convert it to safetensors on a machine where you trust it",
        ) from None  # fmt: skip
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise CheckpointError(
            "not a file of PyTorch weights", found=shorten(f"{type(error).__name__}: {error}"),
            where=path, fix="download or save it again",
        ) from None  # fmt: skip


def _torch(path: Path) -> Any:
    """The torch package, if it is one that loads safely."""
    try:
        import torch  # noqa: PLC0415 - the only place here that needs a framework
    except ImportError:
        raise FrameworkError(
            "PyTorch is needed for .bin files, and is not installed", where=path,
            fix='pip install "distil[pt]", or use the safetensors format',
        ) from None  # fmt: skip
    if tuple(map(int, torch.__version__.split(".")[:2])) < _OLDEST_TORCH:
        raise FrameworkError(
            "this PyTorch cannot read .bin files safely",
            expected=".".join(map(str, _OLDEST_TORCH)) + " or later",
            found=torch.__version__, where=path, fix='pip install "distil[pt]"',
        )  # fmt: skip
    return torch


def _tensor(torch: Any, path: Path, name: Any, value: Any) -> StoredTensor:
    """One entry of a state dict, as a view of its tensor."""
    text = isinstance(name, str) and not any("\ud800" <= one <= "\udfff" for one in name)
    if not text or not isinstance(value, torch.Tensor):
        raise CheckpointError(
            "not a state dict", expected="tensors by name",
            found=f"{shorten(repr(name))}: {type(value).__name__}", where=path,
        )  # fmt: skip
    _check_not_expanded(value, name, path)
    value = value.detach()
    try:
        # NumPy has no bfloat16 of its own.
        bfloat16 = value.dtype == torch.bfloat16
        array = value.view(torch.uint16).numpy().view(BFLOAT16) if bfloat16 else value.numpy()
    except (TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"type of {shorten(name)} is not supported", found=shorten(str(error)), where=path
        ) from None
    return StoredTensor(name, path, array.shape, array.dtype, lambda: array)


def _check_not_expanded(value: Any, name: str, path: Path) -> None:
    """Refuse a tensor with strides of 0, which make a large one of a small storage."""
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise CheckpointError(
            "weight is not a plain tensor", expected="as many values as the file has for it",
            found=shorten(name), where=path,
        )  # fmt: skip


class BinWriter:
    """Collects tensors and saves them at once, as pickles are.

    Args:
        path: The file to write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._torch = _torch(path)
        self._tensors: dict[str, Any] = {}

    def add(self, name: str, array: Array) -> None:
        """Take one tensor, without a copy where PyTorch can share the array's memory."""
        array = np.require(array, requirements=["C", "W"])
        if array.dtype == BFLOAT16:
            tensor = self._torch.from_numpy(array.view(np.uint16)).view(self._torch.bfloat16)
        else:
            tensor = self._torch.from_numpy(array)
        self._tensors[name] = tensor

    def tie(self, name: str, *, to: str) -> None:
        """Let `name` share the values of `to`, in the file too."""
        self._tensors[name] = self._tensors[to]

    def finish(self, *, alone: bool) -> None:
        """Write the file; a shard is laid out as a whole file is."""
        try:
            self._torch.save(self._tensors, str(self._path))
        except RuntimeError as error:  # torch's own form of a full disk
            raise OSError(str(error)) from error

    def abandon(self) -> None:
        """Forget the tensors."""
        self._tensors.clear()
