"""What a BERT tokenizer is made of, and how tokenizer.json says it.

tokenizer.json is the format of Hugging Face tokenizers.  Of all that it can hold, BERT uses one
part of each kind, BertNormalizer, BertPreTokenizer, WordPiece, TemplateProcessing; no other is
accepted: some of them take forever, or stop the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from distil.common.tokenizer.added_tokens import AddedToken
from distil.common.tokenizer.normalizer import NormalizerOptions
from distil.errors import TokenizerError, shown

T = TypeVar("T")

# Far more than any tokenizer has: the time to cut a word grows at least with the square of its
# length.
MOST_TOKENS = 1_000_000
LONGEST_WORD = 1_000
LONGEST_PREFIX = 16

UNTOUCHED = NormalizerOptions(
    lowercase=False, strip_accents=None, tokenize_chinese_chars=False, clean_text=False
)
"""No normalisation, as tokenizer.json says it for `do_basic_tokenize=False`."""

# BertNormalizer's flags in tokenizer.json, by ours.
_FLAGS = {
    "clean_text": "clean_text",
    "tokenize_chinese_chars": "handle_chinese_chars",
    "strip_accents": "strip_accents",
    "lowercase": "lowercase",
}


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

    def __post_init__(self) -> None:
        limits = (
            ("tokens", len(self.vocabulary), MOST_TOKENS),
            ("characters in a word", self.longest_word, LONGEST_WORD),
            ("characters before a piece", len(self.prefix), LONGEST_PREFIX),
        )
        for name, found, most in limits:
            if not 1 <= found <= most:
                raise TokenizerError(
                    f"a tokenizer cannot have so many {name}",
                    expected=f"1 to {most}",
                    found=found,
                )
        ids = sorted(self.vocabulary.values())
        if ids != list(range(len(ids))):
            raise TokenizerError(
                "the ids of a vocabulary are not consecutive",
                expected=f"0 to {len(ids) - 1}, each once", found=f"{ids[0]} to {ids[-1]}",
            )  # fmt: skip
        if self.unknown_token not in self.vocabulary:
            raise TokenizerError(
                "the unknown token is not in the vocabulary", found=shown(self.unknown_token),
                where=f"a vocabulary of {len(ids)} tokens",
                fix="pass the unk_token that the vocabulary has",
            )  # fmt: skip

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
    """Read the content of a tokenizer.json; `where` names it in errors.

    Raises:
        TokenizerError: It is not a tokenizer.json, holds parts that are not BERT's, or puts
            other special tokens around a text than `[CLS] A [SEP] B [SEP]`.
    """
    try:
        model = data["model"]
        normalizer, basic = _text_parts(data, where)
        cls_token, sep_token = _frame(data.get("post_processor"), where)
        return Definition(
            vocabulary=dict(sorted(model["vocab"].items(), key=lambda item: int(item[1]))),
            unknown_token=model.get("unk_token") or "[UNK]",
            normalizer=normalizer,
            basic=basic,
            prefix=_checked(model.get("continuing_subword_prefix") or "##", str),
            longest_word=_checked(model.get("max_input_chars_per_word") or 100, int),
            cls_token=cls_token,
            sep_token=sep_token,
            added_tokens=_added_tokens(data.get("added_tokens") or ()),
        )
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        if isinstance(error, TokenizerError):
            raise
        raise TokenizerError(
            "not a tokenizer.json", found=f"{type(error).__name__}: {error}", where=where,
        ) from error  # fmt: skip


def write_definition(
    definition: Definition,
    added_tokens: Mapping[AddedToken, int],
    *,
    cls: tuple[str, int],
    sep: tuple[str, int],
) -> dict[str, Any]:
    """Return the content of a tokenizer.json; `cls` and `sep` are tokens with their ids."""
    return {
        "version": "1.0",
        "normalizer": {
            "type": "BertNormalizer",
            **{theirs: getattr(definition.normalizer, ours) for ours, theirs in _FLAGS.items()},
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
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": token_id, **token.to_dict()} for token, token_id in added_tokens.items()
        ],
        "post_processor": {
            "type": "TemplateProcessing",
            **_template(cls[0], sep[0]),
            "special_tokens": {
                token: {"id": token, "ids": [token_id], "tokens": [token]}
                for token, token_id in dict((cls, sep)).items()
            },
        },
    }


def _text_parts(data: Mapping[str, Any], where: object) -> tuple[NormalizerOptions, bool]:
    """Return what is done before words are cut, and whether that includes splitting them."""
    parts = [data.get(name) or {} for name in ("normalizer", "pre_tokenizer", "model")]
    normalizer, splitter, model = (part.get("type") for part in parts)
    if normalizer == "BertNormalizer" and model in (None, "WordPiece"):
        given = {ours: parts[0][theirs] for ours, theirs in _FLAGS.items() if theirs in parts[0]}
        for name, value in given.items():
            if value is not None or name != "strip_accents":
                _checked(value, bool)
        options = NormalizerOptions(**given)
        basic = splitter == "BertPreTokenizer"
        if basic or (splitter == "WhitespaceSplit" and options == UNTOUCHED):
            return options, basic
    raise TokenizerError(
        "this tokenizer.json is not that of a BERT tokenizer",
        expected="BertNormalizer, BertPreTokenizer, WordPiece", where=where,
        found=", ".join(map(shown, (normalizer, splitter, model))),
        fix="make the tokenizer from a vocab.txt",
    )  # fmt: skip


def _added_tokens(entries: Iterable[Any]) -> dict[int, AddedToken]:
    tokens: dict[int, AddedToken] = {}
    for entry in entries:
        if tokens.setdefault(int(entry["id"]), token := AddedToken.read(entry)) != token:
            raise ValueError(f"two added tokens with the id {entry['id']}")
    return tokens


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
        # The same two tokens in another order, or around something else, are another frame.
        if len(specials) == 2 and _template(*specials).items() <= processor.items():
            return specials[0], specials[1]
    raise TokenizerError(
        "this tokenizer.json adds special tokens in another way than BERT",
        expected="[CLS] A [SEP] for a text, [CLS] A [SEP] B [SEP] for a pair",
        found=shown(processor.get("type")), where=where,
    )  # fmt: skip


def _template(cls_token: str, sep_token: str) -> dict[str, Any]:
    def special(token: str, type_id: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": type_id}}

    def sequence(name: str, type_id: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": type_id}}

    single = [special(cls_token, 0), sequence("A", 0), special(sep_token, 0)]
    return {"single": single, "pair": [*single, sequence("B", 1), special(sep_token, 1)]}


def _checked(value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError(f"{shown(value)} in place of {kind.__name__}")
    return value
