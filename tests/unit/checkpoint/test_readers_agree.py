"""What is read is what the libraries of the formats read, for any file that is taken at all."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open

from attacks import made
from distil.errors import CheckpointError
from distil.storage.archive import read_archive
from distil.storage.h5_reader import read_h5
from distil.storage.h5_types import _TYPES, dtype_of
from distil.storage.h5_writer import _type_of
from distil.storage.safetensors_file import read_safetensors

DRAWN = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

# safetensors ------------------------------------------------------------------------------------

SIZES = st.sampled_from([0, 1, 2, 3, -1, True, 1.0, 2**62, None])
OFFSETS = st.sampled_from([0, 4, 8, 12, 16, -4, 2**63, None])
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "I8", "F8_E4M3", "X", None]),
        "shape": st.lists(SIZES, max_size=3) | st.none(),
        "data_offsets": st.lists(OFFSETS, min_size=1, max_size=3) | st.none(),
    }
)
METADATA = st.none() | st.dictionaries(st.text(max_size=2), st.text(max_size=2) | st.integers())


@DRAWN
@given(
    entries=st.dictionaries(st.sampled_from("abc"), ENTRIES, max_size=3),
    metadata=METADATA, length=st.sampled_from([0, 4, 8, 12, 16]),
)  # fmt: skip
def test_safetensors(tmp_path: Path, entries: Any, metadata: Any, length: int) -> None:
    text = json.dumps(entries | ({} if metadata is None else {"__metadata__": metadata})).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(range(length)))
    try:
        tensors, _ = read_safetensors(path)
    except CheckpointError:
        return
    try:
        with safe_open(path, "numpy") as file:
            assert set(file.keys()) == set(tensors)
            for name, tensor in tensors.items():
                np.testing.assert_array_equal(file.get_tensor(name), tensor.read())
    except SafetensorError as error:
        raise AssertionError(f"taken, and refused by the library: {text!r}") from error


# Archives ---------------------------------------------------------------------------------------


ENTRY_NAMES = st.sampled_from(
    ["a/data.pkl", "a/version", "a/DATA.pkl", "b/data.pkl", "a/data/0", "ä/data.pkl"]
)


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """Archives of a few entries, made by Python, in which some fields were changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in draw(st.lists(ENTRY_NAMES, min_size=1, max_size=4, unique=True)):
            file.writestr(name, draw(st.binary(max_size=9)))
    data = bytearray(buffer.getvalue())
    if draw(st.booleans()):
        *_, count, size, start, _ = struct.unpack("<4s4H2LH", data[-22:])
        place = len(data) - 22
        end = struct.pack(
            "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size,
            start + draw(st.sampled_from([0, 0, 1])),
        )  # fmt: skip
        locator = struct.pack("<4sLQL", b"PK\6\7", 0, place + draw(st.sampled_from([0, 0, -1])), 1)
        data[place:place] = end + locator
    for _ in range(draw(st.integers(0, 2))):
        where = draw(st.integers(0, len(data) - 1))
        data[where] = draw(st.sampled_from([0, 1, 8, 0xFF, data[where] ^ 0x20]))
    if draw(st.integers(0, 9)) == 0:
        data += draw(st.binary(max_size=3))
    return bytes(data)


@pytest.mark.pt
@DRAWN
@given(data=archives() | st.just(made.two_directories(b"\x80\x02].")))
def test_archives(tmp_path: Path, data: bytes) -> None:
    """PyTorch finds the very bytes that are looked through here, under each name."""
    import torch

    try:
        entries = read_archive(io.BytesIO(data), tmp_path)
        reader = torch._C.PyTorchFileReader(io.BytesIO(data))
    except (CheckpointError, RuntimeError, ValueError):
        return
    for name, entry in entries.items():
        assert reader.has_record(name)
        assert reader.get_record(name) == data[entry.start : entry.start + entry.size]


@pytest.mark.pt
def test_archives_of_pytorch(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "modèle.bin"
    torch.save({"a": torch.arange(5.0), "b": torch.zeros(0)}, path)
    with path.open("rb") as file:
        entries = read_archive(file, path)
    reader = torch._C.PyTorchFileReader(str(path))
    assert set(entries) == set(reader.get_all_records())
    for name, entry in entries.items():
        found = path.read_bytes()[entry.start : entry.start + entry.size]
        assert reader.get_record(name) == found


@pytest.mark.pt
def test_archives_with_wide_fields(tmp_path: Path) -> None:
    """As those of more than 4 GB: a field of ones, and the number itself in 64 bits elsewhere."""
    import torch

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a/version", "3\n")
        file.writestr("a/data.pkl", b"content")
    data = buffer.getvalue()
    *_, count, size, start, _ = struct.unpack("<4s4H2LH", data[-22:])
    directory = bytearray(data[start : start + size])
    second = directory.index(b"PK\1\2", 4)
    offset = struct.unpack_from("<L", directory, second + 42)[0]
    directory[second + 20 : second + 28] = b"\xff" * 8
    directory[second + 42 : second + 46] = b"\xff" * 4
    directory[second + 30 : second + 32] = struct.pack("<H", 28)
    directory += struct.pack("<2H3Q", 1, 24, 7, 7, offset)
    size = len(directory)
    place = start + size
    whole = data[:start] + bytes(directory)
    whole += struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    whole += struct.pack("<4sLQL", b"PK\6\7", 0, place, 1)
    whole += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    entry = read_archive(io.BytesIO(whole), tmp_path)["data.pkl"]
    assert whole[entry.start : entry.start + entry.size] == b"content"
    assert torch._C.PyTorchFileReader(io.BytesIO(whole)).get_record("data.pkl") == b"content"


# HDF5 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", _TYPES.values(), ids=str)
def test_types_of_hdf5(tmp_path: Path, dtype: np.dtype[Any]) -> None:
    message = _type_of(dtype).encode()[2:]  # behind a version and a class of their own
    assert dtype_of(message, name="a", where=tmp_path) == dtype


# With others, h5py writes a group in HDF5's newer form.
NAMES = st.text(st.characters(max_codepoint=127, exclude_characters="/\0"), min_size=1)
ARRAYS = st.tuples(
    st.sampled_from(["f2", "f4", "f8", "i4", "i8"]), st.lists(st.integers(0, 4), max_size=3)
)


@DRAWN
@given(content=st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), ARRAYS))
def test_hdf5(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "tf_model.h5"
    written: dict[str, Any] = {}
    with h5py.File(path, "w") as file:
        for name, (dtype, shape) in content.items():
            parts = name.split("/")
            ways = ["/".join(parts[:end]) for end in range(1, len(parts))]
            if any(way in written for way in ways) or name in file or {".", ".."} & {*parts}:
                continue
            written[name] = np.full(shape, len(written), dtype)
            file[name] = written[name]
            file[name].attrs["note"] = "x" * len(written)
    tensors, close = read_h5(path)
    assert tensors.keys() == written.keys()
    for name, array in written.items():
        found = tensors[name].read()
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)
    close()


def test_many_names_and_attributes(tmp_path: Path) -> None:
    """A tree of two levels, names in a heap that has grown, a header that goes on elsewhere."""
    path = tmp_path / "tf_model.h5"
    with h5py.File(path, "w") as file:
        for number in range(3000):
            file[f"group/weight{number:05d}"] = np.full(3, number, np.float32)
        for number in range(60):
            file["group/weight00007"].attrs[f"note{number}"] = "x" * 100
    tensors, _ = read_h5(path)
    assert list(tensors) == [f"group/weight{number:05d}" for number in range(3000)]
    assert all(tensor.read()[0] == number for number, tensor in enumerate(tensors.values()))
