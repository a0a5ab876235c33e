"""modules.json of sentence-transformers: what a text goes through, and in which subfolders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distil.errors import CheckpointError, shorten, shown
from distil.storage.files import MAX_JSON_BYTES, parse_json
from distil.storage.formats import preferred
from distil.storage.opened import read_bytes

FILE_NAME = "modules.json"
LENGTH_FILE = "sentence_bert_config.json"
PROMPTS_FILE = "config_sentence_transformers.json"
POOLING_FILE = "1_Pooling/config.json"
# Beside an encoder, all that says how it embeds texts.
FILES = (FILE_NAME, LENGTH_FILE, PROMPTS_FILE, POOLING_FILE)

ENCODER = "Transformer"

# Where the classes of modules live, in every version of the package.
_PACKAGE = "sentence_transformers."
# The folder itself, or one in it.
_PLACE = re.compile(r"|[\w-][\w.-]*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Module:
    """One of the modules that a text goes through.

    Attributes:
        kind: Its class: "Transformer", "Pooling", ...; in full if it is not sentence-transformers'.
        path: The subfolder of its files; "" for the folder itself.
    """

    kind: str
    path: str


def read_modules(folder: Path) -> tuple[Module, ...]:
    """The modules that a folder lists, in order; none if it has no modules.json.

    Raises:
        CheckpointError: The file is damaged, or names a place outside of the folder.
        UnsafeCheckpointError: It is a link that leaves its folder.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return ()
    data = read_bytes(path, limit=MAX_JSON_BYTES, own=True)
    table = parse_json(b'{"modules":' + data + b"}", where=str(path))
    rows = table.pop("modules")
    if table or not isinstance(rows, list) or not all(map(_is_module, rows)):
        raise CheckpointError(
            "modules cannot be read", expected="a list of modules, each with its type and path",
            found=shown(rows), where=path,
        )  # fmt: skip
    return tuple(_module(row["type"], row["path"]) for row in rows)


def encoder_folder(folder: Path) -> Path:
    """The folder of the encoder's files: `folder`, or a subfolder in old ones (0_Transformer).

    Raises:
        CheckpointError: As `read_modules`.
    """
    if not (folder / FILE_NAME).is_file():
        return folder
    if preferred({path.name for path in folder.iterdir()}) is not None:
        return folder
    first = next(iter(read_modules(folder)), None)
    return folder / first.path if first is not None and first.kind == ENCODER else folder


def home_of(folder: Path) -> Path:
    """The folder with the modules.json that an encoder's folder belongs to; else itself."""
    outer = folder.parent
    if (folder / FILE_NAME).is_file() or not (outer / FILE_NAME).is_file():
        return folder
    return outer if encoder_folder(outer) == folder else folder


def _is_module(row: Any) -> bool:
    return isinstance(row, dict) and all(isinstance(row.get(n), str) for n in ("type", "path"))


def _module(kind: str, path: str) -> Module:
    if _PLACE.fullmatch(path) is None:
        raise CheckpointError(
            "a module lies outside of the checkpoint's folder",
            expected="the name of a subfolder", found=shorten(path), where=FILE_NAME,
        )  # fmt: skip
    known = kind.startswith(_PACKAGE)
    return Module(kind=kind.rpartition(".")[2] if known else kind, path=path)
