"""The files beside the weights of a checkpoint: its tokenizer's, and others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from distil.checkpoints.writing import weight_files
from distil.common.config import FILE_NAME
from distil.storage.files import atomic_write
from distil.storage.hub import TOKENIZER_FILES
from distil.storage.opened import check_own_file


def tokenizer_files(folder: Path) -> list[Path]:
    """The tokenizer's files in a checkpoint.

    Raises:
        CheckpointError: One is not a regular file within the checkpoint.
    """
    files = [folder / name for name in TOKENIZER_FILES if os.path.lexists(folder / name)]
    for file in files:
        check_own_file(file)
    return files


def copy_files(files: Sequence[Path], target: Path) -> list[Path]:
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


def not_copied(folder: Path, target: Path) -> Iterator[str]:
    """Files in the source that are not part of the checkpoint; none if it stays there."""
    if target.exists() and target.samefile(folder):
        return
    known = {FILE_NAME, *TOKENIZER_FILES, *(path.name for path in weight_files(folder))}
    for path in sorted(folder.iterdir()):
        if path.name not in known and not path.name.startswith("."):
            yield path.name + ("/" if path.is_dir() else "")
