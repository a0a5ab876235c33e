"""Reading JSON and YAML that somebody else wrote, and writing files that are never half there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from distil.errors import CheckpointError, ConfigError, DistilError
from distil.storage.opened import read_bytes

# A config.json has a kilobyte, and some 30 bytes for each label; the index of a hundred layers
# has 200 kB.  JSON takes up to 20 times its size once it is read.
MAX_JSON_BYTES = 16 * 1024 * 1024
# Each takes some 60 bytes of memory and 3 microseconds, and as little as 3 bytes of a file.  The
# labels of a config.json, the weights of a header, the words of a vocabulary are far fewer.
_MAX_JSON_VALUES = 1_000_000
# Written by hand, and read slowly.
_MAX_YAML_BYTES = 1024 * 1024


def read_json(path: Path, *, own: bool = False) -> dict[str, Any]:
    """The JSON object in `path`; see `read_bytes` for `own`.

    Raises:
        CheckpointNotFoundError: There is no such file.
        CheckpointError: It is not a plain file, not UTF-8, not JSON, not an object, or too large;
            or a key occurs twice.
        UnsafeCheckpointError: It is a link that leaves its folder, where it should be `own`.
    """
    return parse_json(read_bytes(path, limit=MAX_JSON_BYTES, own=own), where=str(path))


def parse_json(data: bytes, *, where: str) -> dict[str, Any]:
    """The JSON object in `data`; `where` names it in errors, which are those of `read_json`."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise CheckpointError(
                "a key occurs twice in JSON", found=repr(twice[:200]), where=where
            )
        return table

    values = sum(map(data.count, (b",", b"[", b"{")))  # those within texts, too
    if values > _MAX_JSON_VALUES:
        raise CheckpointError(
            "JSON holds too many values", expected=f"at most {_MAX_JSON_VALUES}",
            found=values, where=where,
        )  # fmt: skip
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique)
        if b"\\ud" in data or b"\\uD" in data:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise CheckpointError(
            "text in JSON cannot be encoded", expected="surrogates in pairs",
            found="half of a pair", where=where,
        ) from None  # fmt: skip
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
        ConfigError: It is not YAML, not a table, or a key occurs twice.
    """
    try:
        text = read_bytes(path, limit=_MAX_YAML_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError("not a YAML file", found=error, where=path) from None
    value = parse_yaml(text, where=path)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConfigError("not a table of names", found=type(value).__name__, where=path)
    return value


def parse_yaml(text: str, *, where: Any) -> Any:
    """What a YAML document says, in plain data.

    Raises:
        ConfigError: It is not YAML, a key occurs twice, or it has an alias: a few lines of these
            make a document of any size.
    """
    try:
        return yaml.load(text, _Strict)
    # The last three: dates and numbers that are none, keys that are tables, endless depth.
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError("not YAML", found=error, where=where) from None


class _Strict(yaml.SafeLoader):
    """The safe loader, without aliases, and refusing the second of two equal keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, f"alias *{event.anchor}: write it out", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} occurs twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def json_text(value: Any) -> str:
    """`value` as the hub's files are written: indented by two, keys sorted."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path`, as `json_text` gives it."""
    with atomic_write(path) as temporary:
        temporary.write_text(json_text(value), encoding="utf-8")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and move it there once it is whole and on disk.

    A reader, or a kill at any moment, sees the old file or the new one, never a part.
    If the block raises, the old file stays and the temporary one is removed.

    Raises:
        CheckpointError: The system refuses to write: no room, or no right.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        with refusals(f"{path.name} cannot be saved", path.parent):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        remove(temporary)
    _sync_folder(path.parent)


@contextmanager
def refusals(problem: str, where: Path) -> Iterator[None]:
    """Report as `problem` whatever the system refuses while the block writes to `where`.

    Raises:
        CheckpointError: The system refuses to write: no room, or no right.
    """
    try:
        yield
    except DistilError:  # those of the hub are OSErrors, too
        raise
    except OSError as error:
        raise CheckpointError(
            problem, found=error, where=where, fix="make room, or choose another folder"
        ) from error


def remove(path: Path) -> None:
    """Remove a file that may be there, to clean up: where that fails, another error is told."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


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


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Hold a file that one process alone can hold; gives whether it is held.

    The file is made for that, and removed at the end; a kill leaves it, and lets go of it.  Where
    the system has no such locks, everybody holds it.

    Raises:
        OSError: The file cannot be made.
    """
    if fcntl is None:
        yield True
        return
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except OSError:  # a network file system without locks
                pass
            # Who held it until now may just have removed it.
            if not path.exists() or not os.path.samestat(os.fstat(descriptor), path.stat()):
                continue
            try:
                yield True
            finally:
                path.unlink(missing_ok=True)
            return
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
