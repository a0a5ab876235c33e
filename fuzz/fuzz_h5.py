"""Fuzz the reader of .h5 files: trees, heaps and headers are made to refer to one another.

Most bytes of a file are weights, and a flipped bit seldom makes an address of a part.  So the
input chooses fields of the parts of a valid file and what they become: the address of some part,
a small number, or any number.
"""

import struct
from collections.abc import Iterator

import atheris
from harness import fuzz
from weights import files_of, read_weights

NAME = "tf_model.h5"

# Offset and form of the fields of each part: levels, counts, addresses, sizes.
_PARTS = {
    b"TREE": ((4, "<B"), (5, "<B"), (6, "<H"), *((8 * n, "<Q") for n in range(1, 8))),
    b"SNOD": ((6, "<H"), (24, "<L"), *((8 * n, "<Q") for n in range(1, 10))),
    b"HEAP": ((8, "<Q"), (16, "<Q"), (24, "<Q")),
}
_FIRST = ((8, "<B"), (24, "<Q"), (40, "<Q"), (64, "<Q"))
_HEADER = (
    (0, "<B"), (2, "<H"), (8, "<L"),
    *((16 + 2 * n, form) for n in range(60) for form in ("<H", "<Q")),
)  # fmt: skip


def parts_of(file: bytes) -> Iterator[tuple[int, tuple[tuple[int, str], ...]]]:
    """Where each part of a file begins, and its fields."""
    yield 0, _FIRST
    for signature, fields in _PARTS.items():
        place = file.find(signature)
        while place >= 0:
            yield place, fields
            if signature == b"SNOD":
                (count,) = struct.unpack_from("<H", file, place + 6)
                for entry in range(place + 8, place + 8 + 40 * count, 40):
                    yield struct.unpack_from("<Q", file, entry + 8)[0], _HEADER
            place = file.find(signature, place + 4)


WHOLE = list(files_of(NAME, format="h5"))
PARTS = [list(parts_of(file)) for file in WHOLE]


def built(data: bytes) -> bytes:
    """A valid file with the changes that the input describes."""
    choose = atheris.FuzzedDataProvider(data)
    which = choose.ConsumeIntInRange(0, len(WHOLE) - 1)
    file, parts = bytearray(WHOLE[which]), PARTS[which]
    for _ in range(choose.ConsumeIntInRange(1, 8)):
        place, fields = choose.PickValueInList(parts)
        offset, form = choose.PickValueInList(list(fields))
        value = [
            choose.PickValueInList(parts)[0], choose.ConsumeIntInRange(0, 40), choose.ConsumeUInt(8)
        ][choose.ConsumeIntInRange(0, 2)]  # fmt: skip
        if place + offset + 8 <= len(file):
            struct.pack_into(form, file, place + offset, value % (1 << 8 * struct.calcsize(form)))
    return bytes(file)


if __name__ == "__main__":
    fuzz(NAME, [bytes(range(n, n + 40)) for n in range(0, 200, 25)], read_weights, built)
