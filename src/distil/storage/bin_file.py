"""Reading and writing PyTorch's .bin files: the only code of `distil.common` that needs torch."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distil.arrays import Array
from distil.errors import CheckpointError, FrameworkError, UnsafeCheckpointError, shorten
from distil.storage.pickles import check_older_form, check_pickle
from distil.storage.tensors import BFLOAT16, Opened, StoredTensor

# weights_only=True could be made to run code before (CVE-2025-32434).
_OLDEST_TORCH = (2, 6)

_ZIP_MAGIC = b"PK\x03\x04"


def read_bin(path: Path) -> Opened:
    """The tensors in `path`, a state dict written by ``torch.save``, old or new.

    Only tensors and plain containers are unpickled (``weights_only=True``); nothing is ever
    tried again without that.  The zip form, torch's own since 1.6, is mapped into memory, and
    the older one read into it.

    Raises:
        OSError: The file cannot be opened.
        CheckpointError: It is damaged, or holds something else than dense tensors by name.
        UnsafeCheckpointError: Its pickle names something that is no tensor.
        FrameworkError: PyTorch is missing or too old.
    """
    torch = _torch(path)
    with path.open("rb") as file:
        mapped = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
        file.seek(0)
        if mapped:
            _check_zip(path)
        else:
            check_older_form(file, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on what is strange about a pickle: see below
            content = torch.load(str(path), map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(
            "file is damaged, or holds more than tensors", expected="a state dict",
            found=shorten(str(error).replace("\n", " ")), where=path,
            fix="convert it to safetensors where you trust it",
        ) from None  # fmt: skip
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise CheckpointError(
            "not a file of PyTorch weights", found=shorten(f"{type(error).__name__}: {error}"),
            where=path, fix="download or save it again",
        ) from None  # fmt: skip
    if not isinstance(content, Mapping):
        raise CheckpointError(
            "not a state dict", expected="tensors by name", found=type(content).__name__, where=path
        )
    tensors = {name: _tensor(torch, path, name, value) for name, value in content.items()}
    return tensors, tensors.clear


def _torch(path: Path) -> Any:
    """The torch package, if it is one that loads safely."""
    try:
        import torch  # noqa: PLC0415 - the only place in common that may need a framework
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


def _check_zip(path: Path) -> None:
    """Refuse an archive that unpacks to more than it is, or whose pickle is no state dict's.

    PyTorch stores without compression.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise UnsafeCheckpointError(
                    "archive unpacks to more than it is",
                    expected="entries stored as they are", where=path,
                )  # fmt: skip
            # Where these hold, PyTorch's reader of archives and Python's see the same entries.
            one_by_one = len({entry.filename.lower() for entry in entries}) == len(entries)
            starts = min((entry.header_offset for entry in entries), default=0)
            if archive.comment or starts != 0 or not one_by_one:
                raise UnsafeCheckpointError(
                    "archive can be read in two ways",
                    expected="entries from its first byte on, each once, and no comment",
                    where=path,
                )  # fmt: skip
            for entry in entries:
                if entry.filename.lower().endswith(".pkl"):
                    with archive.open(entry) as file:
                        check_pickle(file, path)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, RuntimeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            "not a file of PyTorch weights", found=error, where=path,
            fix="download or save it again",
        ) from None  # fmt: skip


def _tensor(torch: Any, path: Path, name: Any, value: Any) -> StoredTensor:
    """One entry of a state dict, its values shared with the file's mapping."""
    if not isinstance(name, str) or not isinstance(value, torch.Tensor):
        raise CheckpointError(
            "not a state dict", expected="tensors by name",
            found=f"{shorten(repr(name))}: {type(value).__name__}", where=path,
        )  # fmt: skip
    dense = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
    # A stride of 0 makes a large tensor out of a small storage.
    if not dense or value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise CheckpointError(
            "weight is no plain tensor", expected="dense, on the CPU, not expanded",
            found=shorten(name), where=path,
        )  # fmt: skip
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
