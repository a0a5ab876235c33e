"""Reading JSON and YAML that somebody else wrote, and writing files that are never half there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from distil.common.errors import CheckpointError, CheckpointNotFoundError, ConfigError

# The largest JSON file of a real checkpoint is a multilingual tokenizer.json, about 10 MB.
MAX_JSON_BYTES = 200 * 1024 * 1024


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises:
        CheckpointNotFoundError: There is no such file.
        CheckpointError: It is not UTF-8, not JSON, not an object, too large, or has a key twice.
    """
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise CheckpointError(
                "JSON file is too large", expected=f"at most {MAX_JSON_BYTES} bytes",
                found=f"{size} bytes", where=path,
            )  # fmt: skip
        return parse_json(path.read_bytes(), where=str(path))
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointNotFoundError(f"{path.name} is missing", where=path) from None
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read", found=error, where=path) from error


def parse_json(data: bytes, *, where: str) -> dict[str, Any]:
    """The JSON object in `data`; `where` names it in errors, which are those of `read_json`."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise CheckpointError("JSON key stands twice", found=repr(twice[:200]), where=where)
        return table

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(
            "not a JSON file", expected="UTF-8 JSON", found=error, where=where
        ) from None
    except ValueError as error:
        # Python refuses integers of more than 4300 digits.
        raise CheckpointError("number in JSON is too long", found=error, where=where) from None
    if not isinstance(value, dict):
        raise CheckpointError(
            "JSON is not an object",
            expected="{...}", found=type(value).__name__, where=where,
        )  # fmt: skip
    return value


def read_yaml(path: Path) -> dict[str, Any]:
    """The table in a YAML file, read without making any object but plain data.

    Raises:
        CheckpointNotFoundError: There is no such file.
        ConfigError: It is not YAML, not a table, or has a key twice.
    """
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except FileNotFoundError:
        raise CheckpointNotFoundError(f"{path.name} is missing", where=path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("not a YAML file", found=error, where=path) from None
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConfigError("not a table of names", found=type(value).__name__, where=path)
    return value


class _UniqueKeys(yaml.SafeLoader):
    """The safe loader, which would take the last of two equal keys, refusing them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def json_text(value: dict[str, Any]) -> str:
    """`value` as the hub's files are written: indented by two, keys sorted."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write `value` to `path`, as `json_text` gives it."""
    with atomic_write(path) as temporary:
        temporary.write_text(json_text(value), encoding="utf-8")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and move it there once it is whole and on disk.

    A reader, or a kill at any moment, sees the old file or the new one, never a part.
    If the block raises, the old file stays and the temporary one is removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last through a power cut, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
