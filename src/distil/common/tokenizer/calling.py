"""Calling a tokenizer: texts in, model inputs out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from distil.common.errors import InputError
from distil.common.tokenizer.batch_encoding import BatchEncoding
from distil.common.tokenizer.decoding import Decoding
from distil.common.tokenizer.inputs import Texts, check_surrogates, read_texts
from distil.common.tokenizer.padding import Padding, read_count, read_padding
from distil.common.tokenizer.rows import Frame, Rows, Source, Wanted
from distil.common.tokenizer.tensors import TensorKind, read_kind, to_lists
from distil.common.tokenizer.truncation import Side, Truncation, read_strategy

UNLIMITED = int(1e30)
"""`model_max_length` of a tokenizer that knows no limit (the number transformers uses)."""


class Calling(Decoding):
    """A vocabulary that turns texts into the inputs of a model."""

    model_max_length = UNLIMITED
    padding_side: Side = "right"
    truncation_side: Side = "right"
    model_input_names: Sequence[str] = ("input_ids", "attention_mask")
    _warned = False

    def __call__(
        self,
        text: Any,
        text_pair: Any = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str | None = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: Side | None = None,
        return_tensors: TensorKind | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Tokenize a text, a pair of texts, or a batch of either.

        Args:
            text: A string, or a list of strings; a list of pairs of strings is a batch of pairs.
                With `is_split_into_words` a list of words stands for each string.
            text_pair: The second texts, nested like `text`; "" is an empty text, None is none.
            add_special_tokens: Make rows `[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]`.
            padding: True or "longest" pads to the longest row, "max_length" to `max_length`.
            truncation: True or "longest_first" takes pieces from the longer text, "only_first"
                and "only_second" from that text, False from none; None truncates when
                `max_length` is given and `padding` is not.
            max_length: Length of a row, special tokens included; None takes `model_max_length`.
            stride: Pieces that an overflowing row shares with the row before.
            is_split_into_words: Whether texts are given as lists of words.
            pad_to_multiple_of: Round lengths up to a multiple of this.
            padding_side: "left" or "right"; None takes the tokenizer's own setting.
            return_tensors: "np", "pt" or "tf"; None returns lists.
            return_token_type_ids: Return 0 for the first text and 1 for the second.
            return_attention_mask: Return 1 for pieces and 0 for padding.
            return_overflowing_tokens: Make more rows of what does not fit, and return which text
                each row is from (`overflow_to_sample_mapping`).
            return_special_tokens_mask: Return 1 for special tokens and padding.
            return_offsets_mapping: Return the span of characters of each piece.
            return_length: Return the length of each row.
            verbose: Warn, once, of a text longer than the model allows.

        Returns:
            Inputs by name, (b s) each; (s) for a single text unless tensors or overflow are
            asked for.

        Raises:
            InputError: This is no text, or it cannot be made to fit; says which row.
            FrameworkError: The framework of `return_tensors` is not installed.
        """
        texts = read_texts(text, text_pair, split=is_split_into_words)
        check_surrogates(texts)
        read_tensors = None if return_tensors is None else read_kind(return_tensors)
        count = read_count(stride, "stride") or 0
        limit = read_count(max_length, "max_length")
        plan = self._read_padding(padding, padding_side, limit, pad_to_multiple_of)
        if truncation is None and limit is not None and plan.strategy == "do_not_pad":
            truncation = True
        cut = self._read_truncation(
            truncation,
            limit,
            count,
            plan,
            specials=self.num_special_tokens_to_add(texts.second is not None) * add_special_tokens,
            overflow=return_overflowing_tokens,
        )
        wanted = Wanted(
            token_type_ids=self._wants("token_type_ids", return_token_type_ids),
            attention_mask=self._wants("attention_mask", return_attention_mask),
            special_tokens_mask=return_special_tokens_mask,
            offset_mapping=return_offsets_mapping,
            length=return_length,
            overflow_to_sample_mapping=return_overflowing_tokens,
        )

        source = Source(self._pipeline, texts, detailed=return_offsets_mapping)
        first, *second = source.ids()
        rows = Rows(first, second[0] if second else None, self._frame(add_special_tokens), cut, plan)
        if verbose and limit is None:
            self._warn_if_too_long(max(rows.lengths, default=0))
        data: dict[str, Any] = dict(rows.data(wanted, source))
        if not (texts.batched or read_tensors or return_overflowing_tokens):
            # As in transformers: a single text loses its batch axis, a list of numbers has none.
            data = {
                name: value[0] if isinstance(value[0], list) else value
                for name, value in data.items()
            }
        return BatchEncoding(data, lambda: rows.encodings(source), read_tensors)
