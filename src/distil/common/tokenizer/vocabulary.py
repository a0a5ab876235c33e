"""Tokens and ids: the vocabulary, its special tokens, and tokens added later."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from distil.common.tokenizer.added_tokens import AddedToken, check_sizes
from distil.common.tokenizer.definition import Definition, write_definition
from distil.errors import InputError, TokenizerError

SPECIAL_NAMES = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
OPTIONAL_NAMES = ("bos_token", "eos_token")
"""BERT has no use for these; they are there for code that asks for them."""
ALL_NAMES = (*OPTIONAL_NAMES, *SPECIAL_NAMES)


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The tokens that a tokenizer knows.  It never changes: adding tokens makes a new one.

    Attributes:
        base: Token to id, without the tokens added later; the ids are 0, 1, 2, ...
        unknown: Stands for words that cannot be spelled; in `base`.
        tokens: All tokens, in the order of their ids.
        added: What is looked for in a text before it is split into words: content to token and id.
        named: Special tokens by name.
        unnamed: Special tokens that have no name.
    """

    base: Mapping[str, int]
    unknown: str
    tokens: Sequence[str]
    added: Mapping[str, tuple[AddedToken, int]] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    unnamed: tuple[str, ...] = ()

    @classmethod
    def make(
        cls,
        definition: Definition,
        *,
        named: Mapping[str, Any],
        unnamed: Iterable[Any],
        added: Mapping[Any, Any],
    ) -> Vocabulary:
        """Make the vocabulary of a tokenizer.

        Args:
            definition: The tokenizer without its added tokens.
            named: Special tokens by name; None stands for the one of `definition`, if it has one.
            unnamed: Special tokens without a name.
            added: Added tokens by id, besides those of `definition`.

        Raises:
            TokenizerError: A token is empty, or has an id that it cannot have.
        """
        listed = dict(definition.added_tokens)
        listed |= {int(token_id): AddedToken.read(token) for token_id, token in added.items()}
        flags = {token.content: token for token in listed.values()}

        def special(value: Any) -> AddedToken:
            if isinstance(value, str) and value in flags:
                return dataclasses.replace(flags[value], special=True)
            return AddedToken.read(value, special=True)

        defaults = (
            None, None, definition.unknown_token, definition.sep_token or "[SEP]", "[PAD]",
            definition.cls_token or "[CLS]", "[MASK]",
        )  # fmt: skip
        plain = cls(
            base=definition.vocabulary,
            unknown=definition.unknown_token,
            tokens=list(definition.vocabulary),
        )
        ids = sorted(listed)
        return plain.plus([listed[token_id] for token_id in ids], ids).named_as(
            {
                name: special(named[name] or default)
                for name, default in zip(ALL_NAMES, defaults, strict=True)
                if named[name] or default
            },
            [special(token) for token in unnamed],
        )

    def plus(self, tokens: Iterable[AddedToken], ids: Sequence[int] | None = None) -> Vocabulary:
        """Return a vocabulary with more tokens; those that it has are found in another way.

        Args:
            tokens: Each keeps the id that it has, or gets the next free one.
            ids: What these must be.

        Raises:
            TokenizerError: They are not, or there are too many tokens.
        """
        added, in_order = dict(self.added), list(self.tokens)
        for index, token in enumerate(tokens):
            content = token.content
            token_id = self.base.get(content)
            if token_id is None:
                token_id = added[content][1] if content in added else len(in_order)
            if ids is not None and token_id != ids[index]:
                raise TokenizerError(
                    "an added token has an id that it cannot have",
                    expected=f"{token_id}", found=f"{ids[index]} for {content!r}",
                    fix="added tokens must have the ids that follow those of the vocabulary",
                )  # fmt: skip
            if token_id == len(in_order):
                in_order.append(content)
            added[content] = (token, token_id)
        check_sizes(added, "added tokens")
        return dataclasses.replace(self, added=added, tokens=in_order)

    def named_as(
        self,
        named: Mapping[str, AddedToken],
        unnamed: Sequence[AddedToken] = (),
        *,
        instead: bool = False,
    ) -> Vocabulary:
        """Return a vocabulary with other special tokens, added where they are new.

        Names that are not mentioned keep their token; with `instead` the tokens without a name
        take the place of those before.
        """
        contents = (*(() if instead else self.unnamed), *(token.content for token in unnamed))
        every = {**self.named, **{name: token.content for name, token in named.items()}}
        return dataclasses.replace(
            self.plus((*named.values(), *unnamed)),
            named={name: every[name] for name in ALL_NAMES if name in every},
            unnamed=tuple(dict.fromkeys(contents)),
        )

    def keep(self, ids: Iterable[int]) -> Vocabulary:
        """Return a vocabulary with some of the tokens only; their ids become 0, 1, 2, ...

        Raises:
            InputError: An id is not in the vocabulary, or an added or special token is missing.
        """
        tokens = [self.token(token_id) for token_id in sorted(set(ids))]
        new_ids = {token: number for number, token in enumerate(tokens)}
        missing = [token for token in self.added if token not in new_ids]
        if missing:
            raise InputError(
                "added and special tokens have to stay",
                expected=", ".join(self.added), found="no " + ", ".join(missing), where="ids",
            )  # fmt: skip
        return dataclasses.replace(
            self,
            base={token: number for token, number in new_ids.items() if token in self.base},
            tokens=tokens,
            added={token: (entry, new_ids[token]) for token, (entry, _) in self.added.items()},
        )

    @property
    def added_ids(self) -> dict[AddedToken, int]:
        """Added tokens, special ones included, by ascending id."""
        return dict(sorted(self.added.values(), key=lambda pair: pair[1]))

    def named_id(self, name: str) -> tuple[str, int]:
        """Return the special token of a name, and its id."""
        return self.named[name], self.id(self.named[name])

    def tokenizer_json(self, definition: Definition) -> dict[str, Any]:
        """Return the content of tokenizer.json, for a tokenizer with this vocabulary."""
        cls, sep = self.named_id("cls_token"), self.named_id("sep_token")
        return write_definition(definition, self.added_ids, cls=cls, sep=sep)

    @property
    def special_tokens_map(self) -> dict[str, str | list[str]]:
        """Special tokens by name, as files have them."""
        unnamed = {"additional_special_tokens": list(self.unnamed)} if self.unnamed else {}
        return {**self.named, **unnamed}

    @cached_property
    def special(self) -> tuple[str, ...]:
        """All special tokens, each once."""
        return tuple(dict.fromkeys((*self.named.values(), *self.unnamed)))

    @cached_property
    def _skipped_ids(self) -> frozenset[int]:
        """The ids that decoding leaves out with `skip_special_tokens`."""
        added = (token_id for token, token_id in self.added.values() if token.special)
        return frozenset((*map(self.id, self.special), *added))

    def id(self, token: str) -> int:
        """Return the id of a token; that of the unknown token for what is not here."""
        if token in self.added:
            return self.added[token][1]
        return self.base.get(token, self.base[self.unknown])

    def token(self, token_id: int) -> str:
        """Return the token of an id.

        Raises:
            InputError: There is none.
        """
        if 0 <= token_id < len(self.tokens):
            return self.tokens[token_id]
        raise InputError(
            "an id is not in the vocabulary", expected=f"0 to {len(self.tokens) - 1}",
            found=token_id,
        )  # fmt: skip

    def row(self, ids: Iterable[int], *, skip_special: bool) -> list[str]:
        """Return the tokens of ids, without special tokens if asked."""
        skipped = self._skipped_ids if skip_special else ()
        return [self.token(token_id) for token_id in ids if token_id not in skipped]
