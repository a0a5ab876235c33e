"""Fuzz the reader of PyTorch's .bin files: pickles and archives are generated, part by part.

Flipped bits hardly ever get past the first check of an archive.  So the input chooses which
opcodes, tensors and storages a pickle has, whether it is in an archive or in the older form,
which entries are beside it, and finally which bytes change.  Every archive that is accepted must
hold the same bytes under the same names for PyTorch.
"""

import io
from pathlib import Path

import atheris
import torch
from harness import fuzz
from weights import read_weights

from attacks import made
from attacks.table.bins import storage, tensor
from distil.errors import CheckpointError
from distil.storage.archive import read_archive

NAME = "pytorch_model.bin"

_NUMBERS = [
    b"K\x00",
    b"K\x01",
    b"K\x02",
    b"K\x64",
    b"J\xff\xff\xff\xff",
    b"\x8a\x02\x00\x10",
    b"\x88",
]
_WORDS = [b"storage", b"cpu", b"0", b"1", b"classifier.bias", b"\xed\xa0\x80"]
_GLOBALS = [
    b"collections\nOrderedDict", b"torch._utils\n_rebuild_tensor_v2", b"torch\nFloatStorage",
    b"torch._utils\n_rebuild_parameter", b"torch.storage\nUntypedStorage", b"os\nsystem",
]  # fmt: skip
_OPCODES = [
    b"(", b"t", b"u", b"s", b"}", b")", b"]", b"a", b"e", b"R", b"b", b"Q", b"N", b"q\x01",
    b"h\x01", b"q\x02", b"h\x02", b"\x85", b"\x86", b"\x87", b"\x81", b"0",
]  # fmt: skip


def word(choose: atheris.FuzzedDataProvider) -> bytes:
    """A text in a pickle."""
    text = choose.PickValueInList(_WORDS)
    return b"X" + len(text).to_bytes(4, "little") + text


def piece(choose: atheris.FuzzedDataProvider) -> bytes:
    """A part of a pickle: an opcode, a number, a text, a name, a storage or a whole weight."""
    number = choose.PickValueInList(_NUMBERS)
    stored = storage(number, choose.PickValueInList([b"0", b"1"]))
    size = choose.PickValueInList(_NUMBERS)
    return [
        choose.PickValueInList(_OPCODES), number, word(choose), stored,
        b"c" + choose.PickValueInList(_GLOBALS) + b"\n",
        word(choose) + tensor(stored, size) + b"s",
    ][choose.ConsumeIntInRange(0, 5)]  # fmt: skip


def built(data: bytes) -> bytes:
    """The file that the input describes."""
    choose = atheris.FuzzedDataProvider(data)
    form = choose.ConsumeIntInRange(0, 4)
    pieces = [piece(choose) for _ in range(choose.ConsumeIntInRange(0, 40))]
    pickle = b"\x80\x02" + b"}" * choose.ConsumeBool() + b"".join(pieces) + b"."
    if form == 0:
        file = made.older(pickle) + choose.ConsumeBytes(30)
    elif form == 1:
        file = made.two_directories(pickle)
    elif form == 2:
        file = made.two_folders(pickle, b"\x80\x02}.")
    else:
        entries = {f"data/{key}": bytes(4 * choose.ConsumeIntInRange(0, 3)) for key in range(2)}
        file = made.archive(pickle, more=entries)
    changed = bytearray(file)
    for _ in range(choose.ConsumeIntInRange(0, 3)):
        changed[choose.ConsumeIntInRange(0, len(changed) - 1)] = choose.ConsumeIntInRange(0, 255)
    return bytes(changed)


def read(folder: Path) -> None:
    """Read the weights, and compare the archive with what PyTorch sees in it."""
    data = (folder / NAME).read_bytes()
    try:
        entries = read_archive(io.BytesIO(data), folder)
        reader = torch._C.PyTorchFileReader(io.BytesIO(data))
    except (CheckpointError, RuntimeError, ValueError):
        entries = {}
    for name, entry in entries.items():
        assert reader.get_record(name) == data[entry.start : entry.start + entry.size]
    read_weights(folder)


if __name__ == "__main__":
    fuzz(NAME, [bytes(range(n, n + 90)) for n in range(0, 160, 20)], read, built)
