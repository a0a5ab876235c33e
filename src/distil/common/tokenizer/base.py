"""The base of both tokenizers: options, loading and saving."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

from distil.common.errors import TokenizerError
from distil.common.tokenizer import files
from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.arguments import Side, read_side
from distil.common.tokenizer.calling import Calling
from distil.common.tokenizer.definition import (
    UNTOUCHED,
    Definition,
    read_definition,
    write_definition,
)
from distil.common.tokenizer.folder import read_folder
from distil.common.tokenizer.framing import UNLIMITED
from distil.common.tokenizer.normalizer import NormalizerOptions
from distil.common.tokenizer.vocabulary import SPECIAL_NAMES

Token = str | AddedToken | Mapping[str, Any]


class TokenizerBase(Calling):
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
        self.model_max_length = UNLIMITED if model_max_length is None else int(model_max_length)
        self.padding_side = read_side(padding_side, "padding_side", TokenizerError)
        self.truncation_side = read_side(truncation_side, "truncation_side", TokenizerError)
        self.model_input_names = tuple(model_input_names)
        # What tokenizer_config.json held besides options, to be written back.
        self._other_config: dict[str, Any] = {}
        super().__init__(definition, named, list(map(special, additional_special_tokens)), listed)

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

    @classmethod
    def from_pretrained(
        cls,
        name: str | PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
        **options: Any,
    ) -> Self:
        """Load a tokenizer.

        Args:
            name: A folder, or a name on the hub.
            revision: Branch, tag or commit on the hub.
            cache_dir: Where files from the hub are kept.
            local_files_only: Do not ask the hub.
            token: For the hub.
            **options: Override what the files say; as in making a tokenizer.

        Returns:
            The tokenizer.

        Raises:
            TokenizerError: A file is missing or broken.
            HubError: The hub does not have it, or cannot be reached.
        """
        folder = Path(name)
        if not folder.is_dir():
            from distil.common import hub  # noqa: PLC0415  (only names need the hub)

            folder = hub.snapshot(
                str(name),
                files=files.ALL_FILES,
                revision=revision,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
                token=token,
            )
        stored, other = read_folder(folder)
        tokenizer = cls(**{**stored, **options})
        tokenizer._other_config = other
        return tokenizer

    def save_pretrained(self, folder: str | PathLike[str]) -> tuple[str, ...]:
        """Write the files that make this tokenizer again, here and in transformers.

        Args:
            folder: Where to; made if it does not exist.

        Returns:
            The paths written: vocab.txt (not for tokenizers that are not BERT's),
            tokenizer.json, tokenizer_config.json, special_tokens_map.json and, when tokens were
            added to the vocabulary, added_tokens.json.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        written: list[str] = []
        if self._definition.foreign is None:
            written += self.save_vocabulary(target)
        new = {
            token: token_id
            for token, token_id in self.get_added_vocab().items()
            if token_id >= self.vocab_size
        }
        contents: dict[str, Mapping[str, Any]] = {
            files.TOKENIZER_FILE: self._definition_json(),
            files.CONFIG_FILE: self._config(),
            files.SPECIAL_TOKENS_FILE: self.special_tokens_map,
        }
        if new:
            contents[files.ADDED_TOKENS_FILE] = new
        else:
            # One from an earlier save would add its tokens again.
            (target / files.ADDED_TOKENS_FILE).unlink(missing_ok=True)
        for name, content in contents.items():
            files.write_json(target / name, content)
            written.append(str(target / name))
        return tuple(written)

    def save_vocabulary(
        self, save_directory: str | PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str]:
        """Write vocab.txt, without the tokens added later.

        Args:
            save_directory: An existing folder.
            filename_prefix: Makes it `prefix-vocab.txt`.

        Returns:
            The path written.

        Raises:
            TokenizerError: A token holds a line break, which vocab.txt cannot.
        """
        tokens = self._tokens[: self.vocab_size]
        for token in tokens:
            if "\n" in token or "\r" in token:
                raise TokenizerError("vocab.txt cannot hold a line break", found=repr(token))
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        path = Path(save_directory) / f"{prefix}{files.VOCABULARY_FILE}"
        files.write_text(path, "".join(f"{token}\n" for token in tokens))
        return (str(path),)

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

    def _definition_json(self) -> dict[str, Any]:
        return write_definition(
            self._definition,
            self._added_ids(),
            cls_token=self.cls_token,
            sep_token=self.sep_token,
            ids={self.cls_token: self.cls_token_id, self.sep_token: self.sep_token_id},
        )

    def _config(self) -> dict[str, Any]:
        """Return the content of tokenizer_config.json."""
        return {
            **self._other_config,
            "added_tokens_decoder": {
                str(token_id): token.to_dict()
                for token_id, token in self.added_tokens_decoder.items()
            },
            "additional_special_tokens": self.additional_special_tokens,
            "clean_up_tokenization_spaces": self.clean_up_tokenization_spaces,
            **{name: self._special_tokens[name] for name in SPECIAL_NAMES},
            "do_basic_tokenize": self.do_basic_tokenize,
            "do_lower_case": self.do_lower_case,
            "model_max_length": self.model_max_length,
            "never_split": list(self.never_split) or None,
            "padding_side": self.padding_side,
            "split_special_tokens": self.split_special_tokens,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.tokenize_chinese_chars,
            "tokenizer_class": "DistilBertTokenizer",
            "truncation_side": self.truncation_side,
        }
