"""How a folder of sentence-transformers embeds texts: its files read, and written.

`modules.json` lists what a text goes through: the encoder, pooling, and normalisation or not.
Beside it, `sentence_bert_config.json` says how long a text may be, and
`config_sentence_transformers.json` what stands before it.

Source: sentence-transformers 2 to 6, which read what is written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from distil.common.rules import COUNT, FLAG, TEXT, Rule, or_none
from distil.common.sentences import SentenceEncoding
from distil.errors import ConfigError, InputError, shorten, shown
from distil.storage.files import read_json, write_json
from distil.storage.modules import FILE_NAME, LENGTH_FILE, POOLING_FILE, PROMPTS_FILE, read_modules

# The second is that of a DistilBERT in releases before 1.
_LENGTH_FILES = (LENGTH_FILE, "sentence_distilbert_config.json")

# Poolings by their names here, and how the flags of older releases end.
_FLAG = "pooling_mode_"
_FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "mean": "mean_tokens",
        "cls": "cls_token",
        "max": "max_tokens",
        "mean_sqrt_len": "mean_sqrt_len_tokens",
    }
)
_POOLINGS = {**{name: name for name in _FLAGS}, **{flag: name for name, flag in _FLAGS.items()}}

_KINDS = (("Transformer", "Pooling"), ("Transformer", "Pooling", "Normalize"))
# What lies in a folder of sentence-transformers beside its encoder.
WRITTEN = (FILE_NAME, LENGTH_FILE, PROMPTS_FILE, "1_Pooling", "2_Normalize")

_PROMPTS = Rule(
    "a table of texts",
    lambda v: isinstance(v, dict) and all(x is None or isinstance(x, str) for x in v.values()),
)


def read_encoding(folder: Path) -> SentenceEncoding | None:
    """How the texts of a folder are embedded; None if it does not say.

    Raises:
        ConfigError: It asks for what there is not here, such as a dense layer.
        CheckpointError: A file is damaged.
    """
    modules = read_modules(folder)
    if not modules:
        return None
    where = folder / FILE_NAME
    kinds = tuple(module.kind for module in modules)
    if kinds not in _KINDS:
        unknown = [kind for kind in kinds if kind not in _KINDS[-1]] or kinds
        raise ConfigError(
            "texts go through modules that are not supported", expected="Transformer, Pooling, "
            "and Normalize or not", found=", ".join(map(shorten, unknown)), where=where,
            fix='use the encoder alone (task="feature-extraction"), or sentence-transformers',
        )  # fmt: skip
    pooling = folder / modules[1].path / "config.json"
    encoder = folder / modules[0].path
    lengths = next((encoder / name for name in _LENGTH_FILES if (encoder / name).is_file()), None)
    table = {} if lengths is None else read_json(lengths, own=True)
    prompts = folder / PROMPTS_FILE
    said = read_json(prompts, own=True) if prompts.is_file() else {}
    try:
        return SentenceEncoding(
            pooling=_pooling(read_json(pooling, own=True), pooling),
            normalize="Normalize" in kinds,
            max_length=_value(table, "max_seq_length", or_none(COUNT), lengths),
            lowercase=_value(table, "do_lower_case", FLAG, lengths, default=False),
            # Newer releases write prompts of None where there are none.
            prompts={
                name: text or ""
                for name, text in _value(said, "prompts", _PROMPTS, prompts, default={}).items()
            },
            prompt_name=_value(said, "default_prompt_name", or_none(TEXT), prompts),
        )
    except InputError as error:  # of a prompt that is not there
        raise ConfigError(
            error.problem, expected=error.expected, found=error.found, where=prompts
        ) from None


def write_encoding(folder: Path, encoding: SentenceEncoding, *, dim: int) -> list[Path]:
    """Write how texts are embedded, beside an encoder that lies in `folder`.

    Args:
        folder: Of the checkpoint.
        encoding: What to write.
        dim: Width of the encoder.

    Returns:
        The files; modules.json, by which all others are found, is the last.
    """
    kinds = _KINDS[encoding.normalize]
    places = ("", *(f"{number}_{kind}" for number, kind in enumerate(kinds[1:], start=1)))
    modules = [
        {"idx": number, "name": str(number), "path": place,
         "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, place) in enumerate(zip(kinds, places, strict=True))
    ]  # fmt: skip
    pooling = folder / POOLING_FILE
    pooling.parent.mkdir(parents=True, exist_ok=True)
    flags = {_FLAG + flag: name == encoding.pooling for name, flag in _FLAGS.items()}
    tables: dict[Path, dict[str, Any]] = {
        pooling: {"word_embedding_dimension": dim, **flags},
        folder / LENGTH_FILE: {
            "max_seq_length": encoding.max_length,
            "do_lower_case": encoding.lowercase,
        },
        folder / PROMPTS_FILE: {
            "prompts": dict(encoding.prompts),
            "default_prompt_name": encoding.prompt_name,
            "similarity_fn_name": "cosine",
        },
    }
    for path, table in tables.items():
        write_json(path, table)
    write_json(folder / FILE_NAME, modules)
    return [*tables, folder / FILE_NAME]


def replace_encoding(folder: Path, encoding: SentenceEncoding | None, *, dim: int) -> list[Path]:
    """As `write_encoding`; None takes away what another model has left there."""
    if encoding is not None:
        return write_encoding(folder, encoding, dim=dim)
    (folder / FILE_NAME).unlink(missing_ok=True)  # without it, its other files say nothing
    return []


def _pooling(table: Mapping[str, Any], where: Path) -> str:
    """The pooling that a 1_Pooling/config.json says, in the words of any release."""
    named = table.get("pooling_mode")
    if named is None:
        flags = [name for name, value in table.items() if name.startswith(_FLAG) and value]
        named = [name.removeprefix(_FLAG) for name in flags] or "mean"
    names = [str(name) for name in (named if isinstance(named, list) else [named])]
    if len(names) != 1 or names[0] not in _POOLINGS:
        raise ConfigError(
            "this pooling is not supported", expected=" or ".join(_FLAGS),
            found=" and ".join(map(shorten, names)) or "none", where=where,
        )  # fmt: skip
    if not _value(table, "include_prompt", FLAG, where, default=True):
        raise ConfigError(
            "pooling that leaves the prompt out is not supported",
            expected="include_prompt: true", found="false", where=where,
        )  # fmt: skip
    return _POOLINGS[names[0]]


def _value(
    table: Mapping[str, Any], name: str, rule: Rule, where: Path | None, default: Any = None
) -> Any:
    """What a table has under a name.

    Raises:
        ConfigError: It breaks the rule.
    """
    found = table.get(name, default)
    if not rule.holds(found):
        raise ConfigError(
            f"{name} is not valid", expected=rule.words, found=shown(found), where=where
        )
    return found
