"""`push`: upload a model's folder to the hub in one commit.

Only the model's own files go up: no training data, checkpoints or logs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from distil.checkpoints.opening import open_checkpoint
from distil.errors import CheckpointNotFoundError
from distil.storage.formats import CONFIG_FILE, TOKENIZER_FILES
from distil.storage.hub_upload import check_repository, upload
from distil.storage.opened import check_own_file

CARD = "README.md"

# The files of a model; "*" does not match "/".
_PATTERNS = (
    CARD, "LICENSE*", CONFIG_FILE, *TOKENIZER_FILES, "curves.png", "recipe.yaml",
    "model*.safetensors", "model*.safetensors.index.json", "pytorch_model*.bin",
    "pytorch_model*.bin.index.json", "tf_model*.h5", "tf_model*.h5.index.json",
    "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json",
    "*_Pooling/config.json", "*_Normalize/config.json", "onnx/*.onnx",
)  # fmt: skip

# The model's name in the snippet of a card.
_NAMED = re.compile(r'(distil\.pipeline\("[\w-]+", model=)"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What was uploaded, or would be.

    Attributes:
        name: The repository.
        files: Size of each file in bytes.
        left_out: Files and folders that are not uploaded.
        url: Of the repository's page; None in a dry run.
        commit: The new commit; None in a dry run.
    """

    name: str
    files: Mapping[str, int]
    left_out: tuple[str, ...]
    url: str | None = None
    commit: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts, lists and numbers, for JSON."""
        return asdict(self)


def push(
    folder: str | Path,
    name: str,
    *,
    public: bool = False,
    revision: str | None = None,
    message: str = "Model trained by distil",
    token: str | None = None,
    dry_run: bool = False,
) -> Publication:
    """Upload the model in a folder to the hub.

    Args:
        folder: Of a model, as `distil.train` or `distil.save` writes it.
        name: Of the repository, "owner/model"; created if needed.  The snippet in the card then
            uses this name.
        public: Make a new repository public instead of private.
        revision: The branch to commit to, created if needed; None for main.
        message: Of the commit.
        token: A token with write access; None takes HF_TOKEN, or that of `hf auth login`.
        dry_run: Only report what would be uploaded.

    Returns:
        What was uploaded, or would be.

    Raises:
        CheckpointNotFoundError: There is no model in the folder.
        UnsafeCheckpointError: A file is a link to outside the folder.
        HubError: The name is invalid, or the hub refuses the upload or cannot be reached.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointNotFoundError(
            "no such folder", expected="a folder with config.json and weights", where=folder
        )
    check_repository(name)
    open_checkpoint(folder).close()  # raises an error that says what is missing
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    chosen = [path.as_posix() for path in paths if _belongs(path.as_posix())]
    for file in chosen:
        check_own_file(folder / file)
    others = {path.parts[0] for path in paths if path.as_posix() not in chosen}
    sources: dict[str, Path | bytes] = {file: folder / file for file in chosen}
    if CARD in sources:
        sources[CARD] = _card_for(name, folder / CARD)
    publication = Publication(
        name=name,
        files={
            file: len(source) if isinstance(source, bytes) else source.stat().st_size
            for file, source in sources.items()
        },
        left_out=tuple(sorted(others)),
    )
    if dry_run:
        return publication
    done = upload(name, sources, public=public, revision=revision, message=message, token=token)
    return Publication(**{**vars(publication), **vars(done)})


def _belongs(file: str) -> bool:
    return any(
        fnmatch(file, pattern) and file.count("/") == pattern.count("/") for pattern in _PATTERNS
    )


def _card_for(name: str, path: Path) -> bytes:
    """The card, with the model's name on the hub in its snippet."""
    text = path.read_text(encoding="utf-8")
    return _NAMED.sub(lambda found: found[1] + json.dumps(name), text).encode()
