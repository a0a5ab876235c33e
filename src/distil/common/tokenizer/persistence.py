"""Loading a tokenizer by name, and saving it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

from distil.common.tokenizer import files
from distil.common.tokenizer.definition import write_definition
from distil.common.tokenizer.folder import read_folder
from distil.common.tokenizer.other_calls import OtherCalls
from distil.common.tokenizer.vocabulary import SPECIAL_NAMES
from distil.errors import TokenizerError


class Persistence(OtherCalls):
    """A tokenizer that is made of files and can be written to files."""

    never_split: Sequence[str]
    split_special_tokens: bool
    # What tokenizer_config.json held besides options, to be written back.
    _other_config: Mapping[str, Any]

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
            from distil.storage import hub  # noqa: PLC0415  (only names need the hub)

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
