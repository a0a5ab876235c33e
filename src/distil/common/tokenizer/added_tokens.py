"""Tokens added to a vocabulary, and how they are found in a text.

The rules are those of the Rust `AddedVocabulary` (Hugging Face tokenizers,
tokenizer/added_vocabulary.rs): where several fit, the leftmost, then the longest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from distil.common.tokenizer.unicode_tables import WHITE_SPACE, character_class, character_set
from distil.errors import TokenizerError, shown

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
_SPACES = re.compile(f"[{character_class(WHITE_SPACE)}]*")
_SPACE = character_set(WHITE_SPACE)
_JOINERS = frozenset("\u200c\u200d")
# Category So, but alphabetic by the property that Rust's `\w` goes by.
_CIRCLED_LETTERS = character_set(
    ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189))
)

# Far more than any tokenizer has.  Every text is searched for all of them, and preparing that
# search takes time: in Rust, it grows with the square of a token's length.
MOST_TOKENS = 20_000
LONGEST_TOKEN = 1_000
MOST_CHARACTERS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class AddedToken:
    """A token that is looked for in the text itself, before it is split into words.

    Attributes:
        content: The text of the token.
        single_word: Matches only where no letter, digit or mark touches it.
        lstrip: Takes the white space on its left with it.
        rstrip: Takes the white space on its right with it.
        normalized: Is looked for in the normalised text, itself normalised; None, as it does in
            Rust, makes this so unless it is special.
        special: Can be left out when decoding (`skip_special_tokens`).
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool | None = None
    special: bool = False

    def __post_init__(self) -> None:
        if self.normalized is None:
            object.__setattr__(self, "normalized", not self.special)

    @classmethod
    def read(cls, value: Any, *, special: bool | None = None) -> AddedToken:
        """Make an added token of what a caller or a file gives.

        Args:
            value: A string, a dictionary as in tokenizer_config.json, or an object with the
                attributes of this class (such as `tokenizers.AddedToken`).
            special: Overrides what `value` says; what becomes special by this is not normalised.

        Raises:
            TokenizerError: `value` is none of these, or its content is empty or cannot be encoded.
        """
        if isinstance(value, str):
            fields: dict[str, Any] = {"content": value}
        elif isinstance(value, Mapping):
            fields = {name: value[name] for name in ("content", *_FLAGS) if name in value}
        else:
            fields = {
                name: getattr(value, name) for name in ("content", *_FLAGS) if hasattr(value, name)
            }
        if special is not None:
            if special and not fields.get("special"):
                fields["normalized"] = False
            fields["special"] = special
        content = fields.get("content")
        if not isinstance(content, str) or not content:
            raise TokenizerError(
                "a token cannot be read", expected="a text that is not empty", found=shown(value)
            )
        check_encodable(content)
        for name in _FLAGS:
            if fields.get(name, False) is None and name != "normalized":
                del fields[name]
            if not isinstance(fields.get(name, False), bool | None):
                raise TokenizerError(
                    "a token cannot be read", expected=f"true or false for {name}",
                    found=shown(fields[name]), where=shown(content),
                )  # fmt: skip
        return cls(**fields)

    def to_dict(self) -> dict[str, str | bool | None]:
        """Return the fields, as JSON files hold them."""
        return asdict(self)


class Match(NamedTuple):
    """A stretch of text; `token` is None between added tokens."""

    start: int
    stop: int
    token: AddedToken | None


class Matcher:
    """Finds added tokens in a text.

    Args:
        tokens: What to look for, and the token that each stands for.
        between_spaces: Whether white space, or nothing, must be on both sides.
    """

    def __init__(self, tokens: Mapping[str, AddedToken], *, between_spaces: bool = False) -> None:
        self._tokens = dict(tokens)
        # An alternation takes the first that fits: longest first makes it the longest.
        pattern = "|".join(map(re.escape, sorted(self._tokens, key=len, reverse=True)))
        if between_spaces:
            space = character_class(WHITE_SPACE)
            pattern = f"(?<![^{space}])(?:{pattern})(?![^{space}])"
        self._pattern = re.compile(pattern) if tokens else None

    def split(self, text: str) -> Iterator[Match]:
        """Cut a text at the added tokens in it, into stretches that are not empty."""
        done = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            start, stop = match.span()
            token = self._tokens[match.group()]
            if token.single_word and (
                (start > 0 and _is_word_character(text[start - 1]))
                or (stop < len(text) and _is_word_character(text[stop]))
            ):
                continue
            if token.lstrip:
                while start > done and text[start - 1] in _SPACE:
                    start -= 1
            if token.rstrip and (spaces := _SPACES.match(text, stop)):
                stop = spaces.end()
            if done < start:
                yield Match(done, start, None)
            yield Match(start, stop, token)
            done = stop
        if done < len(text):
            yield Match(done, len(text), None)


def check_encodable(content: str) -> None:
    """Refuse a token with a lone surrogate: no file, and no text, can hold it."""
    try:
        content.encode()
    except UnicodeEncodeError:
        raise TokenizerError(
            "a token holds a lone surrogate, which is not a character", found=shown(content)
        ) from None


def check_sizes(tokens: Collection[str], name: str) -> None:
    """Refuse more or longer tokens to look for in texts than any tokenizer has.

    Raises:
        TokenizerError: There are too many, or one is too long.
    """
    lengths = list(map(len, tokens))
    for problem, most, found in (
        (f"there are too many {name}", MOST_TOKENS, len(lengths)),
        (f"one of the {name} has too many characters", LONGEST_TOKEN, max(lengths, default=0)),
        (f"the {name} have too many characters in total", MOST_CHARACTERS, sum(lengths)),
    ):
        if found > most:
            raise TokenizerError(problem, expected=f"at most {most}", found=found)


def _is_word_character(character: str) -> bool:
    r"""Return what Rust's regular expression `\w` says of a character."""
    category = unicodedata.category(character)
    return (
        category[0] in "LM"
        or category in ("Nd", "Nl", "Pc")
        or character in _JOINERS
        or character in _CIRCLED_LETTERS
    )
