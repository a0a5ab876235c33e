"""Calling a tokenizer: texts in, model inputs out."""

from __future__ import annotations

import warnings
from typing import Any

from distil.common.tokenizer.arguments import Side, read_count
from distil.common.tokenizer.batch_encoding import BatchEncoding
from distil.common.tokenizer.framing import UNLIMITED, Framing
from distil.common.tokenizer.inputs import check_surrogates, read_texts
from distil.common.tokenizer.padding import check_multiple, read_padding
from distil.common.tokenizer.rows import Plan, Rows, Source, Wanted
from distil.common.tokenizer.tensors import TensorKind, read_kind
from distil.common.tokenizer.truncation import read_truncation


class Calling(Framing):
    """A vocabulary that turns texts into the inputs of a model."""

    model_max_length = UNLIMITED
    truncation_side: Side = "right"
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
        kind = None if return_tensors is None else read_kind(return_tensors)
        plan = self._plan(
            texts.second is not None,
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
            offset_mapping=return_offsets_mapping,
            length=return_length,
            overflow_to_sample_mapping=return_overflowing_tokens,
        )
        source = Source(self._pipeline, texts, detailed=return_offsets_mapping)
        first, *second = source.ids()
        rows = Rows(first, second[0] if second else None, plan)
        if verbose and max_length is None:
            self._warn_if_too_long(max(rows.lengths, default=0))
        data = rows.data(wanted, source)
        if not (texts.batched or kind or return_overflowing_tokens):
            data = without_batch_axis(data)
        return BatchEncoding(data, lambda: rows.encodings(source), kind)

    def _wanted(
        self, *, token_type_ids: bool | None, attention_mask: bool | None, **columns: bool
    ) -> Wanted:
        """Resolve None to whether the model takes such an input."""
        names = self.model_input_names
        return Wanted(
            token_type_ids="token_type_ids" in names if token_type_ids is None else token_type_ids,
            attention_mask="attention_mask" in names if attention_mask is None else attention_mask,
            **columns,
        )

    def _plan(
        self,
        pair: bool,
        *,
        add_special_tokens: bool,
        padding: bool | str | None,
        padding_side: Side | None,
        truncation: bool | str | None,
        max_length: int | None,
        stride: int,
        pad_to_multiple_of: int | None,
        overflow: bool,
    ) -> Plan:
        """Read what rows are to look like."""
        limit = read_count(max_length, "max_length")
        if limit is None and self.model_max_length < UNLIMITED:
            limit = self.model_max_length
        pad = read_padding(
            padding,
            side=self.padding_side if padding_side is None else padding_side,
            max_length=limit,
            multiple_of=pad_to_multiple_of,
        )
        if truncation is None and max_length is not None and pad.strategy == "do_not_pad":
            truncation = True
        cut = read_truncation(
            truncation,
            limit=limit,
            specials=self.num_special_tokens_to_add(pair) if add_special_tokens else 0,
            side=self.truncation_side,
            stride=read_count(stride, "stride") or 0,
            overflow=overflow,
        )
        if cut and pad.strategy != "do_not_pad" and pad.multiple_of and limit:
            check_multiple(limit, pad.multiple_of)
        return Plan(frame=self._frame(special=add_special_tokens), truncation=cut, padding=pad)

    def _warn_if_too_long(self, length: int) -> None:
        if length > self.model_max_length and not self._warned:
            self._warned = True
            warnings.warn(
                f"a text has {length} pieces, more than the {self.model_max_length} that the model "
                "allows; pass truncation=True (said once)",
                stacklevel=3,
            )


def without_batch_axis(data: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the first row of each column; a list of numbers has no batch axis to lose."""
    return {name: value[0] if isinstance(value[0], list) else value for name, value in data.items()}
