"""Other ways of calling a tokenizer, by the names that transformers has for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distil.common.tokenizer.arguments import Side
from distil.common.tokenizer.batch_encoding import BatchEncoding
from distil.common.tokenizer.calling import Calling, without_batch_axis
from distil.common.tokenizer.inputs import read_texts
from distil.common.tokenizer.rows import Rows
from distil.common.tokenizer.tensors import TensorKind, to_lists
from distil.errors import InputError


class OtherCalls(Calling):
    """A callable tokenizer with the methods of transformers that do the same."""

    def encode(self, text: Any, text_pair: Any = None, **options: Any) -> Any:
        """Return the ids of one text, or of a pair of texts.

        Args:
            text: A string; a list of words with `is_split_into_words`.
            text_pair: The second text.
            **options: As in calling the tokenizer.

        Returns:
            Ids (s); with `return_tensors` a tensor (1 s).
        """
        return self.encode_plus(text, text_pair, **options)["input_ids"]

    def encode_plus(self, text: Any, text_pair: Any = None, **options: Any) -> BatchEncoding:
        """Tokenize one text, or a pair of texts.

        Args:
            text: A string; a list of words with `is_split_into_words`.
            text_pair: The second text.
            **options: As in calling the tokenizer.

        Returns:
            Inputs by name.

        Raises:
            InputError: A batch was given.
        """
        split = bool(options.get("is_split_into_words"))
        if read_texts(text, text_pair, split=split).batched:
            raise InputError(
                "encode takes one text",
                found=f"a batch of {len(text)}",
                fix="call the tokenizer itself with a batch",
            )
        return self(text, text_pair, **options)

    def batch_encode_plus(
        self, batch_text_or_text_pairs: Sequence[Any], **options: Any
    ) -> BatchEncoding:
        """Tokenize a batch of texts, or of pairs of texts.

        Args:
            batch_text_or_text_pairs: Texts, or pairs of texts; lists of words, or pairs of these,
                with `is_split_into_words`.
            **options: As in calling the tokenizer.

        Returns:
            Inputs by name.

        Raises:
            InputError: No batch was given.
        """
        if not isinstance(batch_text_or_text_pairs, list | tuple):
            raise InputError(
                "batch_encode_plus takes a list of texts",
                found=type(batch_text_or_text_pairs).__name__,
                fix="call the tokenizer itself with one text",
            )
        return self(batch_text_or_text_pairs, **options)

    def tokenize(
        self, text: Any, pair: Any = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """Cut one text, or a pair of texts, into pieces.

        Args:
            text: A string; a list of words with `is_split_into_words`.
            pair: The second text.
            add_special_tokens: Put the special tokens around them.
            **options: As in calling the tokenizer.

        Returns:
            The pieces as text.
        """
        options = {"verbose": False, **options}
        return self.encode_plus(
            text, pair, add_special_tokens=add_special_tokens, **options
        ).tokens()

    def prepare_for_model(
        self,
        ids: Sequence[int],
        pair_ids: Sequence[int] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str | None = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        pad_to_multiple_of: int | None = None,
        padding_side: Side | None = None,
        return_tensors: TensorKind | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        prepend_batch_axis: bool = False,
    ) -> BatchEncoding:
        """Make the inputs of a model of ids without special tokens.

        Args:
            ids: Ids of the pieces of the first text.
            pair_ids: Ids of the pieces of the second text.
            add_special_tokens: As in calling the tokenizer, like all that follow.
            padding: See there.
            truncation: See there.
            max_length: See there.
            stride: See there.
            pad_to_multiple_of: See there.
            padding_side: See there.
            return_tensors: See there.
            return_token_type_ids: See there.
            return_attention_mask: See there.
            return_overflowing_tokens: See there.
            return_special_tokens_mask: See there.
            return_length: See there.
            verbose: See there.
            prepend_batch_axis: Return (1 s) instead of (s).

        Returns:
            Inputs by name, (s) each; (b s) with overflow.

        Raises:
            InputError: The ids cannot be made to fit.
        """
        plan = self._plan(
            pair_ids is not None,
            add_special_tokens=add_special_tokens,
            padding=padding,
            padding_side=padding_side,
            truncation=truncation,
            max_length=max_length,
            stride=stride,
            pad_to_multiple_of=pad_to_multiple_of,
            overflow=return_overflowing_tokens,
        )
        wanted = self._wanted(
            token_type_ids=return_token_type_ids,
            attention_mask=return_attention_mask,
            special_tokens_mask=return_special_tokens_mask,
            length=return_length,
            overflow_to_sample_mapping=return_overflowing_tokens,
        )
        rows = Rows([to_lists(ids)], None if pair_ids is None else [to_lists(pair_ids)], plan)
        if verbose and max_length is None:
            self._warn_if_too_long(max(rows.lengths))
        data = rows.data(wanted, None)
        if not return_overflowing_tokens:
            data = without_batch_axis(data)
        return BatchEncoding(
            data, None, return_tensors, prepend_batch_axis and not return_overflowing_tokens
        )
