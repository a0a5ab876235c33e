"""The tokenizer on Hugging Face `tokenizers`, in compiled code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar, NoReturn, Self, cast

import tokenizers  # type: ignore[import-untyped]

from distil.common.tokenizer import files, persistence
from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.base import Token
from distil.common.tokenizer.compatibility import TransformersNames
from distil.common.tokenizer.definition import Definition, read_definition
from distil.common.tokenizer.pipeline import Details, Pipeline, Words, check_content
from distil.common.tokenizer.python_tokenizer import DistilBertTokenizer
from distil.common.tokenizer.vocabulary import ALL_NAMES, Vocabulary
from distil.errors import TokenizerError, shorten

# What comes with a new vocabulary, and what is not an option.
_TRAINED = ("added_tokens_decoder", "additional_special_tokens", "tokenizer_class")


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
    vocab_files_names: ClassVar[dict[str, str]] = {
        "vocab_file": files.VOCABULARY_FILE,
        "tokenizer_file": files.TOKENIZER_FILE,
    }
    slow_tokenizer_class = DistilBertTokenizer
    can_save_slow_tokenizer = True

    def __init__(
        self,
        vocab_file: str | PathLike[str] | None = None,
        tokenizer_file: str | PathLike[str] | None = None,
        do_lower_case: bool | None = None,
        unk_token: Token | None = None,
        sep_token: Token | None = None,
        pad_token: Token | None = None,
        cls_token: Token | None = None,
        mask_token: Token | None = None,
        tokenize_chinese_chars: bool | None = None,
        strip_accents: bool | None = None,
        *,
        tokenizer_object: tokenizers.Tokenizer | None = None,
        **options: Any,
    ) -> None:
        self._given: tokenizers.Tokenizer | None = tokenizer_object
        super().__init__(
            vocab_file, do_lower_case, unk_token=unk_token, sep_token=sep_token,
            pad_token=pad_token, cls_token=cls_token, mask_token=mask_token,
            tokenize_chinese_chars=tokenize_chinese_chars, strip_accents=strip_accents,
            tokenizer_file=tokenizer_file, **options,
        )  # fmt: skip
        self._given = None

    @property
    def backend_tokenizer(self) -> tokenizers.Tokenizer:
        """The Rust tokenizer; changing it has no defined effect."""
        pipeline = self._pipeline()
        assert isinstance(pipeline, RustPipeline)
        return pipeline.rust

    _tokenizer = backend_tokenizer

    @property
    def decoder(self) -> Any:
        """What turns tokens into text, in Rust."""
        return self.backend_tokenizer.decoder

    def train_new_from_iterator(
        self,
        text_iterator: Iterable[str] | Iterable[Sequence[str]],
        vocab_size: int,
        length: int | None = None,
        new_special_tokens: Sequence[Token] | None = None,
        special_tokens_map: Mapping[str, str] | None = None,
        **trainer: Any,
    ) -> Self:
        """Learn a vocabulary from texts, for a tokenizer that is like this one otherwise.

        Args:
            text_iterator: Texts, or batches of texts.
            vocab_size: Tokens to learn at most, special ones included.
            length: How many texts there are, for the progress bar.
            new_special_tokens: Special tokens to have besides those of this tokenizer.
            special_tokens_map: Special tokens of this tokenizer to others in their place.
            **trainer: Options of `tokenizers.trainers.WordPieceTrainer`.
        """
        renamed = dict(special_tokens_map or {})
        unnamed = [
            *(renamed.get(token, token) for token in self._vocabulary.unnamed),
            *(AddedToken.read(token, special=True).content for token in new_special_tokens or ()),
        ]
        named = {name: renamed.get(token, token) for name, token in self._vocabulary.named.items()}
        special = [
            renamed.get(token.content, token.content)
            for token in self._vocabulary.added_ids
            if token.special
        ]
        learner = tokenizers.trainers.WordPieceTrainer(
            vocab_size=vocab_size,
            special_tokens=list(dict.fromkeys((*special, *unnamed))),
            continuing_subword_prefix=self._definition.prefix,
            **trainer,
        )
        data = self._vocabulary.tokenizer_json(self._definition)
        data |= {"added_tokens": [], "post_processor": None}
        data["model"] |= {"unk_token": named["unk_token"], "vocab": {named["unk_token"]: 0}}
        rust = tokenizers.Tokenizer.from_str(json.dumps(data))
        rust.train_from_iterator(text_iterator, trainer=learner, length=length)
        options = {
            name: self.init_kwargs[name]
            for name in persistence.WRITTEN
            if name not in (*ALL_NAMES, *_TRAINED)
        }
        return type(self)(
            tokenizer_object=rust, additional_special_tokens=unnamed,
            model_input_names=self.model_input_names, **cast(Any, named), **options,
        )  # fmt: skip

    def _define(
        self, vocab_file: str | PathLike[str] | None, tokenizer_file: str | PathLike[str] | None
    ) -> Definition:
        if self._given is None:
            return super()._define(vocab_file, tokenizer_file)
        if vocab_file is not None or tokenizer_file is not None:
            raise TokenizerError(
                "tokenizer_object takes the place of files",
                fix="leave vocab_file and tokenizer_file out",
            )
        return read_definition(json.loads(self._given.to_str()), where="tokenizer_object")

    def _make_pipeline(self, vocabulary: Vocabulary, *, split_special_tokens: bool) -> Pipeline:
        if self.never_split and self.do_basic_tokenize:
            raise TokenizerError(
                "the Rust tokenizer has no never_split", found=", ".join(self.never_split),
                fix="use the Python one (fast=False), or add_tokens",
            )  # fmt: skip
        data = {**vocabulary.tokenizer_json(self._definition), "added_tokens": []}
        try:
            rust = tokenizers.Tokenizer.from_str(json.dumps(data))
        except BaseException as error:
            _refuse(error, "the tokenizers library does not accept this tokenizer")
        return RustPipeline(rust, vocabulary.added_ids, split_special_tokens=split_special_tokens)


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
        added_tokens: With their ids, by ascending id.
        split_special_tokens: As in the tokenizer.

    Raises:
        TokenizerError: Normalisation leaves nothing of an added token.
    """

    def __init__(
        self,
        rust: tokenizers.Tokenizer,
        added_tokens: Mapping[AddedToken, int],
        *,
        split_special_tokens: bool = False,
    ) -> None:
        # Truncation and padding would be state shared between calls; they are worked out in
        # Python, call by call.
        self.rust = rust
        self.rust.encode_special_tokens = split_special_tokens
        for token in added_tokens:
            if token.normalized:
                check_content(token, self.rust.normalizer.normalize_str(token.content))
        try:
            self.rust.add_tokens([tokenizers.AddedToken(**one.to_dict()) for one in added_tokens])
        except BaseException as error:
            _refuse(error, "the tokenizers library does not accept an added token")

    def ids(self, texts: Sequence[str] | Sequence[Words], *, split: bool) -> list[list[int]]:
        """Return the ids of the pieces of each text."""
        encodings = self._encode(self.rust.encode_batch_fast, texts, split)
        return [encoding.ids for encoding in encodings]

    def details(self, texts: Sequence[str] | Sequence[Words], *, split: bool) -> Sequence[Details]:
        """Return ids, tokens, offsets and word indices of the pieces of each text."""
        return self._encode(self.rust.encode_batch, texts, split)

    def _encode(
        self, encode: Any, texts: Sequence[str] | Sequence[Words], split: bool
    ) -> Sequence[Details]:
        try:
            return cast(
                Sequence[Details], encode(texts, is_pretokenized=split, add_special_tokens=False)
            )
        except BaseException as error:
            _refuse(error, "the tokenizers library cannot tokenize a text")
