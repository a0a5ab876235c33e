"""Reading and writing the files of a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from distil.common.rules import check_plain
from distil.common.tokenizer.definition import MOST_TOKENS
from distil.errors import CheckpointError, TokenizerError, UnsafeCheckpointError, shown
from distil.storage import opened
from distil.storage.files import atomic_write, parse_json

VOCABULARY_FILE = "vocab.txt"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"
ALL_FILES = (VOCABULARY_FILE, TOKENIZER_FILE, CONFIG_FILE, SPECIAL_TOKENS_FILE, ADDED_TOKENS_FILE)

# The largest vocabularies there are, of 250,000 tokens, take 5 MB, and 20 MB as tokenizer.json.
MAX_BYTES = 64 * 1024 * 1024
_DEEPEST = 32


@dataclass(frozen=True)
class OwnFile:
    """A file in a checkpoint's folder: read from there, and from nowhere that a link leads to."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)


AnyFile = str | PathLike[str]


def read_vocabulary(file: AnyFile) -> dict[str, int]:
    """Read a vocab.txt, one token a line: token to id, of which the first is 0.

    Raises:
        TokenizerError: The file is missing, not UTF-8, empty, or lists a token twice.
        UnsafeCheckpointError: An OwnFile is a link that leaves its folder.
    """
    path = Path(file)
    with _errors(path):
        text = _read_bytes(file).decode("utf-8")
    if text.count("\n") > MOST_TOKENS:
        raise TokenizerError(
            "vocab.txt has too many lines", expected=f"at most {MOST_TOKENS}",
            found=text.count("\n"), where=path,
        )  # fmt: skip
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    vocabulary: dict[str, int] = {}
    for index, token in enumerate(lines):
        first = vocabulary.setdefault(token, index)
        if first != index:
            raise TokenizerError(
                "a vocabulary lists a token twice",
                found=f"{shown(token)} in lines {first + 1} and {index + 1}", where=path,
            )  # fmt: skip
    if not vocabulary:
        raise TokenizerError("a vocabulary is empty", expected="a token a line", where=path)
    return vocabulary


def write_vocabulary(path: Path, tokens: Iterable[str]) -> None:
    """Write a vocab.txt; the file is either the old one or complete.

    Raises:
        TokenizerError: A token holds a line break, which vocab.txt cannot.
    """
    lines = list(tokens)
    for token in lines:
        if "\n" in token or "\r" in token:
            raise TokenizerError("vocab.txt cannot hold a line break", found=shown(token))
    write_text(path, "".join(f"{token}\n" for token in lines))


def read_json(file: AnyFile) -> dict[str, Any]:
    """Read a JSON file that holds an object; an empty one when there is no such file.

    Raises:
        TokenizerError: The file is not JSON, or holds something else.
        UnsafeCheckpointError: An OwnFile is a link that leaves its folder.
    """
    path = Path(file)
    if not path.is_file():
        return {}
    with _errors(path):
        table = parse_json(_read_bytes(file), where=str(path))
    check_plain(table, TokenizerError, levels=_DEEPEST, where=path)
    return table


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON file; the file is either the old one or complete."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file; the file is either the old one or complete."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _read_bytes(file: AnyFile) -> bytes:
    return opened.read_bytes(Path(file), limit=MAX_BYTES, own=isinstance(file, OwnFile))


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turn what is wrong with a file into the error of a tokenizer."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise TokenizerError(
            "a tokenizer's file is not UTF-8",
            found=f"byte {error.object[error.start]:#04x} at position {error.start}", where=path,
        ) from error  # fmt: skip
    except UnsafeCheckpointError:
        raise
    except CheckpointError as error:
        found = error.__cause__ if isinstance(error.__cause__, OSError) else error.found
        raise TokenizerError(
            error.problem, expected=error.expected, found=getattr(found, "strerror", found),
            where=path, fix=error.fix,
        ) from error  # fmt: skip
