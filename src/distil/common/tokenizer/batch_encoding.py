"""What a tokenizer returns: a dictionary that also knows words and characters."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distil.common.rules import choice
from distil.common.tokenizer.encoding import CharSpan, Encoding, TokenSpan
from distil.common.tokenizer.tensors import TensorKind, import_framework, tensor_maker
from distil.errors import InputError


class BatchEncoding(UserDict[str, Any]):
    """Model inputs by name, and where their pieces come from in the text.

    The inputs are items (`batch["input_ids"]`), attributes (`batch.input_ids`), and arguments
    (`model(**batch)`).  An integer index gives the `Encoding` of a row, a slice the inputs of
    some rows.

    Look-ups take a batch index and then the index of a piece, word or character; with one
    index alone it is looked up in the first row.  What is not there gives None.

    Args:
        data: Inputs by name.
        encodings: One for each row; or a function that makes them when they are first asked for;
            None when they are not known.
        tensor_type: Turn the values into tensors: "np", "pt" or "tf".
        prepend_batch_axis: Make a batch of one row, before turning it into tensors.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        encodings: Sequence[Encoding] | Callable[[], Sequence[Encoding]] | None = None,
        tensor_type: TensorKind | None = None,
        prepend_batch_axis: bool = False,
    ) -> None:
        super().__init__(data)
        self._encodings = encodings if encodings is None or callable(encodings) else list(encodings)
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, str):
            return self.data[item]
        if isinstance(item, slice):
            return {name: value[item] for name, value in self.data.items()}
        return self._known()[item]

    def __getattr__(self, name: str) -> Any:
        # While an instance is copied or unpickled it has no data yet.
        data = self.__dict__.get("data", {})
        if name not in data:
            raise AttributeError(f"this batch has no {name!r}; it has {', '.join(data)}")
        return data[name]

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "_encodings": self.encodings}

    @property
    def encodings(self) -> list[Encoding] | None:
        """One encoding for each row; None when they are not known."""
        if callable(self._encodings):
            self._encodings = list(self._encodings())
        return self._encodings

    @property
    def is_fast(self) -> bool:
        """Whether words and characters are known; in transformers, only by fast tokenizers."""
        return self._encodings is not None

    @property
    def n_sequences(self) -> int | None:
        """1 for texts, 2 for pairs of texts; None when that is not known."""
        return self.encodings[0].n_sequences if self.encodings else None

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Return the pieces of a row as text."""
        return self._known()[batch_index].tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return the index of the word of each piece of a row; None for special tokens."""
        return self._known()[batch_index].word_ids

    words = word_ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return which text each piece of a row is from; None for special tokens."""
        return self._known()[batch_index].sequence_ids

    def token_to_sequence(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> int | None:
        """Return which of the texts a piece is from: 0 or 1."""
        encoding, token = self._find(batch_or_token_index, token_index)
        return encoding.token_to_sequence(token)

    def token_to_word(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> int | None:
        """Return the index of the word that a piece belongs to."""
        encoding, token = self._find(batch_or_token_index, token_index)
        return encoding.token_to_word(token)

    def token_to_chars(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> CharSpan | None:
        """Return the characters that a piece covers in its text."""
        encoding, token = self._find(batch_or_token_index, token_index)
        return encoding.token_to_chars(token)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """Return the pieces of a word."""
        encoding, word = self._find(batch_or_word_index, word_index)
        return encoding.word_to_tokens(word, sequence_index)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """Return the characters that a word covers in its text."""
        encoding, word = self._find(batch_or_word_index, word_index)
        return encoding.word_to_chars(word, sequence_index)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the piece that covers a character of a text."""
        encoding, char = self._find(batch_or_char_index, char_index)
        return encoding.char_to_token(char, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the word that covers a character of a text."""
        encoding, char = self._find(batch_or_char_index, char_index)
        return encoding.char_to_word(char, sequence_index)

    def convert_to_tensors(
        self, tensor_type: TensorKind | None = None, prepend_batch_axis: bool = False
    ) -> BatchEncoding:
        """Turn the values into tensors, in place.

        Args:
            tensor_type: "np", "pt" or "tf"; None leaves the values as they are.
            prepend_batch_axis: Make a batch of one row first.

        Raises:
            InputError: Rows are not equally long.
            FrameworkError: The framework is not installed.
        """
        if tensor_type is not None:
            make = tensor_maker(choice(tensor_type, TensorKind, "return_tensors"))
            for name, value in self.data.items():
                self.data[name] = make(name, [value] if prepend_batch_axis else value)
        return self

    def to(self, device: Any, *, non_blocking: bool = False) -> BatchEncoding:
        """Move PyTorch tensors to a device, in place; other values stay where they are.

        Args:
            device: A name ("cpu", "cuda:0"), a number or a `torch.device`.
            non_blocking: Do not wait for copies from pinned memory.

        Raises:
            FrameworkError: PyTorch is not installed.
        """
        torch = import_framework("pt", where="BatchEncoding.to")
        for name, value in self.data.items():
            if isinstance(value, torch.Tensor):
                self.data[name] = value.to(device, non_blocking=non_blocking)
        return self

    def _known(self) -> list[Encoding]:
        encodings = self.encodings
        if encodings is None:
            raise InputError(
                "this batch has no record of its texts",
                fix="use what the tokenizer returned, not what pad() or a dictionary made of it",
            )
        return encodings

    def _find(self, first: int, second: int | None) -> tuple[Encoding, int]:
        """Return a row, and the index in it that is meant."""
        batch_index, index = (0, first) if second is None else (first, second)
        return self._known()[batch_index], index
