"""Tokens and ids: the vocabulary, special tokens, tokens added later."""

from __future__ import annotations

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, overload

from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.definition import Definition, refuse_foreign
from distil.common.tokenizer.pipeline import Pipeline
from distil.common.tokenizer.tensors import to_lists
from distil.errors import InputError, TokenizerError

SPECIAL_NAMES = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class _SpecialToken:
    """Attribute for a special token; setting it adds the token if it is new."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Vocabulary, owner: type | None = None) -> str:
        return instance._special_tokens[self._name]

    def __set__(self, instance: Vocabulary, value: str | AddedToken) -> None:
        instance.add_special_tokens({self._name: value})


class _SpecialTokenId:
    """Attribute for the id of a special token."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name.removesuffix("_id")

    def __get__(self, instance: Vocabulary, owner: type | None = None) -> int:
        return instance._id(instance._special_tokens[self._name])


class Vocabulary(ABC):
    """Everything that a tokenizer knows about tokens and ids.

    Args:
        definition: The tokenizer without its added tokens.
        special_tokens: Special tokens by name.
        additional_special_tokens: Special tokens without a name.
        added_tokens: Added tokens by id; special tokens that are missing here are added too.
    """

    unk_token = _SpecialToken()
    sep_token = _SpecialToken()
    pad_token = _SpecialToken()
    cls_token = _SpecialToken()
    mask_token = _SpecialToken()
    unk_token_id = _SpecialTokenId()
    sep_token_id = _SpecialTokenId()
    pad_token_id = _SpecialTokenId()
    cls_token_id = _SpecialTokenId()
    mask_token_id = _SpecialTokenId()
    pad_token_type_id = 0

    def __init__(
        self,
        definition: Definition,
        special_tokens: Mapping[str, AddedToken],
        additional_special_tokens: Sequence[AddedToken],
        added_tokens: Mapping[int, AddedToken],
    ) -> None:
        self._definition = definition
        self._special_tokens = {name: token.content for name, token in special_tokens.items()}
        self._additional_special_tokens: list[str] = []
        self._added: dict[str, tuple[AddedToken, int]] = {}
        self._tokens = list(definition.vocabulary)
        self._base_size = len(self._tokens)
        for token_id, token in sorted(added_tokens.items()):
            self._insert(token, expected_id=token_id)
        for token in (*special_tokens.values(), *additional_special_tokens):
            self._insert(token)
        self._remember_additional(additional_special_tokens)
        self._pipeline = self._make_pipeline()

    @abstractmethod
    def _make_pipeline(self) -> Pipeline:
        """Make what cuts texts into pieces, for the added tokens as they are now."""

    @property
    def vocab_size(self) -> int:
        """Number of tokens without those added later."""
        return self._base_size

    def __len__(self) -> int:
        """Return the number of tokens, those added later included."""
        return len(self._tokens)

    def __bool__(self) -> bool:
        return True

    @property
    def vocab(self) -> dict[str, int]:
        """Token to id, added tokens included."""
        return self.get_vocab()

    def get_vocab(self) -> dict[str, int]:
        """Return a copy of the vocabulary: token to id, added tokens included."""
        return {**self._definition.vocabulary, **self.get_added_vocab()}

    def get_added_vocab(self) -> dict[str, int]:
        """Return the added tokens, special ones included: token to id, by ascending id."""
        return {token.content: token_id for token_id, token in self.added_tokens_decoder.items()}

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Added tokens by ascending id."""
        pairs = sorted(self._added.values(), key=lambda pair: pair[1])
        return {token_id: token for token, token_id in pairs}

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """Added tokens, special ones included: token to id, by ascending id."""
        return self.get_added_vocab()

    @property
    def additional_special_tokens(self) -> list[str]:
        """Special tokens that have no name."""
        return list(self._additional_special_tokens)

    @property
    def special_tokens_map(self) -> dict[str, str | list[str]]:
        """Special tokens by name."""
        names: dict[str, str | list[str]] = dict(self._special_tokens)
        if self._additional_special_tokens:
            names["additional_special_tokens"] = self.additional_special_tokens
        return names

    @property
    def all_special_tokens(self) -> list[str]:
        """All special tokens, each once."""
        names = (*self._special_tokens.values(), *self._additional_special_tokens)
        return list(dict.fromkeys(names))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        return [self._id(token) for token in self.all_special_tokens]

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int: ...  # type: ignore[overload-overlap]
    @overload
    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]: ...
    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int]:
        """Look tokens up.

        Args:
            tokens: A token, or several.

        Returns:
            The id of each; that of the unknown token for what the vocabulary does not have.
        """
        if isinstance(tokens, str):
            return self._id(tokens)
        return [self._id(token) for token in tokens]

    @overload
    def convert_ids_to_tokens(self, ids: int, skip_special_tokens: bool = False) -> str: ...
    @overload
    def convert_ids_to_tokens(
        self, ids: Iterable[int], skip_special_tokens: bool = False
    ) -> list[str]: ...
    def convert_ids_to_tokens(
        self, ids: int | Iterable[int], skip_special_tokens: bool = False
    ) -> str | list[str]:
        """Look ids up.

        Args:
            ids: An id, or several.
            skip_special_tokens: Leave special tokens out (of several).

        Returns:
            The token of each.

        Raises:
            InputError: An id is not in the vocabulary.
        """
        numbers = to_lists(ids)
        if isinstance(numbers, int):
            return self._token(numbers)
        skipped = self._skipped_ids() if skip_special_tokens else frozenset()
        return [self._token(number) for number in numbers if number not in skipped]

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
            How many got a new id; the model's embedding needs that many more rows.

        Raises:
            TokenizerError: A token is empty.
        """
        tokens = [new_tokens] if not isinstance(new_tokens, list | tuple) else new_tokens
        # None leaves it to the token itself whether it is special.
        added = [AddedToken.read(token, special=special_tokens or None) for token in tokens]
        return self._add(added)

    def keep_tokens(self, ids: Iterable[int]) -> Self:
        """Return a tokenizer that knows some of the tokens only, for a model with fewer words.

        Words that it lacks are written with shorter pieces.

        Args:
            ids: Those tokens.  Their new ids are 0, 1, 2, ... in ascending order of the old ones.

        Raises:
            InputError: An id is not in the vocabulary, or an added or special token is missing.
            TokenizerError: The tokenizer is not a BERT's.
        """
        refuse_foreign(self._definition, where="keep_tokens")
        tokens = self.convert_ids_to_tokens(sorted(set(ids)))
        new_ids = {token: number for number, token in enumerate(tokens)}
        missing = [token for token in self._added if token not in new_ids]
        if missing:
            raise InputError(
                "added and special tokens have to stay",
                expected=", ".join(self._added), found="no " + ", ".join(missing), where="ids",
            )  # fmt: skip
        added = {new_ids[token]: entry for token, (entry, _) in self._added.items()}
        vocabulary = {
            token: number
            for token, number in new_ids.items()
            if token in self._definition.vocabulary
        }
        kept = copy.copy(self)
        kept._definition = dataclasses.replace(
            self._definition, vocabulary=vocabulary, added_tokens=added
        )
        kept._tokens = tokens
        kept._base_size = len(vocabulary)
        kept._added = {entry.content: (entry, number) for number, entry in added.items()}
        kept._additional_special_tokens = self.additional_special_tokens
        kept._special_tokens = dict(self._special_tokens)
        kept._pipeline = kept._make_pipeline()
        return kept

    def add_special_tokens(
        self,
        special_tokens_dict: Mapping[str, Any],
        replace_additional_special_tokens: bool = True,
    ) -> int:
        """Set special tokens by name, adding those that are new to the vocabulary.

        Args:
            special_tokens_dict: "cls_token" and so on to a token; "additional_special_tokens" to
                a list of tokens.
            replace_additional_special_tokens: Whether that list replaces the one before; its
                tokens stay in the vocabulary.

        Returns:
            How many got a new id; the model's embedding needs that many more rows.

        Raises:
            InputError: There is no special token of such a name.
            TokenizerError: A token is empty.
        """
        named: dict[str, AddedToken] = {}
        additional: list[AddedToken] = []
        for name, value in special_tokens_dict.items():
            if name == "additional_special_tokens":
                additional = [AddedToken.read(token, special=True) for token in value]
            elif name in SPECIAL_NAMES:
                named[name] = AddedToken.read(value, special=True)
            else:
                raise InputError(
                    "there is no special token of this name",
                    expected=", ".join((*SPECIAL_NAMES, "additional_special_tokens")),
                    found=name,
                )
        if "unk_token" in named and named["unk_token"].content != self.unk_token:
            raise TokenizerError(
                "the unknown token belongs to the vocabulary and cannot be changed",
                expected=repr(self.unk_token),
                found=repr(named["unk_token"].content),
                fix="pass unk_token when the tokenizer is made",
            )
        count = self._add([*named.values(), *additional])
        self._special_tokens |= {name: token.content for name, token in named.items()}
        if "additional_special_tokens" in special_tokens_dict:
            if replace_additional_special_tokens:
                self._additional_special_tokens = []
            self._remember_additional(additional)
        return count

    def _add(self, tokens: Sequence[AddedToken]) -> int:
        before, size = dict(self._added), len(self)
        for token in tokens:
            self._insert(token)
        try:
            if self._added != before:
                self._pipeline = self._make_pipeline()
        except TokenizerError:
            self._added = before
            del self._tokens[size:]
            raise
        return len(self) - size

    def _insert(self, token: AddedToken, *, expected_id: int | None = None) -> None:
        """Give an added token its id: the one it has, else the next free one."""
        token_id = self._definition.vocabulary.get(token.content)
        if token_id is None:
            known = self._added.get(token.content)
            token_id = known[1] if known else len(self._tokens)
        if expected_id is not None and token_id != expected_id:
            raise TokenizerError(
                "an added token has an id that it cannot have",
                expected=f"{token_id}",
                found=f"{expected_id} for {token.content!r}",
                fix="added tokens must have the ids that follow those of the vocabulary",
            )
        if token_id == len(self._tokens):
            self._tokens.append(token.content)
        self._added[token.content] = (token, token_id)

    def _remember_additional(self, tokens: Iterable[AddedToken]) -> None:
        contents = [*self._additional_special_tokens, *(token.content for token in tokens)]
        self._additional_special_tokens = list(dict.fromkeys(contents))

    def _added_ids(self) -> dict[AddedToken, int]:
        """Return added tokens and their ids, by ascending id."""
        return dict(sorted(self._added.values(), key=lambda pair: pair[1]))

    def _skipped_ids(self) -> frozenset[int]:
        """Return the ids that `skip_special_tokens` leaves out."""
        special = (token_id for token, token_id in self._added.values() if token.special)
        return frozenset((*self.all_special_ids, *special))

    def _id(self, token: str) -> int:
        if token in self._added:
            return self._added[token][1]
        vocabulary = self._definition.vocabulary
        return vocabulary.get(token, vocabulary[self._definition.unknown_token])

    def _token(self, token_id: int) -> str:
        if 0 <= token_id < len(self._tokens):
            return self._tokens[token_id]
        raise InputError(
            "an id is not in the vocabulary", expected=f"0 to {len(self) - 1}", found=token_id
        )
