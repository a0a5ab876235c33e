"""Files of .h5."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from attacks import made
from attacks.made import H5, KERNEL, Make
from attacks.table.row import rows


def _kernel(value: Any) -> Make:
    """The classifier's kernel replaced: by a link, or by arguments for a dataset."""

    def change(file: h5py.File, folder: Path) -> None:
        found = value(made.secret_h5(folder)) if callable(value) else value
        del file[KERNEL]
        if isinstance(found, dict):
            file.create_dataset(KERNEL, **found)
        else:
            file[KERNEL] = found

    return made.h5(change)


def _virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((32, 3), np.float32)
    layout[...] = h5py.VirtualSource(str(made.secret_h5(folder)), "kernel:0", (32, 3))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def _external(file: h5py.File, folder: Path) -> None:
    made.secret_h5(folder)
    del file[KERNEL]
    raw = str(folder.parent / "secret.raw")
    file.create_dataset(KERNEL, (32, 3), np.float32, external=[(raw, 0, 384)])


def _linked_group(file: h5py.File, folder: Path) -> None:
    del file["classifier"]
    file["classifier"] = h5py.ExternalLink(str(made.secret_h5(folder)), "group")


def _lambda_layer(file: h5py.File, folder: Path) -> None:
    """As Keras saves a model with a Lambda layer: its code lies in an attribute."""
    layer = {"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}}
    layer["config"]["module"] = "attack_module"
    file.attrs["model_config"] = json.dumps(
        {"class_name": "Sequential", "config": {"layers": [layer]}}
    )
    file.attrs["training_config"] = pickle.dumps(made.Gadget(os.system, "true"))[:60].hex()


def _newer_form(folder: Path) -> None:
    """The same weights, as HDF5 1.8 and later can write them."""
    made.whole(folder, "h5")
    old = folder / "old.h5"
    (folder / H5).rename(old)
    with h5py.File(old) as source, h5py.File(folder / H5, "w", libver="latest") as target:
        for name in source:
            source.copy(name, target)
    old.unlink()


def _tree(change: Callable[[bytearray, int], None]) -> Make:
    """A file in which the first node of a tree of names was changed."""

    def make(folder: Path) -> None:
        path = made.whole(folder, "h5") / H5
        data = bytearray(path.read_bytes())
        change(data, data.index(b"TREE"))
        path.write_bytes(data)

    return make


def _its_own_child(data: bytearray, node: int) -> None:
    data[node + 5] = 1  # one level higher than its leaves
    data[node + 32 : node + 40] = struct.pack("<Q", node)


def _its_own_neighbour(data: bytearray, node: int) -> None:
    data[node + 16 : node + 24] = struct.pack("<Q", node)


def _level_of_its_parent(data: bytearray, node: int) -> None:
    """A node over itself by way of another, each of the same level."""
    other = data.index(b"TREE", node + 1)
    for one, child in ((node, other), (other, node)):
        data[one + 5] = 1
        data[one + 32 : one + 40] = struct.pack("<Q", child)


def _a_level_left_out(data: bytearray, node: int) -> None:
    """A node of level 9 with another of level 0 below it."""
    other = data.index(b"TREE", node + 1)
    data[node + 5] = 9
    data[node + 32 : node + 40] = struct.pack("<Q", other)


def _one_leaf_a_thousand_times(data: bytearray, node: int) -> None:
    """A directory that names the same leaf again and again."""
    (leaf,) = struct.unpack_from("<Q", data, node + 32)
    data[node + 6 : node + 8] = struct.pack("<H", 8)
    for number in range(8):
        data[node + 32 + 16 * number : node + 40 + 16 * number] = struct.pack("<Q", leaf)


def _header_in_a_circle(folder: Path) -> None:
    """A header whose continuation is the header itself, again and again."""
    path = made.whole(folder, "h5") / H5
    data = bytearray(path.read_bytes())
    (root,) = struct.unpack_from("<Q", data, 64)
    data[root + 2 : root + 4] = struct.pack("<H", 0xFFFF)
    data[root + 16 : root + 40] = struct.pack("<2HL2Q", 0x10, 16, 0, root + 16, 24)
    path.write_bytes(data)


def _long_names(file: h5py.File, _: Path) -> None:
    """Names in names: the paths of all these groups together have 200 MB."""
    outer = file.create_group("x" * 60_000)
    for number in range(3000):
        outer.create_group(str(number))


ATTACKS = (
    *rows(
        "weights", H5, "",
        ("a Keras Lambda layer", made.h5(_lambda_layer), None),
        ("a name of 60,000 characters", made.h5(lambda file, _: file.create_group("x" * 60_000)),
         None),
        ("a node of a tree that is its own neighbour", _tree(_its_own_neighbour), None),
        ("empty", made.content(H5, b""), "file is empty"),
        ("another file by its name", made.content(H5, b"PK\x03\x04" + bytes(100)),
         "not an HDF5 file"),
        ("only a signature", made.content(H5, b"\x89HDF\r\n\x1a\n"), "not a valid HDF5"),
        ("cut off", made.damaged(H5, "h5", made.cut(0.5)), "not a valid HDF5"),
        ("bits flipped in the superblock", made.damaged(H5, "h5", made.flip(8)),
         "not a valid HDF5"),
        ("bits flipped in the root", made.damaged(H5, "h5", made.flip(96)), "not a valid HDF5"),
    ),
    *rows(
        "weights", H5, "HDF5 without its library",
        ("an external link", _kernel(lambda secret: h5py.ExternalLink(str(secret), "kernel:0")),
         "outside itself"),
        ("an external link to a group", made.h5(_linked_group), "outside itself"),
        ("a soft link", _kernel(h5py.SoftLink("/pre_classifier")), "outside itself"),
        ("a soft link to nothing", _kernel(h5py.SoftLink("/nowhere")), "outside itself"),
        ("a virtual dataset", made.h5(_virtual), "plain array"),
        ("a compressed bomb",
         _kernel({"shape": (1 << 20, 1 << 10), "dtype": "f4", "compression": "gzip"}),
         "plain array"),
        ("HDF5's newer form", _newer_form, "newer form"),
    ),
    *rows(
        "weights", H5, "HDF5 without its library, external files and filters",
        ("external storage", made.h5(_external), "plain array"),
    ),
    *rows(
        "weights", H5, "HDF5 without its library, sizes of datasets",
        ("terabytes declared", _kernel({"shape": (1 << 20, 1 << 20), "dtype": "f4"}),
         "larger than the bytes stored"),
    ),
    *rows(
        "weights", H5, "shapes of datasets",
        ("a size that overflows", _kernel({"shape": (1 << 40, 1 << 20), "dtype": "f4"}),
         "impossible"),
    ),
    *rows(
        "weights", H5, "HDF5 without its library, parts of HDF5 once + levels of trees",
        ("a node of a tree that is its own child", _tree(_its_own_child), "not a valid HDF5"),
        ("two nodes of a tree that are each other's children", _tree(_level_of_its_parent),
         "not a valid HDF5"),
    ),
    *rows(
        "weights", H5, "levels of trees",
        ("a level left out", _tree(_a_level_left_out), "a node of level"),
    ),
    *rows(
        "weights", H5, "parts of HDF5 once",
        ("a leaf of a tree eight times", _tree(_one_leaf_a_thousand_times), "is reached twice"),
        ("a header that goes on in itself", _header_in_a_circle, "is reached twice"),
    ),
    *rows(
        "weights", H5, "names of HDF5 together",
        ("3,000 groups in a name of 60,000 characters", made.h5(_long_names), "too many names"),
    ),
    *rows(
        "weights", H5, "one name for each array",
        ("a hard link to another weight", made.h5(lambda file, _: file.__setitem__(
            "classifier/again", file[KERNEL])), "the same object"),
        ("a group within itself", made.h5(lambda file, _: file.__setitem__(
            "classifier/again", file["classifier"])), "the same object"),
    ),
    *rows(
        "weights", H5, "types of datasets",
        ("a kernel of texts", _kernel({"data": np.full((32, 3), "x", object)}), "not supported"),
        ("a kernel of records", _kernel({"data": np.zeros((32, 3), [("a", "f4")])}),
         "not supported"),
        ("a kernel with its bytes swapped", _kernel({"data": np.zeros((32, 3), ">f4")}),
         "not supported"),
    ),
    *rows(
        "weights", H5, "report of the weights",
        ("a transposed kernel", _kernel({"data": np.zeros((3, 32), np.float32)}), "other shapes"),
    ),
    *rows(
        "weights", H5, "datasets in groups",
        ("a type in place of a weight", made.h5(lambda file, _: file.__setitem__(
            "classifier/type", np.dtype("f4"))), "something other than weights"),
    ),
    *rows(
        "weights", H5, "depth of groups",
        ("groups without end", made.h5(lambda file, _: file.create_group("/".join("x" * 1000))),
         "something other than weights"),
    ),
    *rows(
        "weights", H5, "own files",
        ("a link that leaves the folder", made.linked(H5, format_name="h5"), "leaves"),
        ("an endless device", made.instead(H5, "endless device", format_name="h5"), "leaves"),
    ),
    *rows(
        "weights", H5, "plain files",
        ("a pipe", made.instead(H5, "pipe", format_name="h5"), "not a file"),
        ("a folder", made.instead(H5, "folder", format_name="h5"), "not a file"),
    ),
)  # fmt: skip
