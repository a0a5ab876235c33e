"""How the files of a checkpoint are called.

Source: transformers 4.57 (``transformers.utils``: SAFE_WEIGHTS_NAME and its neighbours).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from distil.errors import CheckpointError

CONFIG_FILE = "config.json"
TOKENIZER_FILES = (
    "vocab.txt", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip

# Whose names and orientation tensors have: PyTorch's or TensorFlow's.
Layout = Literal["pt", "tf"]


@dataclass(frozen=True)
class FileKind:
    """One kind of file that holds weights.

    Attributes:
        stem: What its name begins with.
        suffix: What its name ends with.
        formats: The formats that it may be in.
    """

    stem: str
    suffix: str
    formats: tuple[str, ...]

    def file_name(self, variant: str | None = None) -> str:
        """Name of the file that holds all weights."""
        return f"{self._stem(variant)}{self.suffix}"

    def index_name(self, variant: str | None = None) -> str:
        """Name of the file that says which shard holds which weight."""
        return f"{self.stem}{self.suffix}.index{_dotted(variant)}.json"

    def shard_name(self, number: int, count: int, mark: str = "") -> str:
        """Name of shard `number` (from 1) of `count`; `mark` tells it from others' shards."""
        return f"{self.stem}{mark}-{number:05d}-of-{count:05d}{self.suffix}"

    def shard_patterns(self) -> tuple[str, ...]:
        """Patterns, for `Path.glob`, of every name that `shard_name` gives."""
        digits = "[0-9]" * 5
        numbers = f"-{digits}-of-{digits}{self.suffix}"
        return (self.stem + numbers, f"{self.stem}-{'[0-9a-f]' * 8}{numbers}")

    def _stem(self, variant: str | None) -> str:
        return f"{self.stem}{_dotted(variant)}"


# In the order in which they are preferred: what is safest and fastest to read comes first.
FILE_KINDS = (
    FileKind("model", ".safetensors", ("safetensors", "tf-safetensors")),
    FileKind("pytorch_model", ".bin", ("bin",)),
    FileKind("tf_model", ".h5", ("h5",)),
)
_UNITS: dict[str, int] = {
    unit: base**power
    for base, ending in ((1000, "B"), (1024, "iB"))
    for power, unit in enumerate([f"{letter}{ending}" for letter in "KMGT"], start=1)
}

FORMATS = tuple(name for kind in FILE_KINDS for name in kind.formats)

# Each framework's usual format, by the name of the framework.
FORMAT_ALIASES = {"pt": "safetensors", "tf": "h5"}


def layout_of(format_name: str) -> Layout:
    """Whose names and orientation the tensors of a format have."""
    return "tf" if format_name in ("tf-safetensors", "h5") else "pt"


def kinds_of(format_name: str | None) -> tuple[FileKind, ...]:
    """The kinds of file to look for, all of them for None.

    Raises:
        CheckpointError: There is no such format.
    """
    if format_name is None:
        return FILE_KINDS
    kinds = tuple(kind for kind in FILE_KINDS if format_name in kind.formats)
    if not kinds:
        raise CheckpointError(
            "unknown checkpoint format", expected=", ".join(FORMATS), found=repr(format_name)
        )
    return kinds


def preferred(
    names: Collection[str], *, variant: str | None = None, format_name: str | None = None
) -> tuple[FileKind, str] | None:
    """Of the files called `names`, the one to load weights from: a whole file or an index.

    Args:
        names: Names of the files in the folder or repository.
        variant: Part of the name, as "fp16" in model.fp16.safetensors.
        format_name: Only files that may be in this format.
    """
    # Where PyTorch is missing, its files are the last resort: nothing else can read them.
    without_torch = find_spec("torch") is None
    kinds = sorted(kinds_of(format_name), key=lambda kind: without_torch and kind.suffix == ".bin")
    for kind in kinds:
        for name in (kind.file_name(variant), kind.index_name(variant)):
            if name in names:
                return kind, name
    return None


def bytes_of(size: str | int | None) -> int | None:
    """`size` in bytes, from an integer or from text as "500MB"."""
    if size is None or (isinstance(size, int) and size > 0):
        return size
    if isinstance(size, str):
        for unit, factor in _UNITS.items():
            number = size.strip().removesuffix(unit).strip()
            if size.strip().endswith(unit) and number.isdecimal() and int(number) > 0:
                return int(number) * factor
    raise CheckpointError(
        "size of shards is not valid", expected=f"bytes, or a number with {', '.join(_UNITS)}",
        found=repr(size), where="max_shard_size",
    )  # fmt: skip


def _dotted(variant: str | None) -> str:
    if variant is None:
        return ""
    if not isinstance(variant, str) or not variant.replace("-", "").replace("_", "").isalnum():
        raise CheckpointError(
            "variant cannot be part of a file name",
            expected="letters, digits, - and _", found=repr(variant),
        )  # fmt: skip
    return f".{variant}"
