"""Which pieces of a text, or of a pair of texts, fit into a model's input.

The rules are those of Rust (Hugging Face tokenizers, utils/truncation.rs and Encoding::truncate).
They differ from those of transformers' pure-Python tokenizer for pairs: `longest_first` gives
each text of a pair half of the room unless the other needs less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from distil.common.rules import choice
from distil.common.tokenizer.inputs import Side
from distil.errors import InputError

TruncationStrategy = Literal["longest_first", "only_first", "only_second", "do_not_truncate"]
Span = tuple[int, int]


class Window(NamedTuple):
    """The pieces that one row holds: half-open spans of the first and the second text."""

    first: Span
    second: Span | None


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """How to make rows fit.

    Attributes:
        room: Pieces that a row has room for besides special tokens.
        strategy: Which text of a pair loses pieces.
        side: The side that loses pieces.
        stride: Pieces that a row shares with the next one when overflow is returned.
        overflow: Whether what does not fit makes more rows.
    """

    room: int
    strategy: TruncationStrategy
    side: Side
    stride: int
    overflow: bool

    def windows(self, row: int, first: int, second: int | None) -> list[Window]:
        """Work out the rows that a text or a pair makes: the row itself, then any overflow.

        Args:
            row: Index in the batch, for error messages.
            first: Pieces of the first text.
            second: Pieces of the second text; None without one.

        Raises:
            InputError: The strategy cannot make the row fit, or the stride leaves no progress.
        """
        excess = first + (second or 0) - self.room
        if excess <= 0:
            return [Window((0, first), None if second is None else (0, second))]
        keep_first, keep_second = self._kept(row, first, second, excess)
        firsts = self._spans(row, first, keep_first)
        if second is None or keep_second is None:
            return [Window(span, None) for span in firsts]
        seconds = self._spans(row, second, keep_second)
        # The row itself, then each further part of the first text with all parts of the second,
        # then the first part of the first text with the further parts of the second.
        pairs = [(firsts[0], seconds[0])]
        pairs += [(one, other) for one in firsts[1:] for other in seconds]
        pairs += [(firsts[0], other) for other in seconds[1:]]
        return [Window(one, other) for one, other in pairs]

    def _kept(
        self, row: int, first: int, second: int | None, excess: int
    ) -> tuple[int, int | None]:
        """Return how many pieces are kept of each text."""
        if self.room == 0:
            return 0, None if second is None else 0
        if self.strategy == "longest_first":
            if second is None:
                return self.room, None
            shorter, longer = sorted((first, second))
            longer = max(shorter, self.room - shorter)
            if shorter + longer > self.room:
                shorter = self.room // 2
                longer = shorter + self.room % 2
            # Of two equally long texts the second gets the odd piece.
            return (longer, shorter) if first > second else (shorter, longer)
        if self.strategy == "only_second" and second is None:
            raise InputError(
                "truncation 'only_second' needs a second text", found="a single text",
                where=f"row {row}",
                fix="pass text_pair, or truncate with 'only_first' or 'longest_first'",
            )  # fmt: skip
        if self.strategy == "only_first":
            target, other = first, second or 0
        else:
            target, other = second or 0, first
        if target <= excess:
            raise InputError(
                f"truncation {self.strategy!r} cannot make the row fit",
                expected=f"at most {self.room} pieces beside the special tokens",
                found=f"{other} pieces in the text that must stay whole", where=f"row {row}",
                fix="truncate with 'longest_first', or raise max_length",
            )  # fmt: skip
        if self.strategy == "only_first":
            return first - excess, second
        return first, target - excess

    def _spans(self, row: int, length: int, kept: int) -> list[Span]:
        """Return the part of a text that is kept and, if asked for, those that follow it."""
        if kept >= length:
            return [(0, length)]
        if self.overflow and kept == 0:
            raise InputError(
                "no piece of the text fits, so its overflow would never end",
                found=f"room for {self.room} pieces beside the special tokens", where=f"row {row}",
                fix="raise max_length",
            )  # fmt: skip
        if self.stride >= kept > 0:
            raise InputError(
                "the stride leaves no room for new pieces",
                expected=f"less than {kept}, the pieces that a row has room for",
                found=f"stride {self.stride}", where=f"row {row}",
                fix="lower stride, or raise max_length",
            )  # fmt: skip
        if not self.overflow:
            return [(0, kept) if self.side == "right" else (length - kept, length)]
        step = kept - self.stride
        spans = [(start, min(start + kept, length)) for start in range(0, length, step)]
        # Windows that only repeat the end of the one before are left out.
        needed = 1 + next(index for index, (_, stop) in enumerate(spans) if stop == length)
        spans = spans[:needed]
        if self.side == "left":
            return [(length - stop, length - start) for start, stop in spans]
        return spans


def read_truncation(
    truncation: object,
    *,
    limit: int | None,
    specials: int,
    side: object,
    stride: int,
    overflow: bool,
) -> Truncation | None:
    """Read the arguments that truncation is asked for with; None when nothing is to be cut.

    Args:
        truncation: True, False, None, or a strategy by name.
        limit: Length of a row, with its `specials` special tokens; None for no limit.
        side: As in `Truncation`, like the rest.

    Raises:
        InputError: There is no such strategy, or no room for text.
    """
    if truncation is True:
        truncation = "longest_first"
    elif truncation is None or truncation is False:
        truncation = "do_not_truncate"
    strategy = choice(truncation, TruncationStrategy, "truncation", also="True, False, ")
    if strategy == "do_not_truncate" or limit is None:
        return None
    room = limit - specials
    if room < 0:
        raise InputError(
            "max_length has no room for the special tokens", expected=f"at least {specials}",
            found=limit, where="max_length",
        )  # fmt: skip
    if stride and stride >= room:
        raise InputError(
            "the stride leaves no room for new pieces",
            expected=f"less than {room}: max_length {limit} without {specials} special tokens",
            found=stride, where="stride",
        )  # fmt: skip
    return Truncation(
        room=room,
        strategy=strategy,
        side=choice(side, Side, "truncation_side"),
        stride=stride,
        overflow=overflow,
    )
