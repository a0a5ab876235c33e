"""The base of both tokenizers: their options.

It stands on a line of classes, each a file: `Vocabulary` (tokens and ids), `Decoding` (ids to
text), `Framing` (special tokens, padding), `Calling` (texts to inputs), `OtherCalls`,
`Persistence` (files).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from distil.common.tokenizer import files
from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.arguments import Side, read_side
from distil.common.tokenizer.definition import (
    UNTOUCHED,
    Definition,
    read_definition,
)
from distil.common.tokenizer.framing import UNLIMITED
from distil.common.tokenizer.normalizer import NormalizerOptions
from distil.common.tokenizer.persistence import Persistence
from distil.errors import TokenizerError

Token = str | AddedToken | Mapping[str, Any]


class TokenizerBase(Persistence):
    """A DistilBERT tokenizer: everything but cutting text into pieces.

    Args:
        vocab_file: A vocab.txt.  Either this or `tokenizer_file` is needed, and with both they
            must list the same tokens.
        tokenizer_file: A tokenizer.json.
        do_lower_case: Lower-case texts.  None, here and below, does as `tokenizer_file` says;
            with `vocab_file` alone it is True.
        do_basic_tokenize: Normalise texts and split them at punctuation before looking up
            pieces; False splits at white space only.
        never_split: Words to keep as they are when white space surrounds them.
        unk_token: Stands for words that the vocabulary cannot spell; must be in it.
        sep_token: Follows each text.
        pad_token: Fills rows up.
        cls_token: Begins each row.
        mask_token: Stands for a word to be guessed.
        tokenize_chinese_chars: Make each CJK ideograph a word.
        strip_accents: Drop accents; None follows `do_lower_case` if that is given.
        clean_up_tokenization_spaces: Take spaces before punctuation away when decoding.
        model_max_length: Pieces that the model takes at most; None for no limit.
        padding_side: "right" or "left".
        truncation_side: "right" or "left".
        model_input_names: What calling the tokenizer returns.
        additional_special_tokens: Special tokens without a name.
        added_tokens_decoder: Added tokens by id, as in tokenizer_config.json.
        split_special_tokens: Treat special tokens in texts like any other text.

    Raises:
        TokenizerError: A file is missing or broken, or options contradict each other.
    """

    is_fast = False

    def __init__(
        self,
        vocab_file: str | PathLike[str] | None = None,
        *,
        tokenizer_file: str | PathLike[str] | None = None,
        do_lower_case: bool | None = None,
        do_basic_tokenize: bool | None = None,
        never_split: Sequence[str] | None = None,
        unk_token: Token | None = None,
        sep_token: Token | None = None,
        pad_token: Token | None = None,
        cls_token: Token | None = None,
        mask_token: Token | None = None,
        tokenize_chinese_chars: bool | None = None,
        strip_accents: bool | None = None,
        clean_up_tokenization_spaces: bool = True,
        model_max_length: int | None = None,
        padding_side: Side = "right",
        truncation_side: Side = "right",
        model_input_names: Sequence[str] = ("input_ids", "attention_mask"),
        additional_special_tokens: Sequence[Token] = (),
        added_tokens_decoder: Mapping[Any, Token] | None = None,
        split_special_tokens: bool = False,
    ) -> None:
        definition = self._define(vocab_file, tokenizer_file)
        listed = dict(definition.added_tokens)
        for token_id, value in (added_tokens_decoder or {}).items():
            listed[int(token_id)] = AddedToken.read(value)
        flags = {token.content: token for token in listed.values()}

        def special(value: Token) -> AddedToken:
            if isinstance(value, str) and value in flags:
                return dataclasses.replace(flags[value], special=True)
            return AddedToken.read(value, special=True)

        named = {
            "unk_token": special(unk_token or definition.unknown_token),
            "sep_token": special(sep_token or definition.sep_token or "[SEP]"),
            "pad_token": special(pad_token or "[PAD]"),
            "cls_token": special(cls_token or definition.cls_token or "[CLS]"),
            "mask_token": special(mask_token or "[MASK]"),
        }
        if do_basic_tokenize is not None:
            definition = dataclasses.replace(definition, basic=do_basic_tokenize)
        in_file = definition.normalizer
        options = NormalizerOptions(
            lowercase=in_file.lowercase if do_lower_case is None else do_lower_case,
            strip_accents=(
                in_file.strip_accents
                if do_lower_case is None and strip_accents is None
                else strip_accents
            ),
            tokenize_chinese_chars=(
                in_file.tokenize_chinese_chars
                if tokenize_chinese_chars is None
                else tokenize_chinese_chars
            ),
            clean_text=in_file.clean_text,
        )
        definition = dataclasses.replace(
            definition,
            unknown_token=named["unk_token"].content,
            normalizer=options if definition.basic else UNTOUCHED,
        )

        self.never_split = tuple(never_split or ())
        self.split_special_tokens = split_special_tokens
        self.clean_up_tokenization_spaces = clean_up_tokenization_spaces
        # Files say "no limit" with several huge numbers.
        limited = model_max_length is not None and model_max_length < 10**20
        self.model_max_length = int(model_max_length or 0) if limited else UNLIMITED
        self.padding_side = read_side(padding_side, "padding_side", TokenizerError)
        self.truncation_side = read_side(truncation_side, "truncation_side", TokenizerError)
        self.model_input_names = tuple(model_input_names)
        # What tokenizer_config.json held besides options, to be written back.
        self._other_config: dict[str, Any] = {}
        super().__init__(definition, named, list(map(special, additional_special_tokens)), listed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} tokens, do_lower_case={self.do_lower_case})"

    def _define(
        self, vocab_file: str | PathLike[str] | None, tokenizer_file: str | PathLike[str] | None
    ) -> Definition:
        """Read the tokenizer without its added tokens from one file, or from both."""
        if tokenizer_file is None:
            if vocab_file is None:
                raise TokenizerError(
                    "a tokenizer needs a vocabulary", expected="vocab_file or tokenizer_file"
                )
            return Definition(vocabulary=files.read_vocabulary(Path(vocab_file)))
        path = Path(tokenizer_file)
        definition = read_definition(files.read_json(path), where=path)
        if vocab_file is not None and definition.foreign is None:
            vocabulary = files.read_vocabulary(Path(vocab_file))
            if vocabulary != definition.vocabulary:
                raise TokenizerError(
                    "two files of a tokenizer list different tokens",
                    expected=f"{len(definition.vocabulary)} tokens as in {path}",
                    found=f"{len(vocabulary)} tokens",
                    where=vocab_file,
                    fix="delete the one that does not belong to the model",
                )
        return definition
