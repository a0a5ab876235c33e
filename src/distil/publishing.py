"""`push`: a model's folder on the hub, as one commit of what belongs to the model.

Nothing else of a training's folder goes up: not its data, its checkpoint, its log.
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

# What belongs to a model; "*" stands for no "/".
_PATTERNS = (
    CARD, "LICENSE*", CONFIG_FILE, *TOKENIZER_FILES, "curves.png", "recipe.yaml",
    "model*.safetensors", "model*.safetensors.index.json", "pytorch_model*.bin",
    "pytorch_model*.bin.index.json", "tf_model*.h5", "tf_model*.h5.index.json",
    "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json",
    "*_Pooling/config.json", "*_Normalize/config.json", "onnx/*.onnx",
)  # fmt: skip

# How the snippet of a card names the model.
_NAMED = re.compile(r'(distil\.pipeline\("[\w-]+", model=)"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What goes to the hub, or has gone there.

    Attributes:
        name: Of the repository.
        files: Bytes of each file.
        left_out: Files and folders that stay where they are.
        url: Where the hub shows it; None before it is there.
        commit: That holds the files; None likewise.
    """

    name: str
    files: Mapping[str, int]
    left_out: tuple[str, ...]
    url: str | None = None
    commit: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
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
    """Put the model in a folder on the hub.

    Args:
        folder: Of a model, as `distil.train` or `distil.save` leaves it.
        name: Of the repository, "owner/model"; it is made if it is not there.  The snippet in the
            card names the model so there.
        public: Whether everybody may see a repository that is made.
        revision: The branch to commit to, made if it is not there; None is the main one.
        message: Of the commit.
        token: With the right to write; None takes the one of HF_TOKEN or of `hf auth login`.
        dry_run: Whether to say what would go up, and do nothing.

    Returns:
        What has gone up, or would.

    Raises:
        CheckpointNotFoundError: There is no model in the folder.
        UnsafeCheckpointError: A file is a link that leaves the folder: it would publish another.
        HubError: It is no name on the hub; or the hub refuses it, or cannot be reached.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointNotFoundError(
            "no such folder", expected="a folder with config.json and weights", where=folder
        )
    check_repository(name)
    open_checkpoint(folder).close()  # whose errors say what is missing
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
    """The card, with the model named as it is called on the hub."""
    text = path.read_text(encoding="utf-8")
    return _NAMED.sub(lambda found: found[1] + json.dumps(name), text).encode()
