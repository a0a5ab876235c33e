"""One function for both tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distil.common.tokenizer.base import TokenizerBase
from distil.common.tokenizer.python_tokenizer import DistilBertTokenizer


def load_tokenizer(folder: Path, *, fast: bool = True, **options: Any) -> TokenizerBase:
    """Load the tokenizer in a folder.

    Args:
        folder: A local folder with vocab.txt or tokenizer.json.
        fast: The one in Rust; False for the one in Python.
        **options: Override what the files say; as in making a tokenizer.

    Returns:
        The tokenizer.

    Raises:
        TokenizerError: A file is missing or broken.
    """
    if not fast:
        return DistilBertTokenizer.from_pretrained(folder, **options)
    # The Python tokenizer works where there is no compiled `tokenizers`.
    from distil.common.tokenizer.rust_tokenizer import DistilBertTokenizerFast  # noqa: PLC0415

    return DistilBertTokenizerFast.from_pretrained(folder, **options)
