"""Files of .safetensors."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from attacks import made
from attacks.made import H5, SAFETENSORS, Make
from attacks.table.row import NESTED, put, rows

_MATRIX = "pre_classifier.weight"
_SCALES = f"{_MATRIX}_scale"


def _file_of(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _entry(shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


def _file(header: Any, data: bytes = b"") -> Make:
    return made.content(SAFETENSORS, _file_of(header, data))


def _transposed(table: dict[str, Any]) -> None:
    table["classifier.weight"]["shape"].reverse()


def _overlap(table: dict[str, Any]) -> None:
    table["classifier.bias"]["data_offsets"] = [0, 12]


def _scales(value: float) -> Make:
    """Weights in int8 with one scale of another value."""

    def change(arrays: dict[str, Any]) -> None:
        arrays[_SCALES][0] = value

    return made.int8(change)


def _one_scale(arrays: dict[str, Any]) -> None:
    """A single scale, which would do for all rows."""
    arrays[_SCALES] = arrays[_SCALES][:1]


def _in_float(arrays: dict[str, Any]) -> None:
    arrays[_MATRIX] = arrays[_MATRIX].astype(np.float32)


def _zero_points(arrays: dict[str, Any]) -> None:
    arrays[f"{_MATRIX}_zero_point"] = np.full_like(arrays[_SCALES], 3, np.int8)


def _h5_by_another_name(folder: Path) -> None:
    made.whole(folder, "h5")
    (folder / H5).rename(folder / SAFETENSORS)


def _many(folder: Path) -> None:
    """A hundred thousand weights that no model knows."""

    def add(table: dict[str, Any]) -> None:
        end = max(entry["data_offsets"][1] for name, entry in table.items() if name[0] != "_")
        table |= {f"w{number}": _entry([0], end, end) for number in range(100_000)}

    made.header(add)(folder)


ATTACKS = (
    *rows(
        "weights", SAFETENSORS, "",
        ("metadata that says TensorFlow",
         made.header(put("__metadata__", to={"format": "tf"})), None),
        ("metadata that says nothing", made.header(lambda table: table.pop("__metadata__")), None),
        ("100,000 unknown weights", _many, None),
        ("empty", made.content(SAFETENSORS, b""), "file is empty"),
        ("only a length", made.content(SAFETENSORS, struct.pack("<Q", 2)), "longer than it can be"),
        ("a header that is no JSON", _file(b"{'a': 1}"), "not a JSON file"),
        ("a header nested without end", _file(NESTED), "not a JSON file"),
        ("bits flipped in the length", made.damaged(SAFETENSORS, "safetensors", made.flip(0)),
         "not a JSON"),
        ("bits flipped in the header", made.damaged(SAFETENSORS, "safetensors", made.flip(20)),
         "not a JSON"),
        ("a loop of links", made.instead(SAFETENSORS, "loop"), "cannot be read"),
    ),
    *rows(
        "weights", SAFETENSORS, "length of the header",
        ("a header longer than the file",
         made.content(SAFETENSORS, struct.pack("<Q", 1 << 63) + b"{}"), "longer than it can be"),
        ("a header of 20 MB", _file(b"{}" + b" " * 20_000_000), "longer than it can be"),
        ("cut off in the header", made.damaged(SAFETENSORS, "safetensors", made.cut(0.01)),
         "longer than it can be"),
        ("HDF5 by another name", _h5_by_another_name, "longer than it can be"),
    ),
    *rows(
        "weights", SAFETENSORS, "keys once",
        ("a key twice", _file(b'{"a":{},"a":{}}'), "a key occurs twice"),
    ),
    *rows(
        "weights", SAFETENSORS, "text that can be encoded",
        ("a name of half a character",
         _file(b'{"\\ud800":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'),
         "cannot be encoded"),
    ),
    *rows(
        "weights", SAFETENSORS, "types in a header",
        ("an entry that is a list", _file({"a": [1]}), "type of a is not supported"),
        ("a type that no weight has",
         _file({"a": _entry([1], 0, 4) | {"dtype": "F128"}}, bytes(4)),
         "type of a is not supported"),
    ),
    *rows(
        "weights", SAFETENSORS, "places of weights",
        ("a negative offset", _file({"a": _entry([2], -8, 0)}, bytes(8)), "header says"),
        ("offsets backwards", _file({"a": _entry([0], 8, 0)}, bytes(8)), "header says"),
        ("offsets beyond the end", _file({"a": _entry([4], 0, 16)}, bytes(8)), "header says"),
        ("terabytes declared", _file({"a": _entry([1 << 40], 0, 1 << 42)}), "header says"),
        ("a name of a million characters", _file({"a" * 10**6: _entry([4], 0, 16)}, bytes(8)),
         "header says"),
        ("cut off in a weight", made.damaged(SAFETENSORS, "safetensors", made.cut(0.7)),
         "header says"),
        ("one byte too short", made.damaged(SAFETENSORS, "safetensors", lambda d: d[:-1]),
         "header says"),
    ),
    *rows(
        "weights", SAFETENSORS, "no bytes between weights",
        ("overlapping weights", made.header(_overlap), "not a valid safetensors file"),
        ("a hole between weights",
         _file({"a": _entry([1], 0, 4), "b": _entry([1], 8, 12)}, bytes(12)),
         "not a valid safetensors file"),
        ("one byte too long", made.damaged(SAFETENSORS, "safetensors", lambda d: d + b"x"),
         "not a valid safetensors file"),
    ),
    *rows(
        "weights", SAFETENSORS, "shapes",
        ("a size that overflows", _file({"a": _entry([1 << 62, 4], 0, 0)}), "impossible"),
        ("1000 dimensions", _file({"a": _entry([1] * 1000, 0, 4)}, bytes(4)), "impossible"),
        ("a negative size", _file({"a": _entry([-1, -1], 0, 4)}, bytes(4)), "impossible"),
    ),
    *rows(
        "weights", SAFETENSORS, "metadata",
        ("metadata that is no table", made.header(put("__metadata__", to=[1])),
         "not a valid safetensors file"),
    ),
    *rows(
        "weights", SAFETENSORS, "report of the weights",
        ("weights of another model", _file({"a": _entry([1], 0, 4)}, bytes(4)),
         "no weights of the encoder"),
        ("a transposed kernel", made.header(_transposed), "other shapes"),
    ),
    *rows(
        "weights", SAFETENSORS, "bytes with their scales",
        ("int8 without scales", made.int8(lambda arrays: arrays.pop(_SCALES)),
         "its rows have no scales"),
        ("one scale for all rows", made.int8(_one_scale), "its rows have no scales"),
    ),
    *rows(
        "weights", SAFETENSORS, "nothing left of int8",
        ("scales of a weight in float32", made.int8(_in_float), "belongs to no weight in int8"),
        ("zero points", made.int8(_zero_points), "belongs to no weight in int8"),
    ),
    *rows(
        "values", SAFETENSORS, "scales",
        ("a scale that is NaN", _scales(np.nan), "scales that are none"),
        ("a scale without end", _scales(np.inf), "scales that are none"),
        ("a scale of 0", _scales(0), "scales that are none"),
        ("a negative scale", _scales(-1), "scales that are none"),
    ),
    *rows(
        "weights", SAFETENSORS, "own files",
        ("a link that leaves the folder", made.linked(SAFETENSORS), "leaves"),
        ("an endless device", made.instead(SAFETENSORS, "endless device"), "leaves"),
    ),
    *rows(
        "weights", SAFETENSORS, "plain files",
        ("a pipe", made.instead(SAFETENSORS, "pipe"), "not a file"),
        ("a folder", made.instead(SAFETENSORS, "folder"), "not a file"),
    ),
    *rows(
        "finite", SAFETENSORS, "finite values",
        ("NaN", made.poke(np.nan), "not finite"),
        ("infinity", made.poke(np.inf), "not finite"),
        ("minus infinity", made.poke(-np.inf), "not finite"),
    ),
)  # fmt: skip
