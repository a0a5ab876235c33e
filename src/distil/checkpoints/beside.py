"""The files beside the weights of a checkpoint: its tokenizer's, its encoding's, and others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from distil.checkpoints.located import Located
from distil.checkpoints.sentence_files import WRITTEN, replace_encoding
from distil.checkpoints.writing import weight_files
from distil.common import bert
from distil.common.config_files import FILE_NAME
from distil.common.sentences import SentenceEncoding
from distil.errors import ConfigError
from distil.storage.files import atomic_write, read_json, write_json
from distil.storage.formats import TOKENIZER_FILES
from distil.storage.opened import check_own_file

_TOKENIZER_CONFIG, _TOKENIZER_CLASS = "tokenizer_config.json", "tokenizer_class"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """The files that are copied or written again with a checkpoint.

    Attributes:
        folder: Where it is.
        tokenizer: The tokenizer's files.
        of_bert: Whether the checkpoint is a BERT, which becomes a DistilBERT.
        encoding: How it embeds texts; None if its files do not say, or need what is not supported.
    """

    folder: Path
    tokenizer: Sequence[Path]
    of_bert: bool
    encoding: SentenceEncoding | None

    @classmethod
    def of(cls, found: Located) -> Beside:
        """The files beside the weights of `found`.

        Raises:
            CheckpointError: A file is damaged, or not a regular file within the checkpoint.
        """
        try:
            encoding = found.encoding
        except ConfigError:
            encoding = None
        return cls(
            folder=found.folder,
            tokenizer=tokenizer_files(found.folder),
            of_bert=found.model_type == bert.MODEL_TYPE,
            encoding=encoding,
        )

    def copy(self, target: Path, *, dim: int) -> list[Path]:
        """Copy them to `target`, for an encoder of width `dim`; returns the files there."""
        copies = _copy_files(self.tokenizer, target)
        if self.of_bert and target / _TOKENIZER_CONFIG in copies:
            _name_distilberts_class(target / _TOKENIZER_CONFIG)
        if self.encoding is None and target.samefile(self.folder):
            return copies  # what is not copied stays
        return copies + replace_encoding(target, self.encoding, dim=dim)

    def not_copied(self, target: Path) -> Iterator[str]:
        """Other files in the source; none if it is the target."""
        if target.exists() and target.samefile(self.folder):
            return
        known = {FILE_NAME, *TOKENIZER_FILES, *(path.name for path in weight_files(self.folder))}
        if self.encoding is not None:
            known |= set(WRITTEN)
        for path in sorted(self.folder.iterdir()):
            if path.name not in known and not path.name.startswith("."):
                yield path.name + ("/" if path.is_dir() else "")


def tokenizer_files(folder: Path) -> list[Path]:
    """The tokenizer's files in a checkpoint.

    Raises:
        CheckpointError: One is not a regular file within the checkpoint.
    """
    files = [folder / name for name in TOKENIZER_FILES if os.path.lexists(folder / name)]
    for file in files:
        check_own_file(file)
    return files


def _copy_files(files: Sequence[Path], target: Path) -> list[Path]:
    """Copy the tokenizer's files as they are; the files in the target afterwards.

    Files of another tokenizer do not stay beside them: half of one and half of another would
    load, and be neither.
    """
    copies = [target / file.name for file in files]
    for file, copy in zip(files, copies, strict=True):
        if copy.exists() and copy.samefile(file):
            continue
        with atomic_write(copy) as temporary:
            shutil.copyfile(file, temporary)
    if copies:
        for name in TOKENIZER_FILES:
            if target / name not in copies:
                (target / name).unlink(missing_ok=True)
    return copies


def _name_distilberts_class(path: Path) -> None:
    """Let a tokenizer_config.json that names a BERT's tokenizer name DistilBERT's.

    A BERT's, in transformers, gives token types, which a DistilBERT does not take.
    """
    table = read_json(path)
    if _TOKENIZER_CLASS in table:
        write_json(path, {**table, _TOKENIZER_CLASS: "DistilBertTokenizer"})
