"""The other names of transformers' tokenizers: thin methods over those that do the work.

They are here so that code written for transformers runs; nothing else in the tokenizer needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.batch_encoding import BatchEncoding
from distil.common.tokenizer.decoding import clean_up, join
from distil.common.tokenizer.inputs import Side, read_columns, read_texts
from distil.common.tokenizer.options import CallOptions, row_length
from distil.common.tokenizer.padding import read_padding
from distil.common.tokenizer.pretrained import Pretrained
from distil.common.tokenizer.rows import Rows, without_batch_axis
from distil.common.tokenizer.tensors import TensorKind, to_lists
from distil.errors import InputError

# What may be given by position: after the texts, to `encode`, and after ids.
_ORDER = tuple(field.name for field in fields(CallOptions))
_ENCODE_ORDER = (*_ORDER[:5], "padding_side", "return_tensors")
# What only texts can be asked for, and not ids.
_OF_TEXTS = ("is_split_into_words", "return_offsets_mapping", "split_special_tokens")
_PREPARE_ORDER = tuple(name for name in _ORDER[:-3] if name not in _OF_TEXTS)


class TransformersNames(Pretrained):
    """A tokenizer with the other attributes and methods of transformers' tokenizers."""

    vocab = property(Pretrained.get_vocab)
    added_tokens_encoder = property(Pretrained.get_added_vocab)

    @property
    def special_tokens_map_extended(self) -> dict[str, AddedToken | list[AddedToken]]:
        """Special tokens by name, with how each is found in a text."""
        added = self._vocabulary.added
        names: dict[str, AddedToken | list[AddedToken]] = {
            name: added[content][0] for name, content in self._vocabulary.named.items()
        }
        if self._vocabulary.unnamed:
            unnamed = [added[content][0] for content in self._vocabulary.unnamed]
            names["additional_special_tokens"] = unnamed
        return names

    @property
    def all_special_tokens_extended(self) -> list[AddedToken]:
        """All special tokens, each once, with how each is found in a text."""
        return [self._vocabulary.added[content][0] for content in self._vocabulary.special]

    def sanitize_special_tokens(self) -> int:
        """Add the special tokens that the vocabulary lacks; there are none: returns 0."""
        return self.add_tokens(self.all_special_tokens_extended, special_tokens=True)

    def _convert_id_to_token(self, index: int) -> str:
        # transformers' collator for whole words asks for it.
        return self._vocabulary.token(index)

    def _convert_token_to_id(self, token: str) -> int:
        return self._vocabulary.id(token)

    def encode(self, text: Any, text_pair: Any = None, *positional: Any, **options: Any) -> Any:
        """Return the ids (s) of one text, or of a pair; a tensor (1 s) with `return_tensors`.

        Args:
            text: A string; a list of words with `is_split_into_words`.
            text_pair: The second text.
            *positional: add_special_tokens, padding, truncation, max_length, stride,
                padding_side, return_tensors.
            **options: As in calling the tokenizer.
        """
        options = _by_name(positional, _ENCODE_ORDER, options)
        return self.encode_plus(text, text_pair, **options)["input_ids"]

    def encode_plus(
        self, text: Any, text_pair: Any = None, *positional: Any, **options: Any
    ) -> BatchEncoding:
        """Tokenize one text, or a pair of texts; arguments as in calling the tokenizer.

        Raises:
            InputError: A batch was given.
        """
        options = _by_name(positional, _ORDER, options)
        split = bool(options.get("is_split_into_words"))
        if read_texts(text, text_pair, split=split).batched:
            raise InputError(
                "encode takes one text", found=f"a batch of {len(text)}",
                fix="call the tokenizer itself with a batch",
            )  # fmt: skip
        return self(text, text_pair, **options)

    def batch_encode_plus(
        self, batch_text_or_text_pairs: Sequence[Any], *positional: Any, **options: Any
    ) -> BatchEncoding:
        """Tokenize a batch of texts, or of pairs of texts; options as in calling the tokenizer.

        Raises:
            InputError: This is not a batch.
        """
        if not isinstance(batch_text_or_text_pairs, list | tuple):
            raise InputError(
                "batch_encode_plus takes a list of texts",
                found=type(batch_text_or_text_pairs).__name__,
                fix="call the tokenizer itself with one text",
            )
        return self(batch_text_or_text_pairs, **_by_name(positional, _ORDER, options))

    def tokenize(
        self, text: Any, pair: Any = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """Cut one text, or a pair of texts, into pieces, and return these as text.

        Args:
            text: A string; a list of words with `is_split_into_words`.
            pair: The second text.
            add_special_tokens: Put the special tokens around them.
            **options: As in calling the tokenizer.
        """
        options = {"verbose": False, **options}
        return self.encode_plus(
            text, pair, add_special_tokens=add_special_tokens, **options
        ).tokens()

    def prepare_for_model(
        self,
        ids: Sequence[int],
        pair_ids: Sequence[int] | None = None,
        *positional: Any,
        prepend_batch_axis: bool = False,
        **options: Any,
    ) -> BatchEncoding:
        """Make the inputs of a model of ids without special tokens.

        Args:
            ids: Ids of the pieces of the first text.
            pair_ids: Ids of the pieces of the second text.
            *positional: add_special_tokens, padding, truncation, max_length, stride,
                pad_to_multiple_of, padding_side, return_tensors, return_token_type_ids,
                return_attention_mask, return_overflowing_tokens, return_special_tokens_mask.
            prepend_batch_axis: Return (1 s) instead of (s).
            **options: These, `return_length` and `verbose`, as in calling the tokenizer.

        Returns:
            Inputs by name, (s) each; (b s) with overflow.

        Raises:
            InputError: The ids cannot be made to fit.
        """
        options = _by_name(positional, _PREPARE_ORDER, options)
        for name in options.keys() & _OF_TEXTS:
            raise TypeError(f"prepare_for_model has no option {name!r}")
        asked = CallOptions(**options)
        second = None if pair_ids is None else [to_lists(pair_ids)]
        rows = Rows([to_lists(ids)], second, self._plan(asked, pair=second is not None))
        self._warn_if_too_long(rows, asked)
        data = rows.data(None)
        if asked.return_overflowing_tokens:
            return BatchEncoding(data, None, asked.return_tensors)
        return BatchEncoding(
            without_batch_axis(data), None, asked.return_tensors, prepend_batch_axis
        )

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str | None = True,
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
        columns = read_columns(encoded_inputs)
        names = self.model_input_names
        if names[0] not in columns:
            raise InputError(
                "there is nothing to pad", expected=f"inputs with {names[0]!r}",
                found=", ".join(map(str, columns)) or "no inputs at all",
            )  # fmt: skip
        plan = read_padding(
            padding,
            side=self.padding_side if padding_side is None else padding_side,
            max_length=row_length(self, max_length),
            multiple_of=pad_to_multiple_of,
        )
        if return_attention_mask is None:
            return_attention_mask = "attention_mask" in names
        fills = {
            names[0]: self.pad_token_id,
            "attention_mask": 0,
            "token_type_ids": self.pad_token_type_id,
            "special_tokens_mask": 1,
            "offset_mapping": (0, 0),
        }
        padded = plan.pad_columns(columns, fills, main=names[0], mask=return_attention_mask)
        return BatchEncoding(padded, None, return_tensors)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return how many special tokens a row has: 2, or 3 for a pair of texts."""
        return 3 if pair else 2

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Put special tokens around ids: `[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]`."""
        row = [self.cls_token_id, *token_ids_0, self.sep_token_id]
        return row if token_ids_1 is None else [*row, *token_ids_1, self.sep_token_id]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return 0 for the first text and 1 for the second, special tokens included."""
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
                "a row that already has its special tokens cannot have a second text",
                where="token_ids_1",
            )
        special = set(self.all_special_ids)
        return [int(token_id in special) for token_id in token_ids_0]

    def batch_decode(
        self,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **options: Any,
    ) -> list[str]:
        """Turn rows of ids (b s) into texts; arguments and errors as in `decode`."""
        return [
            self.decode(row, skip_special_tokens, clean_up_tokenization_spaces, **options)
            for row in to_lists(sequences)
        ]

    def convert_tokens_to_string(self, tokens: Iterable[str]) -> str:
        """Join pieces to text: those of a word together, words with spaces between."""
        return join(tokens, prefix=self._definition.prefix)

    @staticmethod
    def clean_up_tokenization(out_string: str) -> str:
        """Remove the spaces before punctuation and English contractions."""
        return clean_up(out_string)


def _by_name(
    positional: Sequence[Any], order: Sequence[str], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return options with those among them that were given by position.

    Raises:
        TypeError: There are too many, or one is given twice.
    """
    named = dict(zip(order, positional, strict=False))
    twice = sorted(named.keys() & options.keys())
    if twice or len(positional) > len(order):
        raise TypeError(f"given twice: {', '.join(twice)}" if twice else "too many arguments")
    return {**named, **options}
