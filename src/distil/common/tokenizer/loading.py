"""One function for both tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distil.common.tokenizer.base import TokenizerBase
from distil.common.tokenizer.python_tokenizer import DistilBertTokenizer
from distil.common.tokenizer.rust_tokenizer import DistilBertTokenizerFast


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
    kind = DistilBertTokenizerFast if fast else DistilBertTokenizer
    return kind.from_pretrained(folder, **options)
