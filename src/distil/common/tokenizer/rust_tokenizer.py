"""The tokenizer on Hugging Face `tokenizers`, in compiled code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, NoReturn

import tokenizers  # type: ignore[import-untyped]

from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.compatibility import TransformersNames
from distil.common.tokenizer.definition import Definition, read_definition
from distil.common.tokenizer.pipeline import Details, Pipeline, Words, check_content
from distil.common.tokenizer.vocabulary import Vocabulary
from distil.errors import TokenizerError, shorten


class DistilBertTokenizerFast(TransformersNames):
    """DistilBERT's tokenizer in Rust.

    Safe to call from several threads, as long as none of them adds tokens.

    Args:
        vocab_file: As in `TokenizerBase`, like all options.
        tokenizer_object: A `tokenizers.Tokenizer` instead of files; it is copied.
        **options: See `TokenizerBase`.

    Raises:
        TokenizerError: Also for `never_split`, which the Rust tokenizer cannot do.
    """

    is_fast = True

    def __init__(
        self,
        vocab_file: str | PathLike[str] | None = None,
        *,
        tokenizer_object: tokenizers.Tokenizer | None = None,
        **options: Any,
    ) -> None:
        self._given: tokenizers.Tokenizer | None = tokenizer_object
        super().__init__(vocab_file, **options)
        self._given = None

    @property
    def backend_tokenizer(self) -> tokenizers.Tokenizer:
        """The Rust tokenizer; changing it has no defined effect."""
        assert isinstance(self._pipeline, RustPipeline)
        return self._pipeline.rust

    def _define(
        self, vocab_file: str | PathLike[str] | None, tokenizer_file: str | PathLike[str] | None
    ) -> Definition:
        if self._given is None:
            return super()._define(vocab_file, tokenizer_file)
        if vocab_file is not None or tokenizer_file is not None:
            raise TokenizerError(
                "tokenizer_object stands for files", fix="leave vocab_file and tokenizer_file out"
            )
        return read_definition(json.loads(self._given.to_str()), where="tokenizer_object")

    def _make_pipeline(self, vocabulary: Vocabulary) -> Pipeline:
        if self.never_split and self.do_basic_tokenize:
            raise TokenizerError(
                "the Rust tokenizer has no never_split", found=", ".join(self.never_split),
                fix="use the Python one (fast=False), or add_tokens",
            )  # fmt: skip
        data = {**vocabulary.tokenizer_json(self._definition), "added_tokens": []}
        try:
            rust = tokenizers.Tokenizer.from_str(json.dumps(data))
        except BaseException as error:
            _refuse(error, "tokenizers does not accept this tokenizer")
        return RustPipeline(
            rust, vocabulary.added_ids, split_special_tokens=self.split_special_tokens
        )


def _refuse(error: BaseException, problem: str) -> NoReturn:
    """Raise what compiled code raised as an error of a tokenizer.

    The bindings raise plain Exception, and for a panic PanicException: a BaseException, which
    `except Exception` lets through, and which has no public name.
    """
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        raise TokenizerError(problem, found=shorten(str(error))) from error
    raise error


class RustPipeline:
    """BERT's tokenisation in compiled code, a whole batch at a time.

    Args:
        rust: The tokenizer to use, without added tokens; nobody else may change it.
        added_tokens: Added tokens and their ids, by ascending id.
        split_special_tokens: Treat special tokens in a text like any other text.

    Raises:
        TokenizerError: An added token is nothing once normalised, or cannot have its id.
    """

    def __init__(
        self,
        rust: tokenizers.Tokenizer,
        added_tokens: Mapping[AddedToken, int],
        *,
        split_special_tokens: bool = False,
    ) -> None:
        self.rust = rust
        # Both would be state shared between calls; they are worked out in Python, call by call.
        self.rust.no_truncation()
        self.rust.no_padding()
        self.rust.encode_special_tokens = split_special_tokens
        for token in added_tokens:
            if token.normalized and self.rust.normalizer is not None:
                check_content(token, self.rust.normalizer.normalize_str(token.content))
        try:
            self.rust.add_tokens([tokenizers.AddedToken(**one.to_dict()) for one in added_tokens])
        except BaseException as error:
            _refuse(error, "tokenizers does not accept an added token")
        for token, token_id in added_tokens.items():
            if self.rust.token_to_id(token.content) != token_id:
                raise TokenizerError(
                    "an added token cannot have the id that it should have",
                    expected=f"{token.content!r}: {token_id}",
                    found=self.rust.token_to_id(token.content),
                    fix="give added tokens the ids that follow those of the vocabulary",
                )

    def ids(self, texts: Sequence[str] | Sequence[Words], *, split: bool) -> list[list[int]]:
        """Return the ids of the pieces of each text."""
        try:
            encodings = self.rust.encode_batch_fast(
                texts, is_pretokenized=split, add_special_tokens=False
            )
        except BaseException as error:
            _refuse(error, "tokenizers cannot tokenize a text")
        return [encoding.ids for encoding in encodings]

    def details(self, texts: Sequence[str] | Sequence[Words], *, split: bool) -> Sequence[Details]:
        """Return ids, tokens, offsets and word indices of the pieces of each text."""
        try:
            encodings: Sequence[Details] = self.rust.encode_batch(
                texts, is_pretokenized=split, add_special_tokens=False
            )
        except BaseException as error:
            _refuse(error, "tokenizers cannot tokenize a text")
        return encodings
