"""What both tokenizers share: how one is made, and what calling it does.

`__call__` can be read with two more files: options.py (what the caller asks for) and rows.py
(from pieces to rows).  tokens.py has what is asked about tokens and ids, pretrained.py loading and
saving, compatibility.py the other names that transformers has for all of this.
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Self

from distil.common.rules import choice
from distil.common.tokenizer import persistence
from distil.common.tokenizer.added_tokens import AddedToken, check_sizes
from distil.common.tokenizer.batch_encoding import BatchEncoding
from distil.common.tokenizer.decoding import clean_up, join
from distil.common.tokenizer.definition import Definition
from distil.common.tokenizer.inputs import Side, check_surrogates, read_texts
from distil.common.tokenizer.options import UNLIMITED, CallOptions
from distil.common.tokenizer.rows import Frame, Plan, Rows, Source, without_batch_axis
from distil.common.tokenizer.tensors import TensorKind, to_lists
from distil.common.tokenizer.tokens import Tokens
from distil.common.tokenizer.vocabulary import Vocabulary
from distil.errors import InputError, TokenizerError, shown

Token = str | AddedToken | Mapping[str, Any]


class TokenizerBase(Tokens):
    """A DistilBERT tokenizer: everything but cutting text into pieces.

    Args:
        vocab_file: A vocab.txt.  Either this or `tokenizer_file` is needed, and with both they
            must list the same tokens.
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
        clean_up_tokenization_spaces: Remove spaces before punctuation when decoding.
        tokenizer_file: A tokenizer.json.
        bos_token: A special token that BERT has no use for; never added to a row.
        eos_token: Another.
        model_max_length: The most pieces that the model takes; None for no limit.
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
    verbose = True
    _warned = False

    def __init__(
        self,
        vocab_file: str | PathLike[str] | None = None,
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
        *,
        tokenizer_file: str | PathLike[str] | None = None,
        bos_token: Token | None = None,
        eos_token: Token | None = None,
        model_max_length: int | None = None,
        padding_side: Side = "right",
        truncation_side: Side = "right",
        model_input_names: Sequence[str] = ("input_ids", "attention_mask"),
        additional_special_tokens: Sequence[Token] = (),
        added_tokens_decoder: Mapping[Any, Token] | None = None,
        split_special_tokens: bool = False,
    ) -> None:
        self._definition = self._define(vocab_file, tokenizer_file).override(
            unknown_token=AddedToken.read(unk_token).content if unk_token else None,
            basic=do_basic_tokenize,
            lowercase=do_lower_case,
            strip_accents=strip_accents,
            tokenize_chinese_chars=tokenize_chinese_chars,
        )
        self.never_split = tuple(never_split or ())
        check_sizes(self.never_split, "words in never_split")
        self.clean_up_tokenization_spaces = clean_up_tokenization_spaces
        if not isinstance(model_max_length, int | float | None):
            raise TokenizerError(
                "model_max_length is not a number", found=shown(model_max_length),
                where="model_max_length",
            )  # fmt: skip
        # Files say "no limit" with several huge numbers.
        limited = model_max_length is not None and model_max_length < 10**20
        self.model_max_length = int(model_max_length or 0) if limited else UNLIMITED
        self.padding_side: Side = choice(padding_side, Side, "padding_side", error=TokenizerError)
        self.truncation_side: Side = choice(
            truncation_side, Side, "truncation_side", error=TokenizerError
        )
        self.model_input_names: Sequence[str] = list(model_input_names)
        # What tokenizer_config.json held besides options, to be written back.
        self._other_config: Mapping[str, Any] = {}
        named = {
            "bos_token": bos_token, "eos_token": eos_token, "unk_token": unk_token,
            "sep_token": sep_token, "pad_token": pad_token, "cls_token": cls_token,
            "mask_token": mask_token,
        }  # fmt: skip
        vocabulary = Vocabulary.make(
            self._definition, named=named, unnamed=additional_special_tokens,
            added=added_tokens_decoder or {},
        )  # fmt: skip
        super().__init__(vocabulary, split_special_tokens=split_special_tokens)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} tokens, do_lower_case={self.do_lower_case})"

    @property
    def do_lower_case(self) -> bool:
        """Whether texts are lower-cased."""
        return self._definition.normalizer.lowercase

    @property
    def do_basic_tokenize(self) -> bool:
        """Whether texts are normalised and split at punctuation."""
        return self._definition.basic

    @property
    def strip_accents(self) -> bool | None:
        """Whether accents are dropped; None when that follows `do_lower_case`."""
        return self._definition.normalizer.strip_accents

    @property
    def tokenize_chinese_chars(self) -> bool:
        """Whether each CJK ideograph is a word."""
        return self._definition.normalizer.tokenize_chinese_chars

    def __call__(
        self,
        text: Any = None,
        text_pair: Any = None,
        text_target: Any = None,
        text_pair_target: Any = None,
        add_special_tokens: bool = True,
        padding: bool | str | None = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: Side | None = None,
        return_tensors: TensorKind | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        *,
        split_special_tokens: bool | None = None,
    ) -> BatchEncoding:
        """Tokenize a text, a pair of texts, or a batch of either.

        Args:
            text: A string, or a list of strings; a list of pairs of strings is a batch of pairs.
                With `is_split_into_words` a list of words stands for each string.
            text_pair: The second texts, nested like `text`; "" is an empty text, None is none.
            text_target: Texts whose ids become `labels`; without `text`, what is tokenized.
            text_pair_target: The second texts of `text_target`.
            add_special_tokens: Make rows `[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]`.
            padding: True or "longest" pads to the longest row, "max_length" to `max_length`.
            truncation: True or "longest_first" takes pieces from the longer text, "only_first"
                and "only_second" from that text, False from none; None truncates when
                `max_length` is given and `padding` is not.
            max_length: Length of a row, special tokens included; None takes `model_max_length`.
            stride: Pieces that an overflowing row shares with the row before.
            is_split_into_words: Whether texts are given as lists of words.
            pad_to_multiple_of: Round lengths up to a multiple of this.
            padding_side: "left" or "right"; None takes the tokenizer's own setting.
            return_tensors: "np", "pt" or "tf"; None returns lists.
            return_token_type_ids: Return 0 for the first text and 1 for the second.
            return_attention_mask: Return 1 for pieces and 0 for padding.
            return_overflowing_tokens: Make more rows of what does not fit, and return which text
                each row is from (`overflow_to_sample_mapping`).
            return_special_tokens_mask: Return 1 for special tokens and padding.
            return_offsets_mapping: Return the span of characters of each piece.
            return_length: Return the length of each row.
            verbose: Warn, once, of a text longer than the model allows.
            split_special_tokens: Treat special tokens in texts like any other text; None takes
                the tokenizer's own setting.

        Returns:
            Inputs by name, (b s) each; (s) for a single text unless tensors or overflow are
            asked for.

        Raises:
            InputError: This is not a text, or it cannot be made to fit; says which row.
            FrameworkError: The framework of `return_tensors` is not installed.
        """
        options = CallOptions(
            add_special_tokens=add_special_tokens, padding=padding, truncation=truncation,
            max_length=max_length, stride=stride, is_split_into_words=is_split_into_words,
            pad_to_multiple_of=pad_to_multiple_of, padding_side=padding_side,
            return_tensors=return_tensors, return_token_type_ids=return_token_type_ids,
            return_attention_mask=return_attention_mask, return_length=return_length,
            return_overflowing_tokens=return_overflowing_tokens, verbose=verbose,
            return_special_tokens_mask=return_special_tokens_mask,
            return_offsets_mapping=return_offsets_mapping,
            split_special_tokens=split_special_tokens,
        )  # fmt: skip
        if text_target is None:
            if text_pair_target is not None:
                raise InputError("text_pair_target needs text_target", where="text_pair_target")
            return self._encode(text, text_pair, options)
        targets = self._encode(text_target, text_pair_target, options)
        if text is None:
            return targets
        batch = self._encode(text, text_pair, options)
        batch["labels"] = targets["input_ids"]
        return batch

    def _encode(self, text: Any, text_pair: Any, options: CallOptions) -> BatchEncoding:
        texts = read_texts(text, text_pair, split=options.is_split_into_words)
        check_surrogates(texts)
        kind = options.return_tensors
        if kind is not None:
            choice(kind, TensorKind, "return_tensors")
        plan = self._plan(options, pair=texts.second is not None)
        pipeline = self._pipeline(options.split_special_tokens)
        source = Source(pipeline, texts, detailed=options.return_offsets_mapping)
        first, *second = source.ids()
        rows = Rows(first, second[0] if second else None, plan)
        self._warn_if_too_long(rows, options)
        data = rows.data(source)
        if not (texts.batched or kind or options.return_overflowing_tokens):
            data = without_batch_axis(data)
        return BatchEncoding(data, lambda: rows.encodings(source), kind)

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        *,
        spaces_between_special_tokens: bool = True,
        use_source_tokenizer: bool = False,
    ) -> str:
        """Turn one row of ids into text.

        Args:
            token_ids: An id, or the ids (s) of a row: a list, an array or a tensor.
            skip_special_tokens: Leave special tokens out.
            clean_up_tokenization_spaces: Remove the spaces before punctuation and English
                contractions; None takes the tokenizer's own setting.  (In transformers' fast
                tokenizer False still removes some.)
            spaces_between_special_tokens: False is refused.
            use_source_tokenizer: True is refused.

        Returns:
            The text: pieces of a word joined, words separated by spaces.

        Raises:
            InputError: An id is not in the vocabulary, more than one row was given, or an option
                is refused.
        """
        for name, refused in (
            ("spaces_between_special_tokens", not spaces_between_special_tokens),
            ("use_source_tokenizer", use_source_tokenizer),
        ):
            if refused:
                raise InputError("an option of decode is not supported", where=name)
        ids = to_lists(token_ids)
        ids = [ids] if isinstance(ids, int) else ids
        if any(isinstance(item, list) for item in ids):
            raise InputError(
                "decode takes one row of ids", found=f"{len(ids)} rows", fix="use batch_decode"
            )
        tokens = self._vocabulary.row(ids, skip_special=skip_special_tokens)
        text = join(tokens, prefix=self._definition.prefix)
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        return clean_up(text) if clean_up_tokenization_spaces else text

    def keep_tokens(self, ids: Iterable[int]) -> Self:
        """Return a tokenizer that knows some of the tokens only, for a model with fewer words.

        Words that it lacks are written with shorter pieces.

        Args:
            ids: Those tokens.  Their new ids are 0, 1, 2, ... in ascending order of the old ones.

        Raises:
            InputError: An id is not in the vocabulary, or an added or special token is missing.
        """
        kept = copy.copy(self)
        vocabulary = self._vocabulary.keep(ids)
        kept._definition = dataclasses.replace(
            self._definition,
            vocabulary=vocabulary.base,
            added_tokens={number: token for token, number in vocabulary.added_ids.items()},
        )
        kept._use(vocabulary)
        return kept

    def _define(
        self, vocab_file: str | PathLike[str] | None, tokenizer_file: str | PathLike[str] | None
    ) -> Definition:
        """Read the tokenizer without its added tokens."""
        return persistence.read_files(vocab_file, tokenizer_file)

    def _plan(self, options: CallOptions, *, pair: bool) -> Plan:
        cls, sep, pad = map(self._vocabulary.named_id, ("cls_token", "sep_token", "pad_token"))
        frame = Frame(special=options.add_special_tokens, cls=cls, sep=sep, pad=pad)
        return options.plan(self, frame, specials=3 if pair else 2)

    def _warn_if_too_long(self, rows: Rows, options: CallOptions) -> None:
        length = max(rows.lengths, default=0)
        asked = options.verbose and self.verbose and options.max_length is None
        if asked and length > self.model_max_length and not self._warned:
            self._warned = True
            warnings.warn(
                f"a text has {length} pieces, more than the {self.model_max_length} that the model "
                "allows; pass truncation=True (said once)",
                stacklevel=4,
            )
