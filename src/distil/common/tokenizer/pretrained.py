"""Loading and saving a tokenizer as transformers does, and what it says of itself afterwards.

Every option of transformers' from_pretrained is used here, makes no difference, or is refused by
name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from distil.common.compatibility.keywords import Refused, renamed, without
from distil.common.tokenizer import files, persistence
from distil.common.tokenizer.base import TokenizerBase
from distil.common.tokenizer.inputs import Side
from distil.common.tokenizer.vocabulary import ALL_NAMES, OPTIONAL_NAMES
from distil.errors import InputError

# Nothing from a repository is ever run, both tokenizers are made from the same definition, and
# downloads always resume: whatever these say is the case.
_LOADS_ALIKE = ("from_slow", "resume_download", "trust_remote_code")
_REFUSED: Mapping[str, Refused] = {
    "add_prefix_space": Refused(fix="BERT marks the inside of words, not their beginning"),
    "chat_template": Refused(allowed=(None,), fix="DistilBERT has no chats"),
    "force_download": Refused(fix="remove the files from the hub's cache"),
    "gguf_file": Refused(allowed=(None,), fix="load vocab.txt or tokenizer.json"),
    "proxies": Refused(allowed=(None,), fix="set the environment variable HTTPS_PROXY"),
    "tokenizer_type": Refused(
        allowed=(None, "distilbert"), fix="distil has DistilBERT's tokenizers only"
    ),
}
_REFUSED_NAMES = {
    **dict.fromkeys(
        (
            "apply_chat_template", "encode_message_with_chat_template", "get_chat_template",
            "save_chat_templates",
        ), "DistilBERT has no chats",
    ),
    "as_target_tokenizer": "pass text_target when calling the tokenizer",
    "prepare_seq2seq_batch": "pass text_target when calling the tokenizer",
    "push_to_hub": "save the tokenizer, and upload the folder with huggingface_hub",
    "register_for_auto_class": "no code is loaded from repositories",
    "set_truncation_and_padding": "pass truncation and padding in each call",
    "train_new_from_iterator": "use the fast tokenizer",
    "truncate_sequences": "pass truncation when calling the tokenizer, or to prepare_for_model",
}  # fmt: skip


class Pretrained(TokenizerBase):
    """A tokenizer that is loaded from files and saved in files."""

    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": files.VOCABULARY_FILE}
    SPECIAL_TOKENS_ATTRIBUTES: ClassVar[list[str]] = [*ALL_NAMES, "additional_special_tokens"]
    model_input_names: Sequence[str] = ["input_ids", "attention_mask"]
    padding_side: Side = "right"
    truncation_side: Side = "right"
    name_or_path = ""

    # Type checkers report a name that is not there by themselves.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            reason = _REFUSED_NAMES.get(name)
            raise AttributeError(
                f"{type(self).__name__} has no {name!r}" + (f": {reason}" if reason else "")
            )

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
        subfolder: str = "",
        **options: Any,
    ) -> Self:
        """Load a tokenizer.

        Args:
            pretrained_model_name_or_path: A folder, or a name on the hub.
            revision: Branch, tag or commit on the hub.
            cache_dir: Where files from the hub are kept.
            local_files_only: Do not ask the hub.
            token: For the hub.
            subfolder: Of a local folder: where the files are.
            **options: Override what the files say; as in making a tokenizer.  `verbose`, too, and
                `max_len` for `model_max_length`, `use_auth_token` for `token`.

        Raises:
            TokenizerError: A file is missing or broken.
            HubError: The hub does not have it, or cannot be reached.
            InputError: An option asks for something that is not supported.
        """
        if "max_len" in options:
            options.setdefault("model_max_length", options.pop("max_len"))
        options = renamed({**options, "token": token}, "use_auth_token", "token")
        token = options.pop("token")
        if "config" in options:
            options["tokenizer_type"] = getattr(options.pop("config"), "model_type", None)
        use_fast = Refused(
            allowed=(None, cls.is_fast), fix="distil.load_tokenizer(name, fast=...) gives either"
        )
        options = without(options, _LOADS_ALIKE, {**_REFUSED, "use_fast": use_fast})
        verbose = options.pop("verbose", True)
        folder = persistence.find_folder(
            pretrained_model_name_or_path,
            subfolder,
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            token=token,
        )
        stored, other = persistence.read_folder(folder)
        tokenizer = cls(**{**stored, **options})
        tokenizer._other_config = other
        tokenizer.verbose = verbose
        tokenizer.name_or_path = str(pretrained_model_name_or_path)
        return tokenizer

    def save_pretrained(
        self,
        save_directory: str | PathLike[str],
        legacy_format: bool | None = None,
        filename_prefix: str | None = None,
        push_to_hub: bool = False,
    ) -> tuple[str, ...]:
        """Write the files that make this tokenizer again, here and in transformers.

        Args:
            save_directory: Where to; made if it does not exist.
            legacy_format: vocab.txt is always written; False is refused.
            filename_prefix: Refused: nothing finds files with other names.
            push_to_hub: Refused.

        Returns:
            The paths of vocab.txt, tokenizer.json, tokenizer_config.json, special_tokens_map.json
            and, when tokens were added to the vocabulary, added_tokens.json.

        Raises:
            TokenizerError: A token holds a line break, which vocab.txt cannot.
            CheckpointError: The system refuses to write.
        """
        for name, refused, fix in (
            ("legacy_format", legacy_format is False, "remove vocab.txt afterwards"),
            ("filename_prefix", filename_prefix, "save_vocabulary writes vocab.txt with a prefix"),
            ("push_to_hub", push_to_hub, _REFUSED_NAMES["push_to_hub"]),
        ):
            if refused:
                raise InputError(
                    "an option of save_pretrained is not supported", where=name, fix=fix
                )
        folder = Path(save_directory)
        return persistence.write_folder(
            folder, self._definition, self._vocabulary, self.init_kwargs
        )

    def save_vocabulary(
        self, save_directory: str | PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str]:
        """Write vocab.txt, without the tokens added later, into an existing folder.

        Args:
            save_directory: The folder.
            filename_prefix: Makes it `prefix-vocab.txt`.

        Returns:
            The path written.
        """
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        path = Path(save_directory) / f"{prefix}{files.VOCABULARY_FILE}"
        files.write_vocabulary(path, self._vocabulary.base)
        return (str(path),)

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """The options of this tokenizer as they are now, and what else its files hold."""
        options = {name: getattr(self, name, None) for name in persistence.WRITTEN}
        missing = [name for name in OPTIONAL_NAMES if options[name] is None]
        kept = {name: value for name, value in options.items() if name not in missing}
        return {**self._other_config, **kept}

    @property
    def max_len_single_sentence(self) -> int:
        """Pieces of a text that the model takes, special tokens excluded."""
        return self.model_max_length - 2

    @property
    def max_len_sentences_pair(self) -> int:
        """Pieces of a pair of texts that the model takes, special tokens excluded."""
        return self.model_max_length - 3
