"""Files of .bin: pickles, in archives and in the older form, and archives of two contents."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attacks import made
from attacks.made import BIN, Make
from attacks.table.row import rows

_FOR_EVER = b"\x80\x02})" + b"q\x01h\x01\x86" * 50 + b"K\x01s."
_TOO_DEEP = b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s."


def storage(elements: bytes, key: bytes = b"0") -> bytes:
    """A storage of floats, as it stands in a pickle; `elements` is an opcode for their number."""
    return (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00" + key
        + b"X\x03\x00\x00\x00cpu" + elements + b"tQ"
    )  # fmt: skip


def tensor(stored: bytes, size: bytes, stride: bytes = b"K\x01") -> bytes:
    """A vector in a storage; `size` and `stride` are opcodes for numbers."""
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + stored + b"K\x00" + size + b"\x85"
        + stride + b"\x85\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def _state(*tensors: bytes) -> bytes:
    items = (b"X\x01\x00\x00\x00" + bytes([ord("a") + n]) + t for n, t in enumerate(tensors))
    return b"\x80\x02}(" + b"".join(items) + b"u."


# Pickles that call something, and what the error says of each.
_CALLS: dict[str, tuple[bytes, str]] = {
    "os.system": (made.gadget(os.system, "touch proof"), "(posix|nt) system"),
    "builtins.eval": (made.gadget(eval, "__import__('attack_module')"), "__builtin__ eval"),
    "builtins.exec": (made.gadget(exec, "import attack_module"), "__builtin__ exec"),
    "builtins.open": (made.gadget(open, "proof", "w"), "io open"),
    "subprocess.Popen": (made.gadget(subprocess.Popen, ["touch", "proof"]), "Popen"),
    "__import__": (made.gadget(__import__, "attack_module"), "__builtin__ __import__"),
    "a call within calls": (
        made.gadget(list, made.Gadget(os.system, "touch proof")), "__builtin__ list"),
    "a module's function by its name": (
        b"\x80\x02}(X\x01\x00\x00\x00wcos\nsystem\nX\x04\x00\x00\x00true\x85Ru.", "os system"),
    "INST": (b"\x80\x02(X\x04\x00\x00\x00trueios\nsystem\n.", "opcode INST"),
    "OBJ": (b"\x80\x02(cos\nsystem\nX\x04\x00\x00\x00trueo.", "os system"),
    "STACK_GLOBAL": (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
                     "opcode SHORT_BINUNICODE"),
}  # fmt: skip
# Pickles that run nothing, and yet must not be unpickled.
_FORMS: dict[str, tuple[bytes, str]] = {
    "getattr": (made.gadget(getattr, "", "join"), "__builtin__ getattr"),
    "BUILD": (b"\x80\x02ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00__class__cos\nsystem\nsb.",
              "os system"),
    "BUILD of a tensor": (_state(tensor(storage(b"K\x01"), b"K\x01") + b"}b"), "opcode BUILD"),
    "NEWOBJ": (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "opcode NEWOBJ"),
    "an extension's code": (b"\x80\x02\x82\x01.", "opcode EXT1|unregistered extension"),
    "an allocation of a gigabyte": (
        b"\x80\x02cbuiltins\nbytearray\nJ\x00\x00\x00\x40\x85R.", "builtins bytearray"),
    "an allocation of a terabyte": (
        b"\x80\x02ctorch\nTensor\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.", "torch Tensor"),
    "a storage that is called": (
        b"\x80\x02ctorch.storage\nUntypedStorage\nK\x10\x85R.", "call of torch.storage"),
    "a storage of terabytes": (
        _state(tensor(storage(b"\x8a\x06\x00\x00\x00\x00\x00\x01"), b"K\x01")),
        "number 1099511627776"),
    "a tensor beyond its storage": (
        _state(tensor(storage(b"K\x02"), b"K\x64")), r"a tensor \(100,\) in 2 numbers"),
    "a storage of two sizes": (
        _state(tensor(storage(b"K\x02"), b"K\x01"), tensor(storage(b"K\x04"), b"K\x01")),
        "a storage of two sizes"),
    "a key that takes for ever to hash": (_FOR_EVER, "one tuple in two places"),
    "a key as deep as no stack": (_TOO_DEEP, "tuples within tuples|at most 1048576"),
    "a million marks": (b"\x80\x02}" + b"(" * 10**6 + b"u.", "marks within marks"),
    "numbers below the stack": (b"\x80\x02RRR.", "PyTorch weights"),
}  # fmt: skip


def _in_both_forms(pickles: dict[str, tuple[bytes, str]]) -> Iterator[tuple[str, Make, str]]:
    for name, (data, says) in pickles.items():
        yield f"{name}, as an archive", made.bin_file(made.archive(data)), says
        yield f"{name}, in the older form", made.bin_file(made.older(data)), says


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
    """A kilobyte of file for a megabyte of weights, and more if one likes."""
    entries = {"data.pkl": _state(tensor(storage(b"J\x00\x00\x10\x00"), b"K\x01"))}
    return made.archive_of(entries | {"data/0": bytes(4 << 20)}, compression=zipfile.ZIP_DEFLATED)


def _folder(folder: Path) -> None:
    """A weight with a folder's attribute: PyTorch gives memory for it that it has never set."""
    path = made.whole(folder, "bin") / BIN
    _change(path, lambda entries: None)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"archive/data/3") - 46 + 38] |= 0x10
    path.write_bytes(data)


def _change(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """Change the entries of an archive."""
    with zipfile.ZipFile(path) as archive:
        entries = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    change(entries)
    path.write_bytes(made.archive_of(entries))


def _changed(change: Callable[[dict[str, bytes]], object]) -> Make:
    """A whole .bin whose entries were changed."""
    return lambda folder: _change(made.whole(folder, "bin") / BIN, change)


def _halve_the_storages(entries: dict[str, bytes]) -> None:
    for name, data in entries.items():
        if name.startswith("data/"):
            entries[name] = data[: len(data) // 2]


def _saved(change: Callable[[dict[str, Any]], object]) -> Make:
    """A state dict that PyTorch has saved after a change."""

    def make(folder: Path) -> None:
        import torch

        path = made.whole(folder, "bin") / BIN
        state = OrderedDict(torch.load(path, weights_only=True))
        change(state)
        torch.save(state, path)

    return make


def _views(count: int) -> bytes:
    """A state dict of so many views of one weight."""
    view = tensor(storage(b"K\x01"), b"K\x01")
    items = (b"X\x06\x00\x00\x00%06d" % number + view for number in range(count))
    return made.archive(b"\x80\x02}(" + b"".join(items) + b"u.", more={"data/0": bytes(4)})


def _expanded(state: dict[str, Any]) -> None:
    state["extra"] = state["classifier.bias"][:1].expand(1 << 10)


def _half_a_character(state: dict[str, Any]) -> None:
    state["\ud800"] = state["classifier.bias"]


def _own_items(folder: Path) -> None:
    """A table whose `items` is no function, but a text."""
    _saved(lambda state: None)(folder)

    def put(entries: dict[str, bytes]) -> None:
        text = b"}X\x05\x00\x00\x00itemsX\x04\x00\x00\x00nonesb."
        entries["data.pkl"] = entries["data.pkl"].removesuffix(b".") + text

    _change(folder / BIN, put)


def _older_with_more(count: int) -> bytes:
    """Storages in the older form that each claim the length of the whole file."""
    storages = (
        storage(b"M\x00\x04", bytes([48 + number]))[:-2] + b"NtQ" for number in range(count)
    )
    return made.older(_state(*(tensor(one, b"K\x01") for one in storages)))


ATTACKS = (
    *rows("bin", BIN, "pickle scan, pickle scan + weights_only", *_in_both_forms(_CALLS)),
    *rows("bin", BIN, "pickle scan", *_in_both_forms(_FORMS)),
    *rows(
        "bin", BIN, "",
        *((f"{name}, as a plain pickle", made.bin_file(data), says)
          for name, (data, says) in list(_CALLS.items())[:3]),
        ("a table with functions of its own", _own_items, None),
        ("a tar file", made.bin_file(_tar()), "PyTorch weights"),
        ("empty", made.bin_file(b""), "PyTorch weights"),
        ("only a signature", made.bin_file(b"PK\x03\x04"), "a whole archive"),
        ("cut off, as an archive", made.damaged(BIN, "bin", made.cut(0.5)), "end of an archive"),
        ("a TorchScript archive", made.bin_file(made.archive(
            b"\x80\x02}.", more={"constants.pkl": b"\x80\x02).", "code/x.py": b"1"})),
         "PyTorch weights|holds more than tensors"),
    ),
    *rows(
        "bin", BIN, "sizes of storages",
        ("storages cut in half", _changed(_halve_the_storages), "cut off, or missing"),
        ("a storage that is not there", _changed(lambda entries: entries.pop("data/3")),
         "cut off, or missing"),
        ("a storage longer than its tensor",
         _changed(lambda entries: entries.update({"data/3": entries["data/3"] + bytes(8)})),
         "cut off, or missing"),
    ),
    *rows(
        "bin", BIN, "tensors within their storages",
        ("a tensor of which the file holds a part",
         made.bin_file(made.archive(_state(tensor(storage(b"K\x02"), b"K\x64")),
                                    more={"data/0": bytes(8)})),
         r"a tensor \(100,\) in 2 numbers"),
    ),
    *rows(
        "bin", BIN, "values of tensors",
        ("a tensor of strides of 0", _saved(_expanded), "not a plain tensor"),
    ),
    *rows(
        "bin", BIN, "names of tensors",
        ("a name of half a character", _saved(_half_a_character), "not a state dict"),
    ),
    *rows(
        "bin", BIN, "size of a pickle",
        ("200,000 views of one weight", made.bin_file(_views(200_000)),
         "at most 1048576 bytes"),
    ),
    *rows(
        "bin", BIN, "older form within its file",
        ("storages in the older form that are larger than the file",
         made.bin_file(_older_with_more(9)), "larger than the bytes stored"),
    ),
    *rows(
        "bin", BIN, "entries as they are",
        ("a deflated bomb", made.bin_file(_deflated_bomb()), "archive is compressed"),
    ),
    *rows(
        "bin", BIN, "one archive in a file",
        ("two directories, one for each reader", made.bin_file(made.two_directories(_FOR_EVER)),
         "read in two ways"),
        ("a second pickle of the same name",
         made.bin_file(made.archive(b"\x80\x02}.", more={"DATA.PKL": _FOR_EVER})),
         "read in two ways"),
        ("an archive's comment",
         made.bin_file(made.archive(b"\x80\x02}.", comment=b"PK\x05\x06" + bytes(18))),
         "read in two ways|end of an archive"),
        ("an archive after other bytes",
         made.bin_file(b"PK\x03\x04" + bytes(100) + made.archive(_FOR_EVER)),
         "read in two ways"),
        ("a weight that PyTorch takes for a folder", _folder, "read in two ways"),
        ("an entry named as a folder",
         _changed(lambda entries: entries.update({"data/3/": bytes(8)})), "read in two ways"),
        ("a pickle in another folder", made.bin_file(made.two_folders(b"\x80\x02}.", _FOR_EVER)),
         "read in two ways"),
    ),
    *rows(
        "bin", BIN, "report of the weights",
        ("an archive in an archive",
         made.bin_file(made.archive(b"\x80\x02}.", more={"x": made.archive(_FOR_EVER)})),
         "no weights of the encoder"),
    ),
    *rows("bin", BIN, "own files",
          ("a link that leaves the folder", made.linked(BIN, format_name="bin"), "leaves")),
    *rows("bin", BIN, "plain files",
          ("a pipe", made.instead(BIN, "pipe", format_name="bin"), "not a file")),
)  # fmt: skip
