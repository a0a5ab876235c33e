"""Special tokens around ids, and batches of rows that were tokenized before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distil.common.tokenizer.arguments import Side, read_count
from distil.common.tokenizer.batch_encoding import BatchEncoding
from distil.common.tokenizer.decoding import Decoding
from distil.common.tokenizer.padding import read_padding
from distil.common.tokenizer.rows import Frame
from distil.common.tokenizer.tensors import TensorKind, to_lists
from distil.errors import InputError

UNLIMITED = int(1e30)
"""`model_max_length` of a tokenizer that knows no limit (the number transformers uses)."""


class Framing(Decoding):
    """A vocabulary that puts special tokens and padding around ids."""

    padding_side: Side = "right"
    model_max_length: int
    model_input_names: Sequence[str] = ("input_ids", "attention_mask")

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return how many special tokens a row has: 2, or 3 for a pair of texts."""
        return 3 if pair else 2

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Put special tokens around ids.

        Args:
            token_ids_0: Ids of the first text.
            token_ids_1: Ids of the second text.

        Returns:
            `[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]`.
        """
        row = [self.cls_token_id, *token_ids_0, self.sep_token_id]
        return row if token_ids_1 is None else [*row, *token_ids_1, self.sep_token_id]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return 0 for the first text and 1 for the second, special tokens included.

        Args:
            token_ids_0: Ids of the first text, without special tokens.
            token_ids_1: Ids of the second text, without special tokens.
        """
        second = [] if token_ids_1 is None else [1] * (len(token_ids_1) + 1)
        return [0] * (len(token_ids_0) + 2) + second

    def get_special_tokens_mask(
        self,
        token_ids_0: Sequence[int],
        token_ids_1: Sequence[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Return 1 for special tokens and 0 for others.

        Args:
            token_ids_0: Ids of the first text, or of a whole row.
            token_ids_1: Ids of the second text.
            already_has_special_tokens: Whether `token_ids_0` is a whole row; any special token
                in it counts then.

        Raises:
            InputError: A whole row and a second text were given.
        """
        if not already_has_special_tokens:
            second = [] if token_ids_1 is None else [0] * len(token_ids_1) + [1]
            return [1] + [0] * len(token_ids_0) + [1] + second
        if token_ids_1 is not None:
            raise InputError(
                "a row that has its special tokens has no second text", where="token_ids_1"
            )
        special = set(self.all_special_ids)
        return [int(token_id in special) for token_id in token_ids_0]

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str | None = True,
        *,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: Side | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: TensorKind | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Pad rows that were tokenized before, as a data collator does.

        Args:
            encoded_inputs: What calling the tokenizer returned, a dictionary like it, or a list
                of dictionaries for one row each.  Values may be arrays or tensors.
            padding: True or "longest" pads to the longest row, "max_length" to `max_length`.
            max_length: For padding="max_length"; None takes `model_max_length`.
            pad_to_multiple_of: Round lengths up to a multiple of this.
            padding_side: "left" or "right"; None takes the tokenizer's own setting.
            return_attention_mask: Return 0 for padding, if there is no mask yet; None returns it
                when the model takes one.
            return_tensors: "np", "pt" or "tf"; None returns lists.
            verbose: Accepted as in transformers; there is nothing to say.

        Returns:
            The inputs, (b s) or (s) like what was given.  Only those that the tokenizer itself
            makes are padded; others (labels) are passed on as they are.

        Raises:
            InputError: There are no input ids, or rows do not fit together.
            FrameworkError: The framework of `return_tensors` is not installed.
        """
        columns = _columns(encoded_inputs)
        main = self.model_input_names[0]
        if main not in columns:
            raise InputError(
                "there is nothing to pad",
                expected=f"inputs with {main!r}",
                found=", ".join(map(str, columns)) or "no inputs at all",
            )
        values = {name: to_lists(value) for name, value in columns.items()}
        limit = read_count(max_length, "max_length")
        if limit is None and self.model_max_length < UNLIMITED:
            limit = self.model_max_length
        plan = read_padding(
            padding,
            side=self.padding_side if padding_side is None else padding_side,
            max_length=limit,
            multiple_of=pad_to_multiple_of,
        )
        batched = not values[main] or isinstance(values[main][0], list)
        lengths = list(map(len, values[main])) if batched else [len(values[main])]
        length = plan.length(max(lengths, default=0))

        wants_mask = "attention_mask" in self.model_input_names
        if (wants_mask if return_attention_mask is None else return_attention_mask) and (
            "attention_mask" not in values
        ):
            masks = [[1] * count for count in lengths]
            values["attention_mask"] = masks if batched else masks[0]
        fills = {
            main: self.pad_token_id,
            "attention_mask": 0,
            "token_type_ids": self.pad_token_type_id,
            "special_tokens_mask": 1,
            "offset_mapping": (0, 0),
        }
        for name, fill in fills.items():
            if name in values and batched:
                values[name] = [plan.pad(row, length, fill) for row in values[name]]
            elif name in values:
                values[name] = plan.pad(values[name], length, fill)
        return BatchEncoding(values, None, return_tensors)

    def _frame(self, *, special: bool) -> Frame:
        return Frame(
            special=special,
            cls=(self.cls_token, self.cls_token_id),
            sep=(self.sep_token, self.sep_token_id),
            pad=(self.pad_token, self.pad_token_id),
        )


def _columns(encoded_inputs: Any) -> dict[str, Any]:
    """Return inputs by name, of a batch or of a list of rows."""
    if isinstance(encoded_inputs, list | tuple) and all(
        isinstance(row, Mapping) for row in encoded_inputs
    ):
        names = list(encoded_inputs[0]) if encoded_inputs else []
        for index, row in enumerate(encoded_inputs):
            if set(row) != set(names):
                raise InputError(
                    "rows do not have the same inputs",
                    expected=", ".join(names),
                    found=", ".join(row),
                    where=f"row {index}",
                )
        return {name: [row[name] for row in encoded_inputs] for name in names}
    if isinstance(encoded_inputs, Mapping):
        return dict(encoded_inputs)
    raise InputError(
        "this cannot be padded",
        expected="a batch, or a list of dictionaries",
        found=type(encoded_inputs).__name__,
    )
