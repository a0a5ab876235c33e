"""How long rows are padded, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from distil.common.rules import choice
from distil.common.tokenizer.inputs import Side, read_count
from distil.common.tokenizer.tensors import to_lists
from distil.errors import InputError

T = TypeVar("T")

PaddingStrategy = Literal["longest", "max_length", "do_not_pad"]


@dataclass(frozen=True, kw_only=True)
class Padding:
    """How to make rows equally long.

    Attributes:
        strategy: Up to the longest row, up to `max_length`, or not at all.
        side: The side that the padding goes to.
        max_length: For the strategy of this name.
        multiple_of: Lengths are rounded up to a multiple of this.
    """

    strategy: PaddingStrategy
    side: Side
    max_length: int | None = None
    multiple_of: int | None = None

    def length(self, longest: int) -> int:
        """Return the length that shorter rows are padded to, by that of the longest."""
        if self.strategy == "do_not_pad":
            return 0
        if self.strategy == "max_length":
            if self.max_length is None:
                raise InputError(
                    "padding='max_length' needs a length",
                    found="no max_length, and no model_max_length in the tokenizer",
                    fix="pass max_length",
                )
            length = self.max_length
        else:
            length = longest
        return -(-length // self.multiple_of) * self.multiple_of if self.multiple_of else length

    def pad(self, row: list[T], length: int, value: T) -> list[T]:
        """Return `row` padded with `value` to `length`; as it is when it is longer."""
        if len(row) >= length:
            return row
        fill = [value] * (length - len(row))
        return fill + row if self.side == "left" else row + fill

    def pad_columns(
        self, columns: Mapping[str, Any], fills: Mapping[str, Any], *, main: str, mask: bool
    ) -> dict[str, Any]:
        """Pad rows that were made before: lists, arrays or tensors (b s), or one row (s).

        Columns that `fills` names are filled with its values, to the length of those in `main`;
        with `mask` the attention mask is added if there is none.
        """
        values = {name: to_lists(value) for name, value in columns.items()}
        batched = not values[main] or isinstance(values[main][0], list)
        lengths = list(map(len, values[main])) if batched else [len(values[main])]
        length = self.length(max(lengths, default=0))
        if mask and "attention_mask" not in values:
            masks = [[1] * count for count in lengths]
            values["attention_mask"] = masks if batched else masks[0]
        for name, fill in fills.items():
            if name in values and batched:
                values[name] = [self.pad(row, length, fill) for row in values[name]]
            elif name in values:
                values[name] = self.pad(values[name], length, fill)
        return values


def read_padding(
    padding: object, *, side: object, max_length: int | None, multiple_of: int | None
) -> Padding:
    """Read the arguments that padding is asked for with.

    Raises:
        InputError: One of them is impossible.
    """
    if padding is None or padding is False:
        padding = "do_not_pad"
    elif padding is True:
        padding = "longest"
    return Padding(
        strategy=choice(padding, PaddingStrategy, "padding", also="True, False, "),
        side=choice(side, Side, "padding_side"),
        max_length=max_length,
        multiple_of=read_count(multiple_of, "pad_to_multiple_of", least=1),
    )
