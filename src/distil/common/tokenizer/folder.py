"""The options that the files in a folder add up to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distil.common.errors import TokenizerError
from distil.common.tokenizer import files
from distil.common.tokenizer.vocabulary import SPECIAL_NAMES

_OPTIONS = (
    *SPECIAL_NAMES,
    "do_lower_case",
    "do_basic_tokenize",
    "never_split",
    "tokenize_chinese_chars",
    "strip_accents",
    "clean_up_tokenization_spaces",
    "model_max_length",
    "padding_side",
    "truncation_side",
    "model_input_names",
    "added_tokens_decoder",
    "split_special_tokens",
)
# BERT has no use for these: they are kept as special tokens without a name.
_UNUSED_NAMES = ("bos_token", "eos_token")
# Said again by what is written: tokens by other names, and where the files once were.
_DERIVED = (
    "additional_special_tokens",
    "extra_special_tokens",
    "special_tokens_map_file",
    "tokenizer_file",
    "vocab_file",
    "name_or_path",
    "tokenizer_class",
)


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the options of the tokenizer in a folder.

    Args:
        folder: A local folder, as transformers 4 or 5 or distil writes it.

    Returns:
        Options to make the tokenizer with, and what else tokenizer_config.json holds.

    Raises:
        TokenizerError: There is no tokenizer here, or a file is broken.
    """
    paths = {
        "vocab_file": folder / files.VOCABULARY_FILE,
        "tokenizer_file": folder / files.TOKENIZER_FILE,
    }
    options: dict[str, Any] = {name: path for name, path in paths.items() if path.is_file()}
    if not options:
        raise TokenizerError(
            "there is no tokenizer in this folder",
            expected=f"{files.VOCABULARY_FILE} or {files.TOKENIZER_FILE}",
            where=folder,
        )
    config = files.read_json(folder / files.CONFIG_FILE)
    specials = files.read_json(folder / files.SPECIAL_TOKENS_FILE)
    # Before transformers 4.34 only special_tokens_map.json knew how special tokens match.
    complete = "added_tokens_decoder" in config
    named = {**specials, **config} if complete else {**config, **specials}
    for name in _OPTIONS:
        # A missing option and null mean the same, except to strip_accents, whose default is null.
        if named.get(name) is not None:
            options[name] = named[name]
    options["additional_special_tokens"] = _additional(named)

    added = files.read_json(folder / files.ADDED_TOKENS_FILE)
    if added and "added_tokens_decoder" not in options and "tokenizer_file" not in options:
        special = set(map(_content, options["additional_special_tokens"]))
        options["added_tokens_decoder"] = {
            token_id: {
                "content": token,
                "special": token in special,
            }
            for token, token_id in added.items()
        }
    known = {*_OPTIONS, *_UNUSED_NAMES, *_DERIVED}
    return options, {name: value for name, value in config.items() if name not in known}


def _additional(named: dict[str, Any]) -> list[Any]:
    """Return the special tokens without a name, under whatever name a version wrote them."""
    extra = named.get("extra_special_tokens") or []
    tokens = [
        *(named.get("additional_special_tokens") or []),
        *(extra.values() if isinstance(extra, dict) else extra),
        *(named[name] for name in _UNUSED_NAMES if named.get(name)),
    ]
    return list({_content(token): token for token in tokens}.values())


def _content(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token
