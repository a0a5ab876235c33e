"""A tokenizer's files, read and written together."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, get_args

from distil.common.rules import AMOUNT, FLAG, Rule, is_integer, one_of
from distil.common.tokenizer import files
from distil.common.tokenizer.definition import Definition, read_definition
from distil.common.tokenizer.inputs import Side
from distil.common.tokenizer.vocabulary import ALL_NAMES, Vocabulary
from distil.errors import InputError, TokenizerError, shown
from distil.storage.modules import encoder_folder
from distil.storage.opened import check_own_file
from distil.storage.paths import check_name, is_folder

# "7" and "07" would be two keys for one id, and no id has more digits than this: Python takes its
# time with thousands of them.
_ID = re.compile("0|[1-9][0-9]{,9}")
_TOKEN = Rule(
    "a text, or a table of a text and how it matches", lambda v: isinstance(v, str | dict)
)
_TEXTS = Rule(
    "a list of texts", lambda v: isinstance(v, list) and all(isinstance(one, str) for one in v)
)
_TOKENS_BY_ID = Rule(
    "a table from ids to tokens",
    lambda v: (
        isinstance(v, dict)
        and all(_ID.fullmatch(number) and _TOKEN.holds(token) for number, token in v.items())
    ),
)
_OPTIONS: Mapping[str, Rule] = {
    **dict.fromkeys(ALL_NAMES, _TOKEN),
    "do_lower_case": FLAG,
    "do_basic_tokenize": FLAG,
    "never_split": _TEXTS,
    "tokenize_chinese_chars": FLAG,
    "strip_accents": FLAG,
    "clean_up_tokenization_spaces": FLAG,
    "model_max_length": AMOUNT,
    "padding_side": one_of(get_args(Side)),
    "truncation_side": one_of(get_args(Side)),
    "model_input_names": _TEXTS,
    "added_tokens_decoder": _TOKENS_BY_ID,
    "split_special_tokens": FLAG,
}
"""What each option in a file may be."""

WRITTEN = (
    "added_tokens_decoder", "additional_special_tokens", "clean_up_tokenization_spaces",
    *ALL_NAMES, "do_basic_tokenize", "do_lower_case", "model_max_length", "never_split",
    "padding_side", "split_special_tokens", "strip_accents", "tokenize_chinese_chars",
    "tokenizer_class", "truncation_side",
)  # fmt: skip
"""Attributes of a tokenizer, in the order of tokenizer_config.json."""

# Not copied when saving: other names for tokens that are written anyway, and old paths.
_DERIVED = (
    "additional_special_tokens", "extra_special_tokens", "special_tokens_map_file",
    "tokenizer_file", "vocab_file", "name_or_path", "tokenizer_class",
)  # fmt: skip


def find_folder(name: str | os.PathLike[str], subfolder: str = "", **hub_options: Any) -> Path:
    """Return a folder, or the one with the tokenizer's files of a name on the hub.

    Raises:
        HubError: The hub does not have it, or cannot be reached.
        InputError: `subfolder` is given with a name on the hub.
    """
    check_name(name, "name")
    folder = Path(name)
    if is_folder(folder):
        return folder / subfolder if subfolder else encoder_folder(folder)
    if subfolder:
        raise InputError(
            "a subfolder of a repository cannot be loaded", found=shown(subfolder),
            where="subfolder", fix="download the repository, and pass the folder itself",
        )  # fmt: skip
    from distil.storage import hub  # noqa: PLC0415 - slow to import, and folders need none

    return hub.snapshot(str(name), hub.HubOptions(**hub_options), files=files.ALL_FILES)


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the options of the tokenizer in a folder, as transformers 4 or 5 or distil writes it.

    Returns:
        Options to make the tokenizer with, and what else tokenizer_config.json holds.

    Raises:
        TokenizerError: There is no tokenizer here, or a file is broken.
        UnsafeCheckpointError: A file is a link that leaves the folder.
    """
    paths = {
        "vocab_file": folder / files.VOCABULARY_FILE,
        "tokenizer_file": folder / files.TOKENIZER_FILE,
    }
    for file in files.ALL_FILES:
        if os.path.lexists(folder / file):
            check_own_file(folder / file)
    options: dict[str, Any] = {
        name: files.OwnFile(path) for name, path in paths.items() if path.is_file()
    }
    if not options:
        raise TokenizerError(
            "there is no tokenizer in this folder",
            expected=f"{files.VOCABULARY_FILE} or {files.TOKENIZER_FILE}", where=folder,
        )  # fmt: skip
    config = files.read_json(files.OwnFile(folder / files.CONFIG_FILE))
    specials = files.read_json(files.OwnFile(folder / files.SPECIAL_TOKENS_FILE))
    # Before transformers 4.34 only special_tokens_map.json knew how special tokens match.
    complete = "added_tokens_decoder" in config
    named = {**specials, **config} if complete else {**config, **specials}
    for name, rule in _OPTIONS.items():
        # A missing option and null mean the same, except to strip_accents, whose default is null.
        if named.get(name) is not None:
            if not rule.holds(named[name]):
                _refuse(name, rule.words, named[name], folder)
            options[name] = named[name]
    options["additional_special_tokens"] = _additional(named, folder)

    added = files.read_json(files.OwnFile(folder / files.ADDED_TOKENS_FILE))
    for token, token_id in added.items():
        if not is_integer(token_id):
            _refuse(token, "a number for each token", token_id, folder / files.ADDED_TOKENS_FILE)
    if added and "added_tokens_decoder" not in options and "tokenizer_file" not in options:
        special = set(map(_content, options["additional_special_tokens"]))
        options["added_tokens_decoder"] = {
            token_id: {"content": token, "special": token in special}
            for token, token_id in added.items()
        }
    known = {*_OPTIONS, *_DERIVED}
    return options, {name: value for name, value in config.items() if name not in known}


def read_files(
    vocab_file: str | os.PathLike[str] | None, tokenizer_file: str | os.PathLike[str] | None
) -> Definition:
    """Read a tokenizer without its added tokens from a vocab.txt, a tokenizer.json, or both.

    Raises:
        TokenizerError: Neither is given, one is broken, or they list different tokens.
    """
    if tokenizer_file is None:
        if vocab_file is None:
            raise TokenizerError(
                "a tokenizer needs a vocabulary", expected="vocab_file or tokenizer_file"
            )
        return Definition(vocabulary=files.read_vocabulary(vocab_file))
    path = Path(tokenizer_file)
    definition = read_definition(files.read_json(tokenizer_file), where=path)
    if vocab_file is not None:
        vocabulary = files.read_vocabulary(vocab_file)
        if vocabulary != definition.vocabulary:
            raise TokenizerError(
                "two files of this tokenizer list different tokens",
                expected=f"{len(definition.vocabulary)} tokens as in {path}",
                found=f"{len(vocabulary)} tokens", where=Path(vocab_file),
                fix="delete the one that does not belong to the model",
            )  # fmt: skip
    return definition


def write_folder(
    folder: Path, definition: Definition, vocabulary: Vocabulary, options: Mapping[str, Any]
) -> tuple[str, ...]:
    """Write the files that make a tokenizer again, and return their paths.

    `options` are those in WRITTEN, and whatever else tokenizer_config.json is to hold.

    Raises:
        TokenizerError: A token holds a line break, which vocab.txt cannot.
        CheckpointError: The system refuses to write.
    """
    config = {
        **options,
        "added_tokens_decoder": {
            str(token_id): token.to_dict() for token, token_id in vocabulary.added_ids.items()
        },
        "never_split": options["never_split"] or None,
        "tokenizer_class": "DistilBertTokenizer",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TokenizerError("the folder cannot be created", found=error, where=folder) from error
    files.write_vocabulary(folder / files.VOCABULARY_FILE, vocabulary.base)
    contents: dict[str, Mapping[str, Any]] = {
        files.TOKENIZER_FILE: vocabulary.tokenizer_json(definition),
        files.CONFIG_FILE: config,
        files.SPECIAL_TOKENS_FILE: vocabulary.special_tokens_map,
        files.ADDED_TOKENS_FILE: {
            token: vocabulary.id(token) for token in vocabulary.tokens[len(vocabulary.base) :]
        },
    }
    if not contents[files.ADDED_TOKENS_FILE]:
        # One from an earlier save would add its tokens again.
        del contents[files.ADDED_TOKENS_FILE]
        (folder / files.ADDED_TOKENS_FILE).unlink(missing_ok=True)
    for name, content in contents.items():
        files.write_json(folder / name, content)
    return tuple(str(folder / name) for name in (files.VOCABULARY_FILE, *contents))


def _refuse(name: str, expected: str, found: Any, where: Path) -> NoReturn:
    raise TokenizerError(
        f"{shown(name)} is not valid", expected=expected, found=shown(found), where=where,
        fix="download the tokenizer again, or correct its files",
    )  # fmt: skip


def _additional(named: Mapping[str, Any], folder: Path) -> list[Any]:
    """Return the special tokens without a name, under whatever name a version wrote them."""
    tokens: dict[Any, Any] = {}
    for name in ("additional_special_tokens", "extra_special_tokens"):
        value = named.get(name) or []
        if isinstance(value, dict) and name == "extra_special_tokens":
            value = list(value.values())
        if not isinstance(value, list) or not all(isinstance(_content(one), str) for one in value):
            _refuse(name, "a list of tokens", value, folder)
        tokens |= {_content(token): token for token in value}
    return list(tokens.values())


def _content(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token
