"""From ids and tokens back to text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from distil.common.tokenizer.tensors import to_lists
from distil.common.tokenizer.vocabulary import Vocabulary
from distil.errors import InputError

# English as it is written: what splitting at punctuation took apart.  In this order.
_CLEAN_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


class Decoding(Vocabulary):
    """A vocabulary that turns ids back into text."""

    clean_up_tokenization_spaces = True

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """Turn one row of ids into text.

        Args:
            token_ids: An id, or the ids (s) of a row: a list, an array or a tensor.
            skip_special_tokens: Leave special tokens out.
            clean_up_tokenization_spaces: Take away the spaces before punctuation and English
                contractions; None takes the tokenizer's own setting.  (In transformers' fast
                tokenizer False still takes some away.)

        Returns:
            The text: pieces of a word joined, words separated by spaces.

        Raises:
            InputError: An id is not in the vocabulary, or more than one row was given.
        """
        ids = to_lists(token_ids)
        ids = [ids] if isinstance(ids, int) else ids
        if any(isinstance(item, list) for item in ids):
            raise InputError(
                "decode takes one row of ids", found=f"{len(ids)} rows", fix="use batch_decode"
            )
        tokens = self.convert_ids_to_tokens(ids, skip_special_tokens)
        text = self.convert_tokens_to_string(tokens)
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        return self.clean_up_tokenization(text) if clean_up_tokenization_spaces else text

    def batch_decode(
        self,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> list[str]:
        """Turn rows of ids into texts.

        Args:
            sequences: Ids (b s): lists, an array or a tensor.
            skip_special_tokens: As in `decode`.
            clean_up_tokenization_spaces: As in `decode`.

        Returns:
            A text for each row.

        Raises:
            InputError: An id is not in the vocabulary.
        """
        return [
            self.decode(row, skip_special_tokens, clean_up_tokenization_spaces)
            for row in to_lists(sequences)
        ]

    def convert_tokens_to_string(self, tokens: Iterable[str]) -> str:
        """Join pieces to text: those of a word together, words with spaces between."""
        prefix = self._definition.prefix
        parts = []
        for index, token in enumerate(tokens):
            if index and token.startswith(prefix):
                parts.append(token.removeprefix(prefix))
            else:
                parts.append(f" {token}" if index else token)
        return "".join(parts)

    @staticmethod
    def clean_up_tokenization(out_string: str) -> str:
        """Take away the spaces before punctuation and English contractions."""
        for apart, together in _CLEAN_UP:
            out_string = out_string.replace(apart, together)
        return out_string
