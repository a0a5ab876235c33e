"""What a BERT tokenizer is made of, and how tokenizer.json says it.

tokenizer.json is the format of Hugging Face tokenizers; of all that it can hold, BERT uses one
part of each kind: BertNormalizer, BertPreTokenizer, WordPiece, TemplateProcessing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.normalizer import NormalizerOptions
from distil.errors import TokenizerError


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A tokenizer without its added tokens.

    Attributes:
        vocabulary: Token to id; the ids are 0, 1, 2, ...
        unknown_token: What stands for words that the vocabulary cannot spell.
        normalizer: What is done to texts first.
        basic: Whether words are split at punctuation; without it nothing is normalised either.
        prefix: What a piece starts with that does not begin its word.
        longest_word: Words with more characters than this are unknown.
        cls_token: First piece of a row; None when the file does not say.
        sep_token: Piece after each text; None when the file does not say.
        added_tokens: Added tokens by id, as a file lists them.
        foreign: The content of a tokenizer.json with parts that are not BERT's, else None.
    """

    vocabulary: Mapping[str, int]
    unknown_token: str = "[UNK]"
    normalizer: NormalizerOptions = field(default_factory=NormalizerOptions)
    basic: bool = True
    prefix: str = "##"
    longest_word: int = 100
    cls_token: str | None = None
    sep_token: str | None = None
    added_tokens: Mapping[int, AddedToken] = field(default_factory=dict)
    foreign: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        ids = sorted(self.vocabulary.values())
        if ids != list(range(len(ids))):
            raise TokenizerError(
                "the ids of a vocabulary are not consecutive",
                expected=f"0 to {len(ids) - 1}, each once",
                found=f"{ids[0]} to {ids[-1]}",
            )
        if self.unknown_token not in self.vocabulary:
            raise TokenizerError(
                "the unknown token is not in the vocabulary",
                found=repr(self.unknown_token),
                where=f"a vocabulary of {len(ids)} tokens",
                fix="pass the unk_token that the vocabulary has",
            )

    def override(
        self,
        *,
        unknown_token: str | None,
        basic: bool | None,
        lowercase: bool | None,
        strip_accents: bool | None,
        tokenize_chinese_chars: bool | None,
    ) -> Definition:
        """Return this tokenizer with what a caller wants; None leaves what the file says.

        With `lowercase` given, `strip_accents=None` means that it follows `lowercase`.
        """
        basic = self.basic if basic is None else basic
        given = {"lowercase": lowercase, "tokenize_chinese_chars": tokenize_chinese_chars}
        options = replace(
            self.normalizer, **{name: value for name, value in given.items() if value is not None}
        )
        if lowercase is not None or strip_accents is not None:
            options = replace(options, strip_accents=strip_accents)
        return replace(
            self,
            unknown_token=unknown_token or self.unknown_token,
            basic=basic,
            normalizer=options if basic else UNTOUCHED,
        )


def read_definition(data: Any, *, where: object) -> Definition:
    """Read the content of a tokenizer.json.

    Args:
        data: What the JSON file holds.
        where: The file, for error messages.

    Returns:
        The definition; `foreign` is set when some part is not BERT's.

    Raises:
        TokenizerError: It is no tokenizer.json, or puts other special tokens around a text than
            `[CLS] A [SEP] B [SEP]`.
    """
    try:
        model = data["model"]
        vocabulary = _vocabulary(model)
        added = {
            int(entry["id"]): AddedToken.read(entry) for entry in data.get("added_tokens") or ()
        }
        cls_token, sep_token = _frame(data.get("post_processor"), where)
        normalizer, basic = _text_parts(data.get("normalizer"), data.get("pre_tokenizer"))
        bert = normalizer is not None and model.get("type", "WordPiece") == "WordPiece"
        return Definition(
            vocabulary=vocabulary,
            unknown_token=model.get("unk_token") or "[UNK]",
            normalizer=normalizer or NormalizerOptions(),
            basic=basic,
            prefix=model.get("continuing_subword_prefix") or "##",
            longest_word=model.get("max_input_chars_per_word") or 100,
            cls_token=cls_token,
            sep_token=sep_token,
            added_tokens=added,
            foreign=None if bert else data,
        )
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        if isinstance(error, TokenizerError):
            raise
        raise TokenizerError(
            "this is not a tokenizer.json", found=f"{type(error).__name__}: {error}", where=where
        ) from error


def write_definition(
    definition: Definition,
    added_tokens: Mapping[AddedToken, int],
    *,
    cls_token: str,
    sep_token: str,
    ids: Mapping[str, int],
) -> dict[str, Any]:
    """Return the content of a tokenizer.json.

    Args:
        definition: The tokenizer.
        added_tokens: Its added tokens and their ids.
        cls_token: First piece of a row.
        sep_token: Piece after each text.
        ids: The ids of these two.

    Returns:
        What the JSON file is to hold.
    """
    options = definition.normalizer
    data: dict[str, Any] = {
        "version": "1.0",
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": options.clean_text,
            "handle_chinese_chars": options.tokenize_chinese_chars,
            "strip_accents": options.strip_accents,
            "lowercase": options.lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer" if definition.basic else "WhitespaceSplit"},
        "decoder": {"type": "WordPiece", "prefix": definition.prefix, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": definition.unknown_token,
            "continuing_subword_prefix": definition.prefix,
            "max_input_chars_per_word": definition.longest_word,
            "vocab": definition.vocabulary,
        },
    }
    data |= definition.foreign or {}
    data |= {
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": token_id, **token.to_dict()}
            for token, token_id in sorted(added_tokens.items(), key=lambda item: item[1])
        ],
        "post_processor": _template(cls_token, sep_token, ids),
    }
    return data


def refuse_foreign(definition: Definition, *, where: object) -> None:
    """Refuse a tokenizer.json with parts that only the Rust tokenizer knows.

    Args:
        definition: What was read.
        where: The file, for the error message.

    Raises:
        TokenizerError: Some part is not BERT's.
    """
    if definition.foreign is None:
        return
    parts = {
        name: (definition.foreign.get(name) or {}).get("type")
        for name in ("normalizer", "pre_tokenizer", "model")
    }
    raise TokenizerError(
        "this tokenizer.json is not that of a BERT tokenizer",
        expected="BertNormalizer, BertPreTokenizer, WordPiece",
        found=", ".join(str(part) for part in parts.values()),
        where=where,
        fix="load it with fast=True: the Rust tokenizer knows other parts too",
    )


def _vocabulary(model: Mapping[str, Any]) -> dict[str, int]:
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):  # Unigram lists pairs of token and score, in order of id.
        return {str(entry[0]): index for index, entry in enumerate(vocabulary)}
    return dict(sorted(vocabulary.items(), key=lambda item: int(item[1])))


def _text_parts(normalizer: Any, pre_tokenizer: Any) -> tuple[NormalizerOptions | None, bool]:
    """Return what is done before words are cut: None for what BERT does not do."""
    kinds = tuple(part and part.get("type") for part in (normalizer, pre_tokenizer))
    if kinds == ("BertNormalizer", "BertPreTokenizer"):
        return _options(normalizer), True
    if kinds == ("BertNormalizer", "WhitespaceSplit"):
        options = _options(normalizer)
        if options == UNTOUCHED:
            return options, False
    return None, True


UNTOUCHED = NormalizerOptions(
    lowercase=False, strip_accents=None, tokenize_chinese_chars=False, clean_text=False
)
"""No normalisation, as tokenizer.json says it for `do_basic_tokenize=False`."""


def _options(normalizer: Mapping[str, Any]) -> NormalizerOptions:
    return NormalizerOptions(
        lowercase=normalizer.get("lowercase", True),
        strip_accents=normalizer.get("strip_accents"),
        tokenize_chinese_chars=normalizer.get("handle_chinese_chars", True),
        clean_text=normalizer.get("clean_text", True),
    )


def _frame(processor: Any, where: object) -> tuple[str | None, str | None]:
    """Return the special tokens that a post-processor puts around a text."""
    if processor is None:
        return None, None
    if processor.get("type") == "BertProcessing":
        return processor["cls"][0], processor["sep"][0]
    if processor.get("type") == "TemplateProcessing":
        specials = [
            piece["SpecialToken"]["id"] for piece in processor["single"] if "SpecialToken" in piece
        ]
        if len(specials) == 2:
            cls_token, sep_token = specials
            expected = _template(cls_token, sep_token, dict.fromkeys(specials, 0))
            if all(processor[name] == expected[name] for name in ("single", "pair")):
                return cls_token, sep_token
    raise TokenizerError(
        "this tokenizer.json frames texts in another way than BERT",
        expected="[CLS] A [SEP] for a text, [CLS] A [SEP] B [SEP] for a pair",
        found=processor.get("type"),
        where=where,
    )


def _template(cls_token: str, sep_token: str, ids: Mapping[str, int]) -> dict[str, Any]:
    def special(token: str, type_id: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": type_id}}

    def sequence(name: str, type_id: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": type_id}}

    single = [special(cls_token, 0), sequence("A", 0), special(sep_token, 0)]
    frame: Iterable[str] = dict.fromkeys((cls_token, sep_token))
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, sequence("B", 1), special(sep_token, 1)],
        "special_tokens": {
            token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in frame
        },
    }
