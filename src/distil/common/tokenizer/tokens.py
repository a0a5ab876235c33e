"""The tokens of a tokenizer and their ids: looked up, named, added."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast, overload

from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.pipeline import Pipeline
from distil.common.tokenizer.tensors import to_lists
from distil.common.tokenizer.vocabulary import ALL_NAMES, Vocabulary
from distil.errors import InputError, TokenizerError, shown

T = TypeVar("T")


class _SpecialToken(Generic[T]):
    """Attribute for a special token, or for its id where the attribute's name ends in `_id`.

    Setting either makes that token the special one, and adds it if it is new.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name.removesuffix("_id")
        self._is_id = name.endswith("_id")

    def __get__(self, instance: Tokens, owner: type | None = None) -> T:
        token = instance._vocabulary.named.get(self._name)
        return cast(T, instance._vocabulary.id(token) if self._is_id and token else token)

    def __set__(self, instance: Tokens, value: Any) -> None:
        token = instance.convert_ids_to_tokens(value) if self._is_id else value
        instance.add_special_tokens({self._name: token})


class Tokens(ABC):
    """A vocabulary that tokens can be added to, and what cuts texts into its tokens.

    Args:
        vocabulary: The tokens to begin with.
        split_special_tokens: Treat special tokens in texts like any other text.
    """

    bos_token = _SpecialToken[str | None]()
    eos_token = _SpecialToken[str | None]()
    bos_token_id = _SpecialToken[int | None]()
    eos_token_id = _SpecialToken[int | None]()
    unk_token = _SpecialToken[str]()
    sep_token = _SpecialToken[str]()
    pad_token = _SpecialToken[str]()
    cls_token = _SpecialToken[str]()
    mask_token = _SpecialToken[str]()
    unk_token_id = _SpecialToken[int]()
    sep_token_id = _SpecialToken[int]()
    pad_token_id = _SpecialToken[int]()
    cls_token_id = _SpecialToken[int]()
    mask_token_id = _SpecialToken[int]()
    pad_token_type_id = 0
    _pipelines: Mapping[bool, Pipeline]

    def __init__(self, vocabulary: Vocabulary, *, split_special_tokens: bool = False) -> None:
        self.split_special_tokens = split_special_tokens
        self._use(vocabulary)

    @abstractmethod
    def _make_pipeline(self, vocabulary: Vocabulary, *, split_special_tokens: bool) -> Pipeline:
        """Make what cuts texts into pieces."""

    def _pipeline(self, split_special_tokens: bool | None = None) -> Pipeline:
        """Return what cuts texts into pieces; None takes the tokenizer's own setting."""
        split = bool(
            self.split_special_tokens if split_special_tokens is None else split_special_tokens
        )
        if split not in self._pipelines:
            made = self._make_pipeline(self._vocabulary, split_special_tokens=split)
            # A new dictionary: another thread may be looking into the old one.
            self._pipelines = {**self._pipelines, split: made}
        return self._pipelines[split]

    def _use(self, vocabulary: Vocabulary) -> None:
        """Switch to a vocabulary, if a pipeline can be made of it."""
        split = bool(self.split_special_tokens)
        self._pipelines = {split: self._make_pipeline(vocabulary, split_special_tokens=split)}
        self._vocabulary = vocabulary

    def __len__(self) -> int:
        """Return the number of tokens, those added later included."""
        return len(self._vocabulary.tokens)

    def __bool__(self) -> bool:
        return True

    @property
    def vocab_size(self) -> int:
        """Number of tokens without those added later."""
        return len(self._vocabulary.base)

    def get_vocab(self) -> dict[str, int]:
        """Return a copy of the vocabulary: token to id, added tokens included."""
        return {**self._vocabulary.base, **self.get_added_vocab()}

    def get_added_vocab(self) -> dict[str, int]:
        """Return the added tokens, special ones included: token to id, by ascending id."""
        return {token.content: number for token, number in self._vocabulary.added_ids.items()}

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Added tokens by ascending id."""
        return {number: token for token, number in self._vocabulary.added_ids.items()}

    @property
    def additional_special_tokens(self) -> list[str]:
        """Special tokens that have no name."""
        return list(self._vocabulary.unnamed)

    @property
    def special_tokens_map(self) -> dict[str, str | list[str]]:
        """Special tokens by name."""
        return self._vocabulary.special_tokens_map

    @property
    def all_special_tokens(self) -> list[str]:
        """All special tokens, each once."""
        return list(self._vocabulary.special)

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        return list(map(self._vocabulary.id, self._vocabulary.special))

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int: ...  # type: ignore[overload-overlap]
    @overload
    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]: ...
    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int]:
        """Return the id of a token, or of each of several.

        What the vocabulary does not have gets the id of the unknown token.
        """
        if isinstance(tokens, str):
            return self._vocabulary.id(tokens)
        return list(map(self._vocabulary.id, tokens))

    @overload
    def convert_ids_to_tokens(self, ids: int, skip_special_tokens: bool = False) -> str: ...
    @overload
    def convert_ids_to_tokens(
        self, ids: Iterable[int], skip_special_tokens: bool = False
    ) -> list[str]: ...
    def convert_ids_to_tokens(
        self, ids: int | Iterable[int], skip_special_tokens: bool = False
    ) -> str | list[str]:
        """Return the token of an id, or of each of several.

        Args:
            ids: An id, or several.
            skip_special_tokens: Leave special tokens out (of several).

        Raises:
            InputError: An id is not in the vocabulary.
        """
        numbers = to_lists(ids)
        if isinstance(numbers, int):
            return self._vocabulary.token(numbers)
        return self._vocabulary.row(numbers, skip_special=skip_special_tokens)

    def add_tokens(
        self,
        new_tokens: str | AddedToken | Sequence[str | AddedToken],
        special_tokens: bool = False,
    ) -> int:
        """Add tokens that are found in texts before these are split into words.

        Args:
            new_tokens: Tokens to add, or to change when they were added before.
            special_tokens: Whether decoding can leave them out.

        Returns:
            How many tokens got a new id; the model's embedding needs that many more rows.

        Raises:
            TokenizerError: A token is empty.
        """
        tokens = [new_tokens] if not isinstance(new_tokens, list | tuple) else new_tokens
        # None leaves it to the token itself whether it is special.
        added = [AddedToken.read(token, special=special_tokens or None) for token in tokens]
        return self._grow(self._vocabulary.plus(added))

    def add_special_tokens(
        self, special_tokens_dict: Mapping[str, Any], replace_additional_special_tokens: bool = True
    ) -> int:
        """Set special tokens by name, adding those that are new to the vocabulary.

        Args:
            special_tokens_dict: "cls_token" and so on to a token; "additional_special_tokens" to
                a list of tokens.
            replace_additional_special_tokens: Whether that list replaces the one before; its
                tokens stay in the vocabulary.

        Returns:
            How many tokens got a new id; the model's embedding needs that many more rows.

        Raises:
            InputError: There is no special token of such a name.
            TokenizerError: A token is empty.
        """
        given = dict(special_tokens_dict)
        additional = given.pop("additional_special_tokens", None)
        for name in given:
            if name not in ALL_NAMES:
                raise InputError(
                    "unknown name of a special token",
                    expected=", ".join((*ALL_NAMES, "additional_special_tokens")), found=name,
                )  # fmt: skip
        named = {name: AddedToken.read(value, special=True) for name, value in given.items()}
        if "unk_token" in named and named["unk_token"].content != self.unk_token:
            raise TokenizerError(
                "the unknown token belongs to the vocabulary and cannot be changed",
                expected=shown(self.unk_token), found=shown(named["unk_token"].content),
                fix="pass unk_token when the tokenizer is made",
            )  # fmt: skip
        unnamed = [AddedToken.read(token, special=True) for token in additional or ()]
        replaced = additional is not None and replace_additional_special_tokens
        return self._grow(self._vocabulary.named_as(named, unnamed, instead=replaced))

    def _grow(self, vocabulary: Vocabulary) -> int:
        """Switch to a vocabulary with more tokens, and return how many more."""
        count = len(vocabulary.tokens) - len(self)
        if vocabulary.added != self._vocabulary.added or vocabulary.named != self._vocabulary.named:
            self._use(vocabulary)
        self._vocabulary = vocabulary
        return count
