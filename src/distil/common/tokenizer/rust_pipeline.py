"""The pipeline that runs in Rust: Hugging Face `tokenizers`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tokenizers  # type: ignore[import-untyped]

from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.pipeline import Details, Words, check_content
from distil.errors import TokenizerError


class RustPipeline:
    """BERT's tokenisation in compiled code, a whole batch at a time.

    Args:
        rust: The tokenizer to use, without added tokens; nobody else may change it.
        added_tokens: Added tokens and their ids, by ascending id.
        split_special_tokens: Treat special tokens in a text like any other text.

    Raises:
        TokenizerError: An added token is nothing once normalised, or cannot have its id.
    """

    def __init__(
        self,
        rust: tokenizers.Tokenizer,
        added_tokens: Mapping[AddedToken, int],
        *,
        split_special_tokens: bool = False,
    ) -> None:
        self.rust = rust
        # Both would be state shared between calls; they are worked out in Python, call by call.
        self.rust.no_truncation()
        self.rust.no_padding()
        self.rust.encode_special_tokens = split_special_tokens
        for token in added_tokens:
            if token.normalized and self.rust.normalizer is not None:
                check_content(token, self.rust.normalizer.normalize_str(token.content))
        self.rust.add_tokens([tokenizers.AddedToken(**token.to_dict()) for token in added_tokens])
        for token, token_id in added_tokens.items():
            if self.rust.token_to_id(token.content) != token_id:
                raise TokenizerError(
                    "an added token cannot have the id that it should have",
                    expected=f"{token.content!r}: {token_id}",
                    found=self.rust.token_to_id(token.content),
                    fix="give added tokens the ids that follow those of the vocabulary",
                )

    def ids(self, texts: Sequence[str] | Sequence[Words], *, split: bool) -> list[list[int]]:
        """Return the ids of the pieces of each text."""
        encodings = self.rust.encode_batch_fast(
            texts, is_pretokenized=split, add_special_tokens=False
        )
        return [encoding.ids for encoding in encodings]

    def details(self, texts: Sequence[str] | Sequence[Words], *, split: bool) -> Sequence[Details]:
        """Return ids, tokens, offsets and word indices of the pieces of each text."""
        encodings: Sequence[Details] = self.rust.encode_batch(
            texts, is_pretokenized=split, add_special_tokens=False
        )
        return encodings
