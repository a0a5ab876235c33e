"""The tokenizer on Hugging Face `tokenizers`."""

from __future__ import annotations

import json
from os import PathLike
from typing import Any

import tokenizers  # type: ignore[import-untyped]

from distil.common.tokenizer.base import TokenizerBase
from distil.common.tokenizer.definition import Definition, read_definition
from distil.common.tokenizer.pipeline import Pipeline
from distil.common.tokenizer.rust_pipeline import RustPipeline
from distil.errors import TokenizerError, shown


class DistilBertTokenizerFast(TokenizerBase):
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
        self._given = tokenizer_object
        try:
            super().__init__(vocab_file, **options)
        finally:
            del self._given

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

    def _make_pipeline(self) -> Pipeline:
        if self.never_split and self.do_basic_tokenize:
            raise TokenizerError(
                "the Rust tokenizer has no never_split",
                found=", ".join(self.never_split),
                fix="use the Python one (fast=False), or add_tokens",
            )
        data = {**self._definition_json(), "added_tokens": []}
        _refuse_patterns(data)
        try:
            rust = tokenizers.Tokenizer.from_str(json.dumps(data))
        except Exception as error:  # The bindings raise plain Exception.
            raise TokenizerError(
                "tokenizers does not accept this tokenizer", found=str(error)
            ) from error
        return RustPipeline(rust, self._added_ids(), split_special_tokens=self.split_special_tokens)


def _refuse_patterns(data: dict[str, Any]) -> None:
    """Refuse regular expressions from a file: some take for ever, and then stop the process.

    No BERT needs any.
    """
    nodes = [data.get(name) for name in ("normalizer", "pre_tokenizer", "decoder")]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if "Regex" in node:
                raise TokenizerError(
                    "this tokenizer.json brings a regular expression", found=shown(node["Regex"]),
                    expected="the parts of a BERT tokenizer, which need none",
                    fix="make the tokenizer from vocab.txt",
                )  # fmt: skip
            nodes.extend(node.values())
        elif isinstance(node, list):
            nodes.extend(node)
