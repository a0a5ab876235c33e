"""The tokenizer without compiled code."""

from __future__ import annotations

from os import PathLike

from distil.common.tokenizer.base import TokenizerBase
from distil.common.tokenizer.definition import Definition, refuse_foreign
from distil.common.tokenizer.normalizer import Normalizer
from distil.common.tokenizer.pipeline import Pipeline, PythonPipeline
from distil.common.tokenizer.wordpiece import WordPiece


class DistilBertTokenizer(TokenizerBase):
    """DistilBERT's tokenizer in Python: the same pieces as `DistilBertTokenizerFast`, slower.

    Unlike transformers' tokenizer of this name it knows offsets and words, and agrees with the
    fast one on every character and in every way of truncating.  Arguments: see `TokenizerBase`.
    """

    def _define(
        self, vocab_file: str | PathLike[str] | None, tokenizer_file: str | PathLike[str] | None
    ) -> Definition:
        definition = super()._define(vocab_file, tokenizer_file)
        refuse_foreign(definition, where=tokenizer_file)
        return definition

    def _make_pipeline(self) -> Pipeline:
        definition = self._definition
        return PythonPipeline(
            Normalizer(definition.normalizer) if definition.basic else None,
            WordPiece(
                definition.vocabulary,
                definition.unknown_token,
                prefix=definition.prefix,
                longest_word=definition.longest_word,
            ),
            self._added_ids(),
            never_split=self.never_split if definition.basic else (),
            split_special_tokens=self.split_special_tokens,
        )
