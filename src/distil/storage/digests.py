"""What tells a file from another one: its size, and a digest of all of it or of samples."""

from __future__ import annotations

import hashlib
from errno import EISDIR
from pathlib import Path

# Files of a model's folder that decide what it is.
_OF_A_MODEL = (".json", ".txt", ".safetensors", ".bin", ".h5")

# Into which a file is cut that is not read as a whole.
_BLOCKS = 64


def digest_of(path: Path, *, whole: int | None = None) -> str:
    """Size and digest of a file.

    Args:
        path: The file.
        whole: Bytes to read at most: of a larger file, as many in blocks spread over it.  A
            change that keeps the size and falls between these is not seen.  None reads all.

    Raises:
        OSError: It cannot be read, or is no file.
    """
    size = path.stat().st_size
    if not path.is_file():
        raise OSError(EISDIR, "not a file", str(path))
    with path.open("rb") as file:
        if whole is None or size <= whole:
            digest = hashlib.file_digest(file, "sha256")
        else:
            digest = hashlib.sha256()
            length = whole // _BLOCKS
            for block in range(_BLOCKS):
                file.seek((size - length) * block // (_BLOCKS - 1))
                digest.update(file.read(length))
    return f"{size} bytes {digest.hexdigest()[:16]}"


def digests_of_model(folder: Path, *, whole: int | None = None) -> dict[str, str]:
    """Digests of the files in a folder that make a model, by name; see `digest_of`."""
    paths = sorted(path for path in folder.glob("*") if path.suffix in _OF_A_MODEL)
    return {path.name: digest_of(path, whole=whole) for path in paths}
