"""Bricks of hostile checkpoints: a whole one, and what is changed about its files."""

from __future__ import annotations

import atexit
import functools
import io
import json
import os
import pickle
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import load_file, save_file

from support.folders import make_folder

TASK = "sequence-classification"
CONFIG = "config.json"
SAFETENSORS, H5, BIN = "model.safetensors", "tf_model.h5", "pytorch_model.bin"
INDEX = f"{SAFETENSORS}.index.json"
KERNEL = "classifier/tf_distil_bert_for_sequence_classification/classifier/kernel:0"

Make = Callable[[Path], object]


@functools.cache
def _whole(format_name: str, shards: bool) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="attacks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return make_folder(folder, TASK, format=format_name, max_shard_size=8000 if shards else None)


def whole(folder: Path, format_name: str = "safetensors", *, shards: bool = False) -> Path:
    """A checkpoint that nothing is wrong with."""
    return shutil.copytree(_whole(format_name, shards), folder, dirs_exist_ok=True)


def content(name: str, data: bytes) -> Make:
    """A checkpoint in which one file holds `data`."""

    def make(folder: Path) -> None:
        whole(folder, "h5" if name == H5 else "safetensors", shards=name == INDEX)
        if name == BIN:
            (folder / SAFETENSORS).unlink()
        (folder / name).write_bytes(data)

    return make


def config(**fields: Any) -> Make:
    """A checkpoint whose config.json has other fields, or more of them."""

    def make(folder: Path) -> None:
        table = json.loads((whole(folder) / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps(table | fields))

    return make


def header(change: Callable[[dict[str, Any]], object]) -> Make:
    """A safetensors file whose header was changed."""

    def make(folder: Path) -> None:
        data = (whole(folder) / SAFETENSORS).read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        table = json.loads(data[8 : 8 + length])
        change(table)
        text = json.dumps(table).encode()
        (folder / SAFETENSORS).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    return make


def poke(value: float) -> Make:
    """A weight with a value that is not finite."""

    def make(folder: Path) -> None:
        path = whole(folder) / SAFETENSORS
        data = bytearray(path.read_bytes())
        data[-4:] = np.float32(value).tobytes()
        path.write_bytes(data)

    return make


def int8(change: Callable[[dict[str, Any]], object]) -> Make:
    """Weights in int8 of which something was changed."""

    def make(folder: Path) -> None:
        import distil

        distil.convert(_whole("safetensors", False), folder, dtype="int8")
        arrays = load_file(folder / SAFETENSORS)
        change(arrays)
        save_file(arrays, folder / SAFETENSORS)

    return make


def h5(change: Callable[[h5py.File, Path], object], format_name: str = "h5") -> Make:
    """An h5 file that was changed."""

    def make(folder: Path) -> None:
        whole(folder, format_name)
        with h5py.File(folder / H5, "a") as file:
            change(file, folder)

    return make


def secret_h5(folder: Path) -> Path:
    """An h5 file outside of the folder, whose values must not come into a model."""
    path = folder.parent / "secret.h5"
    with h5py.File(path, "w") as file:
        file["kernel:0"] = np.ones((32, 3), np.float32)
        file["group/kernel:0"] = np.ones((32, 3), np.float32)
    (folder.parent / "secret.raw").write_bytes(bytes(1 << 20))
    return path


def index(change: Callable[[dict[str, Any]], object]) -> Make:
    """An index of shards that was changed."""

    def make(folder: Path) -> None:
        table = json.loads((whole(folder, shards=True) / INDEX).read_text())
        change(table)
        (folder / INDEX).write_text(json.dumps(table))

    return make


def shard_called(name: str) -> Make:
    """An index that names a file which is not in the folder; the file is there."""

    def change(table: dict[str, Any]) -> None:
        table["weight_map"][next(iter(table["weight_map"]))] = name

    def make(folder: Path) -> None:
        index(change)(folder)
        shutil.copy(next(folder.glob("model-*")), folder.parent / "outside.safetensors")

    return make


def linked(name: str, *, format_name: str = "safetensors", shards: bool = False) -> Make:
    """A file that is a link to one outside of the folder, which is whole."""

    def make(folder: Path) -> None:
        whole(folder, format_name, shards=shards)
        path = sorted(folder.glob(name))[0]
        outside = folder.parent / "outside" / path.name
        outside.parent.mkdir(exist_ok=True)
        path.rename(outside)
        path.symlink_to(outside)

    return make


def instead(
    name: str, what: str, *, format_name: str = "safetensors", shards: bool = False
) -> Make:
    """A pipe, a device, a folder or a broken link in place of a file."""

    def make(folder: Path) -> None:
        whole(folder, format_name, shards=shards)
        path = sorted(folder.glob(name))[0] if any(folder.glob(name)) else folder / name
        path.unlink(missing_ok=True)
        match what:
            case "pipe":
                os.mkfifo(path)
            case "endless device":
                path.symlink_to("/dev/zero")
            case "folder":
                path.mkdir()
            case "loop":
                path.symlink_to(path.name)
            case "nothing":
                path.symlink_to("nowhere")

    return make


def damaged(name: str, format_name: str, damage: Callable[[bytes], bytes]) -> Make:
    """A file cut off, or with other bytes."""

    def make(folder: Path) -> None:
        path = whole(folder, format_name, shards=name == INDEX) / name
        path.write_bytes(damage(path.read_bytes()))

    return make


def flip(place: int) -> Callable[[bytes], bytes]:
    """Turn over the bits of one byte."""
    return lambda data: data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def cut(share: float) -> Callable[[bytes], bytes]:
    """Keep the first part of a file."""
    return lambda data: data[: int(len(data) * share)]


class Gadget:
    """Unpickled, it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def gadget(function: Any, *arguments: Any) -> bytes:
    """The pickle of a state dict with a call in it."""
    return pickle.dumps({"weight": Gadget(function, *arguments)}, protocol=2)


def archive(data: bytes, *, more: dict[str, bytes] | None = None, comment: bytes = b"") -> bytes:
    """A pickle in the form of archive that torch.save writes, with all that PyTorch asks for."""
    return archive_of({"data.pkl": data} | (more or {}), comment=comment)


def archive_of(
    entries: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED, comment: bytes = b""
) -> bytes:
    """An archive of these entries, all in one folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in ({"version": b"3\n", "byteorder": b"little"} | entries).items():
            file.writestr(zipfile.ZipInfo(f"archive/{name}"), data, compression)
        file.comment = comment
    return buffer.getvalue()


def two_directories(hidden: bytes) -> bytes:
    """An archive with one directory for those who look before the locator, one where it points."""
    shown_parts, hidden_parts = archive(b"\x80\x02}."), archive(hidden)
    data = bytearray()
    records = []
    for part in (hidden_parts, shown_parts):
        *_, count, size, start, _ = struct.unpack("<4s4H2LH", part[-22:])
        moved = bytearray(part[start : start + size])
        place = 0
        while place < size:  # the entries lie after those of the part before
            (offset,) = struct.unpack_from("<L", moved, place + 42)
            moved[place + 42 : place + 46] = struct.pack("<L", offset + len(data))
            place += 46 + sum(struct.unpack_from("<3H", moved, place + 28))
        begin = len(data) + start
        data += part[:start] + moved
        records.append(len(data))
        data += struct.pack(
            "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, begin
        )
    data += struct.pack("<4sLQL", b"PK\x06\x07", 0, records[0], 1)
    return bytes(data) + struct.pack("<4s4H2LH", b"PK\x05\x06", *[0xFFFF] * 4, *[0xFFFFFFFF] * 2, 0)


def two_folders(first: bytes, second: bytes) -> bytes:
    """An archive with a pickle in each of two folders."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for folder, data in (("one", second), ("archive", first)):
            for name, content_ in (("data.pkl", data), ("version", b"3\n")):
                file.writestr(f"{folder}/{name}", content_)
    return buffer.getvalue()


def older(data: bytes) -> bytes:
    """A pickle in the form that torch.save wrote before version 1.6."""
    before = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True})
    return b"".join(pickle.dumps(one, protocol=2) for one in before) + data + pickle.dumps([], 2)


def bin_file(data: bytes) -> Make:
    """A .bin file of these bytes."""
    return content(BIN, data)


def tokenizer(name: str, data: bytes | Callable[[dict[str, Any]], object]) -> Make:
    """A file of the tokenizer: bytes, or a change of what belongs there."""

    def make(folder: Path) -> None:
        whole(folder)
        if not callable(data):
            (folder / name).write_bytes(data)
            return
        from distil.common.tokenizer import DistilBertTokenizer

        DistilBertTokenizer.from_pretrained(folder).save_pretrained(folder)
        table = json.loads((folder / name).read_text())
        data(table)
        (folder / name).write_text(json.dumps(table))

    return make
