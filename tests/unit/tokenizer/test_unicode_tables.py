"""The character classes are those of the installed Rust tokenizer: measured again here."""

import sys
import unicodedata

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from distil.common.tokenizer import unicode_tables as tables
from distil.common.tokenizer.added_tokens import _is_word_character
from distil.common.tokenizer.normalizer import Normalizer, NormalizerOptions
from distil.common.tokenizer.unicode_tables import character_set

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def rust(**options):
    steps = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False}
    return normalizers.BertNormalizer(**{**steps, "lowercase": False, **options}).normalize_str


def each(normalize, end):
    """Apply a function of texts to every character, many at a time."""
    results = []
    for start in range(0, len(CHARACTERS), 4096):
        chunk = CHARACTERS[start : start + 4096]
        parts = normalize("".join(f"{character}{end}" for character in chunk)).split(end)
        # The one character that is `end` itself makes one part more; split it by hand.
        if len(parts) != len(chunk) + 1:
            parts = [normalize(character) for character in chunk] + [""]
        results += parts[:-1]
    return dict(zip(CHARACTERS, results, strict=True))


def test_controls_and_white_space_are_what_clean_text_says():
    cleaned = each(rust(clean_text=True), "b")
    assert {character for character in CHARACTERS if cleaned[character] == ""} == character_set(
        tables.CONTROLS
    )
    spaces = {character for character in CHARACTERS if cleaned[character] == " "}
    # Some white space is a control character as well, and goes first.
    assert spaces == character_set(tables.WHITE_SPACE) - character_set(tables.CONTROLS)


def test_ideographs_are_what_handle_chinese_chars_says():
    spaced = each(rust(handle_chinese_chars=True), "b")
    found = {character for character in CHARACTERS if spaced[character] == f" {character} "}
    assert found == character_set(tables.IDEOGRAPHS)


def test_marks_are_what_strip_accents_says():
    stripped = each(rust(strip_accents=True), "b")
    removed = {
        character
        for character in CHARACTERS
        if stripped[character] == "" and unicodedata.normalize("NFD", character) == character
    }
    assert removed == character_set(tables.NONSPACING_MARKS)


def test_words_are_what_the_pre_tokenizer_says():
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    white, punctuation = set(), set()
    for start in range(0, len(CHARACTERS), 4096):
        chunk = CHARACTERS[start : start + 4096]
        words = iter(split("".join(f" a{character}b" for character in chunk)))
        for character in chunk:
            word = next(words)[0]
            if word != f"a{character}b":
                second = next(words)[0]
                (white if second == "b" and character != "b" else punctuation).add(character)
                if second == character:
                    next(words)
    assert white == character_set(tables.WHITE_SPACE)
    assert punctuation == character_set(tables.PUNCTUATION)


def test_word_characters_are_what_the_regular_expressions_of_rust_say():
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "Q": 1}, unk_token="[UNK]"))
    tokenizer.add_tokens([AddedToken("Q", single_word=True, normalized=False)])
    assigned = [character for character in CHARACTERS if unicodedata.category(character) != "Cn"]
    encodings = tokenizer.encode_batch_fast([f"Q{character}" for character in assigned])
    for character, encoding in zip(assigned, encodings, strict=True):
        assert _is_word_character(character) == (encoding.ids[0] == 0), hex(ord(character))


def test_combining_marks_are_ordered_as_in_rust():
    nfd = rust(strip_accents=True)
    ours = Normalizer(NormalizerOptions(lowercase=False, clean_text=False))
    ours_stripping = Normalizer(
        NormalizerOptions(
            lowercase=False, strip_accents=True, clean_text=False, tokenize_chinese_chars=False
        )
    )
    assert ours.options.strips_accents is False
    marks = [character for character in CHARACTERS if unicodedata.combining(character)]
    assert len(marks) > 800
    for mark in marks:
        # Around it: marks of the classes 9, 224 and 226 that strip_accents keeps.
        for text in (f"a\u302e{mark}\u1b44b", f"a{mark}\U0001d16d\u302eb", f"\u302e{mark}"):
            assert ours_stripping.normalize(text).text == nfd(text), hex(ord(mark))


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"lowercase": True}, "case mappings younger than Python's or Rust's Unicode"),
        ({"strip_accents": True}, "decompositions younger than the table NEW_DECOMPOSITIONS"),
    ],
)
def test_few_characters_differ_because_unicode_grew(options, cause):
    expected = each(rust(**options), " ")
    ours = Normalizer(
        NormalizerOptions(
            **{"lowercase": False, "strip_accents": False, **options},
            clean_text=False,
            tokenize_chinese_chars=False,
        )
    )
    found = each(lambda text: ours.normalize(text).text, " ")
    differing = [hex(ord(c)) for c in CHARACTERS if c != " " and found[c] != expected[c]]
    assert len(differing) < 150, f"{cause}: {differing}"


def test_new_decompositions_are_all_that_the_crate_leaves_whole():
    expected = each(rust(strip_accents=True), " ")
    young = character_set(tables.NEW_DECOMPOSITIONS)
    for character in CHARACTERS:
        if unicodedata.normalize("NFD", character) != character and character != " ":
            assert (expected[character] == character) == (character in young), hex(ord(character))
