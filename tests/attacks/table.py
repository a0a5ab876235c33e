"""Every attack, one a row: what it is called, how its folder is made, and what must be said.

To add one, add a row to the list of what it is about.  `says` is looked for in the error;
None means that the attack must come to nothing: the folder loads as if it were not there.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from attacks import made
from attacks.made import BIN, CONFIG, H5, INDEX, KERNEL, SAFETENSORS, Make


@dataclass(frozen=True)
class Attack:
    """One hostile folder.

    Attributes:
        about: "config", "weights", "bin" (weights that PyTorch reads) or "tokenizer".
        name: What is done.
        make: Makes the folder.
        says: Part of the error, None if it does no harm.
        names: The file that the error has to name, "" for the folder.
    """

    about: str
    name: str
    make: Make
    says: str | None
    names: str = ""


def _rows(about: str, names: str, *rows: tuple[str, Make, str | None]) -> tuple[Attack, ...]:
    return tuple(Attack(about, name, make, says, names) for name, make, says in rows)


def _set(*path: str, to: Any) -> Any:
    """A change of one place in a table."""

    def change(table: dict[str, Any]) -> None:
        for step in path[:-1]:
            table = table[step]
        table[path[-1]] = to

    return change


# config.json ------------------------------------------------------------------------------------

_NESTED = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


def _huge_config(folder: Path) -> None:
    made.whole(folder)
    with (folder / CONFIG).open("r+b") as file:
        file.truncate(300 * 1024 * 1024)  # zeros, which take no room on the disk


CONFIGS = _rows(
    "config", CONFIG,
    ("names a class in auto_map",
     made.config(auto_map={"AutoModel": "attack_module.Evil", "AutoConfig": "a--b.Evil"}), None),
    ("names code for transformers",
     made.config(custom_pipelines={"x": {"impl": "attack_module.Evil"}}, trust_remote_code=True),
     None),
    ("is of a type of its own", made.config(model_type="attack_module"), "model of this type"),
    ("its type is a table", made.config(model_type={"a": 1}), "model of this type"),
    ("a key is called self", made.config(self=1), None),
    ("a key is called __class__", made.config(__class__="x", __init__=1, __dict__={}), None),
    ("extra is no table", made.config(extra=5), "extra"),
    ("a billion layers", made.config(n_layers=10**9), "n_layers"),
    ("layers without end", made.config(n_layers=10**400), "n_layers"),
    ("two billion labels", made.config(num_labels=2**31 - 1, id2label=None, label2id=None),
     "num_labels"),
    ("labels are a number", made.config(id2label=5), "id2label"),
    ("labels are named as files", made.config(id2label={"../x": "a"}), "id2label"),
    ("a negative width", made.config(dim=-32), "dim"),
    ("a width that is a text", made.config(dim="32"), "dim"),
    ("a width that is a fraction", made.config(dim=32.0), "dim"),
    ("a width that is a list", made.config(dim=[32] * 1000), "dim"),
    ("heads that do not divide the width", made.config(n_heads=5), "n_heads"),
    ("no heads", made.config(n_heads=0), "n_heads"),
    ("a rate that is no number", made.config(dropout=float("nan")), "dropout"),
    ("a spread without end", made.config(initializer_range=10**400), "initializer_range"),
    ("an activation that is code", made.config(activation="__import__('os').system"),
     "activation"),
    ("an activation of a million characters", made.config(activation="x" * 10**6), "activation"),
    ("a padding token beyond the words", made.config(pad_token_id=10**9), "pad_token_id"),
    ("pruned heads of no layer", made.config(pruned_heads={"99": [0]}), "pruned_heads"),
    ("the same field twice", made.config(hidden_size=64), "twice"),
    ("the same key twice", made.content(CONFIG, b'{"dim": 32, "dim": 64}'), "twice"),
    ("deep nesting", made.content(CONFIG, _NESTED), "not a JSON file"),
    ("nesting just not too deep for JSON",
     made.content(CONFIG, b'{"a":' * 400 + b"1" + b"}" * 400), "too deeply"),
    ("300 MB", _huge_config, "too large"),
    ("a number of 5000 digits", made.content(CONFIG, b'{"dim":' + b"9" * 5000 + b"}"), "too long"),
    ("not UTF-8", made.content(CONFIG, b'{"\xff": 1}'), "not a JSON file"),
    ("a list", made.content(CONFIG, b"[]"), "not an object"),
    ("empty", made.content(CONFIG, b""), "not a JSON file"),
    ("a key of a million characters", made.config(**{"x" * 10**6: 1}), None),
    ("a link that leaves the folder", made.linked(CONFIG), "leaves the checkpoint's folder"),
    ("a link to a file of the system", lambda folder: (
        made.whole(folder), (folder / CONFIG).unlink(), (folder / CONFIG).symlink_to("/etc/passwd")
    ), "leaves the checkpoint's folder"),
    ("a pipe", made.instead(CONFIG, "pipe"), "not a file"),
    ("an endless device", made.instead(CONFIG, "endless device"), "leaves"),
    ("a folder", made.instead(CONFIG, "folder"), "not a file"),
    ("a loop of links", made.instead(CONFIG, "loop"), "cannot be read"),
    ("a link to nothing", made.instead(CONFIG, "nothing"), "missing"),
    ("cut off", made.damaged(CONFIG, "safetensors", made.cut(0.5)), "not a JSON file"),
)  # fmt: skip

# Sizes that only the weights can refute.
SIZES = _rows(
    "weights", SAFETENSORS,
    ("sizes that would need terabytes",
     made.config(dim=2**20, hidden_dim=2**31 - 1, vocab_size=2**31 - 1), "another shape"),
    ("words that would need terabytes", made.config(vocab_size=2**31 - 1), "another shape"),
    ("positions that would need terabytes",
     made.config(max_position_embeddings=2**31 - 1, sinusoidal_pos_embds=True), "another shape"),
    ("more layers than weights", made.config(n_layers=256), "missing"),
    ("more labels than weights",
     made.config(num_labels=100_000, id2label=None, label2id=None), "another shape"),
)  # fmt: skip

# .safetensors -----------------------------------------------------------------------------------


def _file_of(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _entry(shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


def _safetensors(header: Any, data: bytes = b"") -> Make:
    return made.content(SAFETENSORS, _file_of(header, data))


def _transposed(table: dict[str, Any]) -> None:
    table["classifier.weight"]["shape"].reverse()


def _overlap(table: dict[str, Any]) -> None:
    table["classifier.bias"]["data_offsets"] = [0, 12]


SAFETENSORS_FILES = _rows(
    "weights", SAFETENSORS,
    ("empty", made.content(SAFETENSORS, b""), "empty"),
    ("only a length", made.content(SAFETENSORS, struct.pack("<Q", 2)), "header"),
    ("a header longer than the file",
     made.content(SAFETENSORS, struct.pack("<Q", 1 << 63) + b"{}"), "longer than it can be"),
    ("a header of 20 MB", _safetensors(b"{}" + b" " * 20_000_000), "longer than it can be"),
    ("a header that is no JSON", _safetensors(b"{'a': 1}"), "not a JSON file"),
    ("a header nested without end", _safetensors(_NESTED), "not a JSON file"),
    ("a key twice", _safetensors(b'{"a":{},"a":{}}'), "twice"),
    ("an entry that is a list", _safetensors({"a": [1]}), "type of a|valid"),
    ("a negative offset", _safetensors({"a": _entry([2], -8, 0)}, bytes(8)), "valid|header says"),
    ("offsets backwards", _safetensors({"a": _entry([0], 8, 0)}, bytes(8)), "valid|header says"),
    ("offsets beyond the end", _safetensors({"a": _entry([4], 0, 16)}, bytes(8)), "header says"),
    ("overlapping weights", made.header(_overlap), "valid"),
    ("a hole between weights",
     _safetensors({"a": _entry([1], 0, 4), "b": _entry([1], 8, 12)}, bytes(12)), "valid"),
    ("terabytes declared", _safetensors({"a": _entry([1 << 40], 0, 1 << 42)}), "header says"),
    ("a size that overflows", _safetensors({"a": _entry([1 << 62, 4], 0, 0)}), "impossible"),
    ("1000 dimensions", _safetensors({"a": _entry([1] * 1000, 0, 4)}, bytes(4)), "impossible"),
    ("a negative size", _safetensors({"a": _entry([-1, -1], 0, 4)}, bytes(4)), "valid|impossible"),
    ("a name of a million characters", _safetensors({"a" * 10**6: _entry([4], 0, 16)}, bytes(8)),
     "header says"),
    ("a name of half a character", _safetensors(b'{"\\ud800":{"dtype":"F32"}}'),
     "cannot be encoded"),
    ("a type that no weight has",
     _safetensors({"a": _entry([1], 0, 4) | {"dtype": "F128"}}, bytes(4)), "type of a"),
    ("weights of another model", _safetensors({"a": _entry([1], 0, 4)}, bytes(4)),
     "no weights of the encoder"),
    ("a transposed kernel", made.header(_transposed), "another shape"),
    ("metadata that says TensorFlow",
     made.header(_set("__metadata__", to={"format": "tf"})), None),
    ("metadata that says nothing", made.header(lambda table: table.pop("__metadata__")), None),
    ("metadata that is no table", made.header(_set("__metadata__", to=[1])), "valid"),
    ("cut off in the header", made.damaged(SAFETENSORS, "safetensors", made.cut(0.01)), "header"),
    ("cut off in a weight", made.damaged(SAFETENSORS, "safetensors", made.cut(0.7)), "header says"),
    ("one byte too short", made.damaged(SAFETENSORS, "safetensors", lambda d: d[:-1]),
     "header says"),
    ("one byte too long", made.damaged(SAFETENSORS, "safetensors", lambda d: d + b"x"), "valid"),
    ("bits flipped in the length", made.damaged(SAFETENSORS, "safetensors", made.flip(0)),
     "not a JSON|valid|longer"),
    ("bits flipped in the header", made.damaged(SAFETENSORS, "safetensors", made.flip(20)),
     "not a JSON|valid"),
    ("HDF5 by another name", lambda folder: (
        made.whole(folder, "h5"), (folder / H5).rename(folder / SAFETENSORS)),
     "longer than it can"),
    ("a link that leaves the folder", made.linked(SAFETENSORS), "leaves the checkpoint's folder"),
    ("a pipe", made.instead(SAFETENSORS, "pipe"), "not a file"),
    ("an endless device", made.instead(SAFETENSORS, "endless device"), "leaves"),
    ("a folder", made.instead(SAFETENSORS, "folder"), "not a file"),
    ("a loop of links", made.instead(SAFETENSORS, "loop"), "cannot be read"),
)  # fmt: skip

NOT_FINITE = _rows(
    "finite",
    SAFETENSORS,
    ("NaN", made.poke(np.nan), "not finite"),
    ("infinity", made.poke(np.inf), "not finite"),
    ("minus infinity", made.poke(-np.inf), "not finite"),
)

# .h5 --------------------------------------------------------------------------------------------


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


H5_FILES = _rows(
    "weights", H5,
    ("a Keras Lambda layer", made.h5(_lambda_layer), None),
    ("an external link", _kernel(lambda secret: h5py.ExternalLink(str(secret), "kernel:0")),
     "outside itself"),
    ("an external link to a group", made.h5(_linked_group), "outside itself"),
    ("a soft link", _kernel(h5py.SoftLink("/classifier")), "outside itself"),
    ("a soft link to nothing", _kernel(h5py.SoftLink("/nowhere")), "outside itself"),
    ("a hard link to another weight", made.h5(lambda file, _: file.__setitem__(
        "classifier/again", file[KERNEL])), "the same thing"),
    ("a group within itself", made.h5(lambda file, _: file.__setitem__(
        "classifier/again", file["classifier"])), "the same thing"),
    ("external storage", made.h5(_external), "plain array"),
    ("a virtual dataset", made.h5(_virtual), "plain array"),
    ("terabytes declared", _kernel({"shape": (1 << 20, 1 << 20), "dtype": "f4"}), "larger than"),
    ("a size that overflows", _kernel({"shape": (1 << 40, 1 << 20), "dtype": "f4"}),
     "larger than|impossible"),
    ("a compressed bomb",
     _kernel({"shape": (1 << 20, 1 << 10), "dtype": "f4", "compression": "gzip"}), "plain array"),
    ("a transposed kernel", _kernel({"data": np.zeros((3, 32), np.float32)}), "another shape"),
    ("a kernel of texts", _kernel({"data": np.full((32, 3), "x", object)}), "not supported"),
    ("a kernel of records", _kernel({"data": np.zeros((32, 3), [("a", "f4")])}), "not supported"),
    ("a type in place of a weight", made.h5(lambda file, _: file.__setitem__(
        "classifier/type", np.dtype("f4"))), "something else"),
    ("groups without end", made.h5(lambda file, _: file.create_group("/".join("x" * 1000))),
     "something else"),
    ("a name of 60,000 characters", made.h5(lambda file, _: file.create_group("x" * 60_000)),
     None),
    ("empty", made.content(H5, b""), "empty"),
    ("only a signature", made.content(H5, b"\x89HDF\r\n\x1a\n"), "not a valid HDF5"),
    ("cut off", made.damaged(H5, "h5", made.cut(0.5)), "HDF5|larger"),
    ("bits flipped in the superblock", made.damaged(H5, "h5", made.flip(8)), "not a valid HDF5"),
    ("bits flipped in the root", made.damaged(H5, "h5", made.flip(96)), "HDF5"),
    ("a link that leaves the folder", made.linked(H5, format_name="h5"), "leaves the checkpoint"),
    ("a pipe", made.instead(H5, "pipe", format_name="h5"), "not a file"),
    ("an endless device", made.instead(H5, "endless device", format_name="h5"), "leaves"),
    ("a folder", made.instead(H5, "folder", format_name="h5"), "not a file"),
)  # fmt: skip

# Indexes ----------------------------------------------------------------------------------------

_OUTSIDE = ("../outside.safetensors", "/etc/outside.safetensors", "..\\outside.safetensors",
            "x\0.safetensors", "sub/x.safetensors", "C:outside.safetensors", ".safetensors",
            "x" * 10**6 + ".safetensors")  # fmt: skip


def _swapped(table: dict[str, Any]) -> None:
    names = table["weight_map"]
    first, second = sorted(set(names.values()))[:2]
    other = {first: second, second: first}
    table["weight_map"] = {name: other.get(file, file) for name, file in names.items()}


INDEXES = _rows(
    "weights", "model",
    *((f"a shard called {name[:24]!r}", made.shard_called(name), "not a plain file")
      for name in _OUTSIDE),
    ("a shard that is a number", made.index(lambda t: t["weight_map"].update(x=3)), "plain file"),
    ("a shard that is not there",
     made.index(lambda t: t["weight_map"].update(x="none.safetensors")), "shard is missing"),
    ("a weight that no shard has",
     made.index(lambda t: t["weight_map"].update(x=next(iter(t["weight_map"].values())))),
     "shard lacks"),
    ("a weight left out", made.index(lambda t: t["weight_map"].popitem()), "shard has a weight"),
    ("weights in each other's shards", made.index(_swapped), "shard"),
    ("no weights", made.index(_set("weight_map", to={})), "names no weights"),
    ("weights that are a list", made.index(_set("weight_map", to=[])), "names no weights"),
    ("20,000 shards", made.index(_set("weight_map", to={
        f"w{number}": f"{number}.safetensors" for number in range(20_000)})), "too many shards"),
    ("a weight of a million characters",
     made.index(lambda t: t["weight_map"].update({"x" * 10**6: "none.safetensors"})),
     "shard is missing"),
    ("a total that lies", made.index(_set("metadata", to={"total_size": 10**18})), None),
    ("a key twice", made.content(INDEX, b'{"weight_map":{"a":"x","a":"y"}}'), "twice"),
    ("nested without end", made.content(INDEX, _NESTED), "not a JSON file"),
    ("cut off", made.damaged(INDEX, "safetensors", made.cut(0.5)), "not a JSON file"),
    ("a shard that leaves the folder", made.linked("model-00001*", shards=True), "leaves"),
    ("an index that leaves the folder", made.linked(INDEX, shards=True), "leaves"),
    ("a shard that is a pipe", made.instead("model-00001*", "pipe", shards=True), "not a file"),
    ("an index that is a pipe", made.instead(INDEX, "pipe", shards=True), "not a file"),
    ("a shard that is a folder", made.instead("model-00001*", "folder", shards=True), "not a file"),
)  # fmt: skip

# .bin -------------------------------------------------------------------------------------------

_CALLS = {
    "os.system": made.gadget(os.system, "touch proof"),
    "builtins.eval": made.gadget(eval, "__import__('attack_module')"),
    "builtins.exec": made.gadget(exec, "import attack_module"),
    "builtins.open": made.gadget(open, "proof", "w"),
    "subprocess.Popen": made.gadget(subprocess.Popen, ["touch", "proof"]),
    "__import__": made.gadget(__import__, "attack_module"),
    "getattr": made.gadget(getattr, "", "join"),
    "a call within calls": made.gadget(list, made.Gadget(os.system, "touch proof")),
    "a module's function by its name": b"\x80\x02}(X\x01\x00\x00\x00wcos\nsystem\nX\x04\x00\x00"
                                       b"\x00true\x85Ru.",
    "BUILD": b"\x80\x02ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00__class__cos\nsystem\nsb.",
    "INST": b"\x80\x02(X\x04\x00\x00\x00trueios\nsystem\n.",
    "OBJ": b"\x80\x02(cos\nsystem\nX\x04\x00\x00\x00trueo.",
    "NEWOBJ": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "an extension's code": b"\x80\x02\x82\x01.",
    "an allocation of a gigabyte": b"\x80\x02cbuiltins\nbytearray\nJ\x00\x00\x00\x40\x85R.",
    "an allocation of a terabyte":
        b"\x80\x02ctorch\nTensor\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.",
    "a storage of terabytes": b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n"
                              b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
                              b"X\x03\x00\x00\x00cpu\x8a\x06\x00\x00\x00\x00\x00\x01tQK\x00K\x01"
                              b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs.",
    "a key that takes for ever to hash": b"\x80\x02})" + b"q\x01h\x01\x86" * 50 + b"K\x01s.",
    "a key as deep as no stack": b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s.",
    "numbers below the stack": b"\x80\x02RRR.",
}  # fmt: skip


def _tar() -> bytes:
    """torch.save of the year 2016, which PyTorch would unpack into a temporary folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name in ("storages", "tensors", "pickle", "../proof"):
            data = made.gadget(os.system, "touch proof")
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _deflated_bomb() -> bytes:
    return made.archive(
        b"\x80\x02}.", compression=zipfile.ZIP_DEFLATED,
        more={"archive/data/0": bytes(50_000_000)},
    )  # fmt: skip


def _first_is_other(folder: Path) -> None:
    """Bytes before an archive: some readers look at its end only."""
    made.bin_file(b"PK\x03\x04" + bytes(100) + made.archive(_CALLS["os.system"]))(folder)


_HARMLESS = b"\x80\x02}."
BIN_FILES = _rows(
    "bin", BIN,
    *((f"{name}, as an archive", made.bin_file(made.archive(data)), "tensors|PyTorch weights")
      for name, data in _CALLS.items()),
    *((f"{name}, in the older form", made.bin_file(made.older(data)), "tensors|PyTorch weights")
      for name, data in _CALLS.items()),
    *((f"{name}, as a plain pickle", made.bin_file(_CALLS[name]), "tensors|PyTorch weights")
      for name in ("os.system", "BUILD", "an allocation of a gigabyte")),
    ("a tar file", made.bin_file(_tar()), "PyTorch weights"),
    ("a deflated bomb", made.bin_file(_deflated_bomb()), "unpacks to more"),
    ("a second pickle of the same name",
     made.bin_file(made.archive(_HARMLESS, more={"archive/DATA.PKL": _CALLS["os.system"]})),
     "read in two ways"),
    ("an archive's comment",
     made.bin_file(made.archive(_HARMLESS, comment=made.archive(_CALLS["os.system"]))),
     "read in two ways|PyTorch weights"),
    ("an archive after other bytes", _first_is_other, "read in two ways|PyTorch weights"),
    ("an archive in an archive",
     made.bin_file(made.archive(_HARMLESS, more={"archive/x": made.archive(_CALLS["BUILD"])})),
     "no weights of the encoder|PyTorch weights|tensors"),
    ("a TorchScript archive", made.bin_file(made.archive(
        _HARMLESS, more={"archive/constants.pkl": b"\x80\x02).", "archive/code/x.py": b"1"})),
     "PyTorch weights|tensors"),
    ("empty", made.bin_file(b""), "PyTorch weights|empty"),
    ("only a signature", made.bin_file(b"PK\x03\x04"), "PyTorch weights"),
    ("cut off, as an archive", made.damaged(BIN, "bin", made.cut(0.5)), "PyTorch weights"),
    ("bits flipped in the pickle", made.damaged(BIN, "bin", made.flip(300)),
     "PyTorch weights|tensors"),
    ("a link that leaves the folder", made.linked(BIN, format_name="bin"), "leaves"),
    ("a pipe", made.instead(BIN, "pipe", format_name="bin"), "not a file"),
)  # fmt: skip

# Tokenizers -------------------------------------------------------------------------------------


def _regex(pattern: str) -> Any:
    return _set(
        "normalizer",
        to={"type": "Replace", "pattern": {"Regex": pattern}, "content": "x"},
    )


_JSON, _VOCABULARY, _OPTIONS = "tokenizer.json", "vocab.txt", "tokenizer_config.json"

TOKENIZERS = (
    *_rows(
        "tokenizer", _VOCABULARY,
        ("vocab.txt twice the same", made.tokenizer(_VOCABULARY, b"[UNK]\na\na\n"), "twice"),
        ("vocab.txt not UTF-8", made.tokenizer(_VOCABULARY, b"\xff\xfe\n"), "not UTF-8"),
        ("vocab.txt empty", made.tokenizer(_VOCABULARY, b""), "empty"),
        ("vocab.txt of a million characters twice",
         made.tokenizer(_VOCABULARY, (b"x" * 10**6 + b"\n") * 2), "twice"),
        ("vocab.txt too large", lambda folder: (
            made.whole(folder), os.truncate(folder / _VOCABULARY, 300 * 1024 * 1024)),
         "too large"),
        ("vocab.txt leaves the folder", made.linked(_VOCABULARY), "leaves"),
        ("vocab.txt is a pipe", made.instead(_VOCABULARY, "pipe"), "not a file"),
        ("vocab.txt is an endless device", made.instead(_VOCABULARY, "endless device"), "leaves"),
        ("vocab.txt is a folder", made.instead(_VOCABULARY, "folder"), "not a file"),
    ),
    *_rows(
        "tokenizer", "",
        ("vocab.txt with a line of a million characters", made.tokenizer(
            _VOCABULARY, b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n" + b"x" * 10**6), None),
        ("vocab.txt lacks the unknown token", made.tokenizer(_VOCABULARY, b"a\nb\n"), "unknown"),
        ("tokenizer.json: an expression that takes for ever",
         made.tokenizer(_JSON, _regex("(a+)+$x")), "regular expression|not that of a BERT"),
        ("tokenizer.json: an expression that is none",
         made.tokenizer(_JSON, _regex("(")), "regular expression|not that of a BERT"),
        ("tokenizer.json: an expression in the splitter", made.tokenizer(_JSON, _set(
            "pre_tokenizer", to={"type": "Split", "pattern": {"Regex": "(a|a)*b"},
                                 "behavior": "Isolated", "invert": False})),
         "regular expression|not that of a BERT"),
        ("tokenizer.json: another algorithm",
         made.tokenizer(_JSON, _set("model", "type", to="attack_module.Evil")),
         "not accept|not that of a BERT"),
        ("tokenizer.json: ids beyond all", made.tokenizer(
            _JSON, _set("model", "vocab", to={"[UNK]": 2**62})), "consecutive"),
        ("tokenizer.json: ids that are texts", made.tokenizer(
            _JSON, _set("model", "vocab", to={"[UNK]": "0"})), "consecutive"),
        ("tokenizer.json: an added token with the id of another", made.tokenizer(
            _JSON, _set("added_tokens", to=[{"id": 7, "content": "evil"}])), "id"),
        ("tokenizer.json: an added token beyond all", made.tokenizer(
            _JSON, _set("added_tokens", to=[{"id": 10**12, "content": "evil"}])), "id"),
        ("tokenizer.json: another frame", made.tokenizer(
            _JSON, _set("post_processor", to={"type": "Sequence", "processors": []})), "frames"),
        ("tokenizer.json: nothing", made.tokenizer(_JSON, b"{}"), "not a tokenizer.json"),
        ("tokenizer.json: nested without end", made.tokenizer(_JSON, _NESTED), "not a JSON"),
        ("tokenizer.json: 300 MB", lambda folder: (
            made.whole(folder), (folder / _JSON).touch(),
            os.truncate(folder / _JSON, 300 * 1024 * 1024)), "too large"),
        ("tokenizer.json leaves the folder", lambda folder: (
            made.whole(folder), (folder / _JSON).symlink_to("/etc/passwd")), "leaves"),
        ("tokenizer.json is a pipe", made.instead(_JSON, "pipe"), "not a file"),
        ("options leave the folder", lambda folder: (
            made.whole(folder), (folder / _OPTIONS).symlink_to("/etc/passwd")), "leaves"),
        ("options name code", made.tokenizer(_OPTIONS, json.dumps({
            "auto_map": {"AutoTokenizer": ["attack_module.Evil", None]},
            "tokenizer_class": "attack_module.Evil"}).encode()), None),
        ("options: a length that is a text",
         made.tokenizer(_OPTIONS, b'{"model_max_length": "x"}'), "model_max_length"),
        ("options: tokens that are numbers", made.tokenizer(_OPTIONS, b'{"cls_token": 5}'),
         "cls_token"),
        ("options: an id of 5000 digits", made.tokenizer(
            _OPTIONS, b'{"added_tokens_decoder": {"' + b"9" * 5000 + b'": {"content": "a"}}}'),
         "added_tokens_decoder"),
        ("options: a list", made.tokenizer(_OPTIONS, b"[]"), "not an object"),
        ("added tokens: ids that are texts", made.tokenizer("added_tokens.json", b'{"x": "y"}'),
         "number"),
        ("special tokens: a list of numbers", made.tokenizer(
            "special_tokens_map.json", b'{"additional_special_tokens": [1, 2]}'), "special"),
    ),
)  # fmt: skip

ATTACKS = (
    *CONFIGS, *SIZES, *SAFETENSORS_FILES, *NOT_FINITE, *H5_FILES, *INDEXES, *BIN_FILES, *TOKENIZERS,
)  # fmt: skip
