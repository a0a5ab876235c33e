"""From the name of a checkpoint to a folder that holds it.

The hub is spoken to through huggingface_hub, which is imported only for a name that is neither
a folder nor a bundled checkpoint.  What looks like a path never leaves the machine.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path, PureWindowsPath
from typing import Any

from distil.errors import CheckpointNotFoundError, CheckpointWarning
from distil.storage import modules
from distil.storage.formats import CONFIG_FILE
from distil.storage.hub_repository import Repository, UnreachableError
from distil.storage.paths import check_name

# The bundled checkpoint for those who name neither one nor a task.
DEFAULT = "sst2-small"

_LONGEST_NAME = 200
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class HubOptions:
    """How to ask the hub.

    Attributes:
        revision: Branch, tag or commit of the repository; None is its main branch.
        cache_dir: Where downloads are kept; None is huggingface_hub's own cache.
        local_files_only: Ask nobody, use the cache. The environment variable HF_HUB_OFFLINE
            says the same for all calls.
        token: Access token for private and gated repositories; None takes the stored one,
            False sends none.
    """

    revision: str | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    token: str | bool | None = field(default=None, repr=False)


def bundled() -> dict[str, Path]:
    """The checkpoints that come with the package: their folders by name."""
    root = Path(__file__).parents[1] / "bundled"
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{CONFIG_FILE}"))}


def can_be_name(text: str) -> bool:
    """Whether a text could be the name of a checkpoint: a folder, a path, or a name on the hub.

    Sentences cannot, unless there is a folder of that name; a single word can.
    """
    if text.startswith(("/", "./", "../", "~", ".\\", "..\\")) or PureWindowsPath(text).drive:
        return True
    try:
        return _HUB_NAME.fullmatch(text) is not None or (text != "" and Path(text).is_dir())
    except (OSError, ValueError):  # too long for a path, or with a zero byte in it
        return False


def split_options(options: Mapping[str, Any]) -> tuple[HubOptions, dict[str, Any]]:
    """Those of `options` that are for the hub, and the rest."""
    rest = dict(options)
    own = {item.name: rest.pop(item.name) for item in fields(HubOptions) if item.name in rest}
    return HubOptions(**own), rest


def snapshot(
    name: str | Path,
    options: HubOptions = HubOptions(),
    *,
    files: Sequence[str] | None = None,
    variant: str | None = None,
) -> Path:
    """A folder that holds the checkpoint called `name`, downloaded if need be.

    Of a repository on the hub, config.json, the files of the tokenizer and of
    sentence-transformers, and the weights in one format are downloaded: the one that
    `open_checkpoint` prefers of those that are there.
    If the hub cannot be reached, what the cache has is used.

    Args:
        name: A folder, the name of a bundled checkpoint, or of a repository on the hub, as
            "distilbert/distilbert-base-uncased".
        options: For the hub.
        files: Names of files to download instead; those that the repository lacks are not
            there afterwards either.
        variant: Of the weights' files, as in `open_checkpoint`.

    Returns:
        The folder; of an old one of sentence-transformers, that of the encoder in it.

    Raises:
        InputError: `name` is neither a string nor a path.
        CheckpointNotFoundError: `name` looks like a path, and no folder is there.
        CheckpointError: The folder's modules.json, which says where the encoder is, is damaged.
        HubError: The hub has no such repository or revision, wants a token, or cannot be
            reached while the cache lacks the files.
    """
    check_name(name, "name")
    path = Path(name)
    try:
        if name != "" and path.is_dir():
            _check_shadow(name, path)
            return modules.encoder_folder(path)
        is_path = isinstance(name, Path) or path.is_file() or _looks_like_path(name)
    except (OSError, ValueError):  # too long for a path, or with a zero byte in it
        is_path = True
    if is_path:
        raise CheckpointNotFoundError(
            "no such folder", expected="a folder with config.json and weights, or a hub name",
            found=repr(str(name)[:_LONGEST_NAME]), where="name",
            fix=f"check the path; it is relative to {Path.cwd()}",
        )  # fmt: skip
    name = str(name)
    own = bundled().get(name)
    if own is not None:
        return own
    repository = Repository(
        name=name, missing=_no_folder(name), revision=options.revision,
        cache_dir=options.cache_dir, token=options.token,
    )  # fmt: skip
    if not options.local_files_only and not _is_offline():
        try:
            return repository.download(files, variant)
        except UnreachableError as error:
            unreachable: Exception | None = error.__cause__  # type: ignore[assignment]
    else:
        unreachable = None
    return repository.cached(files, variant, unreachable)


def _check_shadow(name: str | Path, folder: Path) -> None:
    """Say so where a folder stands in the way of a bundled checkpoint of the same name."""
    own = bundled().get(name) if isinstance(name, str) else None
    if own is not None and not own.samefile(folder):
        warnings.warn(
            f"{name!r} is a folder in {Path.cwd()} and a bundled checkpoint: the folder is used.  "
            f"Write './{name}' if it is meant, or call from elsewhere",
            CheckpointWarning,
            stacklevel=3,
        )


def _no_folder(name: str) -> str:
    """That there is no such folder, and which is called nearly so."""
    try:
        folders = [path.name for path in Path(name).parent.iterdir() if path.is_dir()]
    except OSError:
        folders = []
    near = get_close_matches(Path(name).name, [*folders, *bundled()], n=1)
    hint = f" (did you mean {str(Path(name).parent / near[0])!r}?)" if near else ""
    return f"there is no folder {name[:_LONGEST_NAME]!r}{hint}"


def _looks_like_path(name: str) -> bool:
    """Whether `name` can only be meant as a path."""
    return (
        not name
        or name.startswith((".", "/", "~"))
        or name.endswith("/")
        or name.count("/") > 1
        or "\\" in name
        or ".." in name.split("/")
        or PureWindowsPath(name).drive != ""
    )


def _is_offline() -> bool:
    """Whether the environment forbids to ask the hub; read at each call."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")
