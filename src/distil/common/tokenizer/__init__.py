"""DistilBERT's tokenizers: text to the inputs of a model, and back.

`DistilBertTokenizerFast` runs in Rust, `DistilBertTokenizer` in Python.  They cut text into the
same pieces; everything else they share.
"""

from typing import TYPE_CHECKING, Any

from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.batch_encoding import BatchEncoding
from distil.common.tokenizer.encoding import CharSpan, Encoding, TokenSpan
from distil.common.tokenizer.python_tokenizer import DistilBertTokenizer

if TYPE_CHECKING:
    from distil.common.tokenizer.rust_tokenizer import DistilBertTokenizerFast

__all__ = [
    "AddedToken",
    "BatchEncoding",
    "CharSpan",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "Encoding",
    "TokenSpan",
]


def __getattr__(name: str) -> Any:
    # The Python tokenizer works where there is no compiled `tokenizers`.
    if name == "DistilBertTokenizerFast":
        from distil.common.tokenizer.rust_tokenizer import DistilBertTokenizerFast  # noqa: PLC0415

        return DistilBertTokenizerFast
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
