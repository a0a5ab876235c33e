"""What a caller asks of a tokenizer, as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from distil.common.tokenizer.inputs import Side, read_count
from distil.common.tokenizer.padding import read_padding
from distil.common.tokenizer.rows import Frame, Plan
from distil.common.tokenizer.tensors import TensorKind
from distil.common.tokenizer.truncation import read_truncation
from distil.errors import InputError

UNLIMITED = int(1e30)
"""`model_max_length` of a tokenizer that knows no limit (the number transformers uses)."""


class Settings(Protocol):
    """What a tokenizer does where a call says nothing."""

    model_max_length: int
    padding_side: Side
    truncation_side: Side
    model_input_names: Sequence[str]


def row_length(settings: Settings, max_length: int | None) -> int | None:
    """Return how long rows may be: `max_length` if given, else the model's limit if it has one."""
    length = read_count(max_length, "max_length")
    if length is None and settings.model_max_length < UNLIMITED:
        return settings.model_max_length
    return length


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """The options of a call; `TokenizerBase.__call__` says what each of them means."""

    add_special_tokens: bool = True
    padding: bool | str | None = False
    truncation: bool | str | None = None
    max_length: int | None = None
    stride: int = 0
    is_split_into_words: bool = False
    pad_to_multiple_of: int | None = None
    padding_side: Side | None = None
    return_tensors: TensorKind | None = None
    return_token_type_ids: bool | None = None
    return_attention_mask: bool | None = None
    return_overflowing_tokens: bool = False
    return_special_tokens_mask: bool = False
    return_offsets_mapping: bool = False
    return_length: bool = False
    verbose: bool = True
    split_special_tokens: bool | None = None

    def plan(self, settings: Settings, frame: Frame, *, specials: int) -> Plan:
        """Work out what rows with `specials` special tokens are to look like.

        Raises:
            InputError: An option is impossible, or two contradict each other.
        """
        limit = row_length(settings, self.max_length)
        padding = read_padding(
            self.padding,
            side=settings.padding_side if self.padding_side is None else self.padding_side,
            max_length=limit,
            multiple_of=self.pad_to_multiple_of,
        )
        truncation = self.truncation
        if truncation is None and self.max_length is not None and padding.strategy == "do_not_pad":
            truncation = True
        cut = read_truncation(
            truncation,
            limit=limit,
            specials=specials if self.add_special_tokens else 0,
            side=settings.truncation_side,
            stride=read_count(self.stride, "stride") or 0,
            overflow=self.return_overflowing_tokens,
        )
        multiple = padding.multiple_of if padding.strategy != "do_not_pad" else None
        if cut and multiple and limit and limit % multiple:
            raise InputError(  # rows cut to this length would be padded beyond it
                "max_length is not a multiple of pad_to_multiple_of",
                expected=f"a multiple of {multiple}", found=limit, where="max_length",
            )  # fmt: skip
        columns = {
            "token_type_ids": self.return_token_type_ids,
            "attention_mask": self.return_attention_mask,
            "special_tokens_mask": self.return_special_tokens_mask,
            "offset_mapping": self.return_offsets_mapping,
            "length": self.return_length,
            "overflow_to_sample_mapping": self.return_overflowing_tokens,
        }
        # None leaves it to the model whether it takes such an input.
        wanted = {
            name
            for name, asked in columns.items()
            if (name in settings.model_input_names if asked is None else asked)
        }
        return Plan(frame=frame, truncation=cut, padding=padding, columns=frozenset(wanted))
