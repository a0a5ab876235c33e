"""Reading JSON and YAML that somebody else wrote, and writing files that are never half there."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from distil.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    ConfigError,
    UnsafeCheckpointError,
)

# A config.json has a kilobyte, and some 30 bytes for each label; the index of a hundred layers
# has 200 kB.  JSON takes up to 20 times its size once it is read.
MAX_JSON_BYTES = 16 * 1024 * 1024
# Written by hand, and read slowly.
_MAX_YAML_BYTES = 1024 * 1024


def check_own_file(path: Path) -> None:
    """Refuse what is no plain file, or a link that leaves the folder that `path` lies in.

    The hub's cache is made of links, snapshots/<revision>/<file> -> ../../blobs/<hash>, and
    those blobs are as much the repository's own as a file in the folder.

    Raises:
        CheckpointNotFoundError: There is no such file.
        CheckpointError: It is a folder, a pipe, a device, or a loop of links.
        UnsafeCheckpointError: It is a link to somewhere else.
    """
    try:
        folder = path.parent.resolve()
        target = path.resolve(strict=True)
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointNotFoundError(
            f"{path.name} is missing", where=path,
            fix="download or save the checkpoint again",
        ) from None  # fmt: skip
    except (OSError, RuntimeError) as error:  # a loop of links
        raise CheckpointError(f"{path.name} cannot be read", found=error, where=path) from None
    blobs = folder.parent.parent / "blobs" if folder.parent.name == "snapshots" else None
    if not target.is_relative_to(folder) and target.parent != blobs:
        raise UnsafeCheckpointError(
            f"{path.name} leaves the checkpoint's folder",
            expected=f"a file in {folder}", found=target, where=path,
            fix="put the file itself into the folder",
        )  # fmt: skip
    if not stat.S_ISREG(mode):
        raise _not_a_file(path)


def read_bytes(path: Path, *, limit: int) -> bytes:
    """The content of a file that is not expected to be large.

    Raises:
        CheckpointNotFoundError: There is no such file.
        CheckpointError: It is no plain file, cannot be read, or has more than `limit` bytes.
    """
    try:
        # Opening a pipe would wait for whoever writes into it; a device never ends.
        if not stat.S_ISREG(path.stat().st_mode):
            raise _not_a_file(path)
        with path.open("rb") as file:
            data = file.read(limit + 1)
            size = os.fstat(file.fileno()).st_size
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointNotFoundError(f"{path.name} is missing", where=path) from None
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read", found=error, where=path) from error
    if len(data) > limit:
        raise CheckpointError(
            f"{path.name} is too large", expected=f"at most {limit} bytes",
            found=f"{size} bytes", where=path,
        )  # fmt: skip
    return data


def _not_a_file(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path.name} is not a file", expected="a plain file", where=path,
        fix="do not trust this checkpoint, or download it again",
    )  # fmt: skip


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises:
        CheckpointNotFoundError: There is no such file.
        CheckpointError: It is no plain file, not UTF-8, not JSON, not an object, too large, or
            has a key twice.
    """
    return parse_json(read_bytes(path, limit=MAX_JSON_BYTES), where=str(path))


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
        text = read_bytes(path, limit=_MAX_YAML_BYTES).decode("utf-8")
        value = yaml.load(text, _UniqueKeys)
    # The last three: dates and numbers that are none, keys that are tables, endless depth.
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
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


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keep others that would lock `folder` waiting; where the system has no such locks, nobody.

    The lock is on the folder itself: it leaves no file behind, and goes with its process.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last through a power cut, where the file system can.

    Some cannot sync a folder.  The file is in its place by then, so that is no failure.
    """
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
