"""DistilBERT's tokenizers: text to the inputs of a model, and back.

`DistilBertTokenizerFast` runs in Rust, `DistilBertTokenizer` in Python.  They cut text into the
same pieces; everything else they share.
"""

from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.batch_encoding import BatchEncoding, CharSpan, TokenSpan
from distil.common.tokenizer.encoding import Encoding
from distil.common.tokenizer.loading import (
    DistilBertTokenizer,
    DistilBertTokenizerFast,
    load_tokenizer,
)

__all__ = [
    "AddedToken",
    "BatchEncoding",
    "CharSpan",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "Encoding",
    "TokenSpan",
    "load_tokenizer",
]
