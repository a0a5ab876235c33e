"""The Python tokenizer and the Rust one say the same of every text, in every way of calling."""
# ruff: noqa: RUF001 - letters that look like others are what is tested

import json
import re
import unicodedata

import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distil.common.tokenizer import AddedToken, DistilBertTokenizer, DistilBertTokenizerFast
from distil.errors import InputError

# What the rules turn on: accents, case, ideographs, Hangul, controls, white space, marks that
# are reordered, specials, punctuation.
TELLING = (
    "aàeéÉİßΣσςẞǅ中文\u2b820\U0002b820\U0002b920ᄒ한각\x00\x07\t\n\r\x0b\x1c\x85\u00a0\u2028\u3000"
    "\u0301\u0316\u0334\u0344\u0345\u0f73\u302e\u1b44\U0001d165\u08d4\ufffd\u200d\u200b\ufeff"
    "\U0001f600\u0130\ufb01\u1e9b\u0323.,!?-'[]#$`~«»、。\u061d\u166d\U00011938"
)
FEW = (
    "unaffable",
    "中",
    "new-token",
    "NEW-TOKEN",
    "Élan elan",
    " ",
    "  ",
    "\n",
    "x" * 101,
    "a",
    "",
    "##s",
)
texts = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=TELLING, max_size=40),
    st.lists(
        st.sampled_from(
            [
                "the",
                "jumps",
                "Hello",
                "CAFÉ",
                "[MASK]",
                "[mask]",
                "[SEP]",
                "unaffable",
                "don't",
                *FEW,
            ]
        ),
        max_size=12,
    ).map("".join),
)
quick = settings(
    deadline=None,
    max_examples=250,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
OPTIONS = [
    {},
    {"do_lower_case": False},
    {"do_lower_case": False, "strip_accents": True},
    {"strip_accents": False},
    {"tokenize_chinese_chars": False},
    {"do_basic_tokenize": False},
    {"split_special_tokens": True},
]


@pytest.fixture(scope="module")
def pairs(vocab_file):
    """Both tokenizers with each set of options, and with added tokens of every kind."""
    made = []
    for options in OPTIONS:
        pair = tuple(
            kind(vocab_file, **options) for kind in (DistilBertTokenizer, DistilBertTokenizerFast)
        )
        for tokenizer in pair:
            tokenizer.add_tokens(
                [
                    "new-token",
                    AddedToken(content="Élan"),
                    AddedToken(content="é", normalized=False),
                    AddedToken(content="中!", single_word=True),
                    AddedToken(content="<l>", lstrip=True, normalized=False),
                    AddedToken(content="<r>", rstrip=True),
                    AddedToken(content="<lr>", lstrip=True, rstrip=True, special=True),
                    AddedToken(content="<l", single_word=True, normalized=False),
                ]
            )
        made.append(pair)
    return made


@pytest.mark.parametrize("case", range(len(OPTIONS)), ids=[str(options) for options in OPTIONS])
def test_same_pieces_of_drawn_texts(pairs, describe, case):
    python, rust = pairs[case]
    added = st.sampled_from(
        ["<l>", "<r>", "<lr>", "<l", "ÉLAN", "中!", "é", " ", "a", "\u3000", "."]
    )

    @quick
    @given(st.one_of(texts, st.lists(st.one_of(added, texts), max_size=8).map("".join)))
    def check(text):
        assert describe(python, text) == describe(rust, text)

    check()


@quick
@given(st.lists(texts, max_size=6), st.lists(texts, max_size=6))
def test_same_pieces_of_words_and_pairs(pairs, describe, words, others):
    python, rust = pairs[0]
    options = {"is_split_into_words": True}
    assert describe(python, words, **options) == describe(rust, words, **options)
    assert describe(python, words, others, **options) == describe(rust, words, others, **options)
    text, other = "".join(words), "".join(others)
    assert describe(python, text, other) == describe(rust, text, other)


@pytest.fixture(scope="module")
def plain_rust(vocab_file, tmp_path_factory):
    """`tokenizers` itself, truncating by its own rules: what both of ours must agree with."""
    folder = tmp_path_factory.mktemp("saved")
    DistilBertTokenizer(vocab_file).save_pretrained(folder)
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


@settings(quick, max_examples=600)
@given(
    first=st.integers(0, 12),
    second=st.one_of(st.none(), st.integers(0, 12)),
    strategy=st.sampled_from(["longest_first", "only_first", "only_second"]),
    max_length=st.integers(0, 16),
    stride=st.integers(0, 5),
    side=st.sampled_from(["left", "right"]),
    special=st.booleans(),
)
def test_truncation_is_that_of_rust(
    pairs, plain_rust, describe, *, first, second, strategy, max_length, stride, side, special
):
    letters = "a b c d e f g h i j k l"
    text = letters[: 2 * first]
    pair = None if second is None else letters[: 2 * second].upper()
    options = {
        "truncation": strategy,
        "max_length": max_length,
        "stride": stride,
        "add_special_tokens": special,
        "return_overflowing_tokens": True,
    }
    results = []
    for tokenizer in pairs[0]:
        tokenizer.truncation_side = side
        try:
            results.append(describe(tokenizer, text, pair, **options))
        except InputError as error:
            results.append(str(error))
        finally:
            tokenizer.truncation_side = "right"
    assert results[0] == results[1]
    if isinstance(results[0], str):
        return  # Rust panics, loops or takes no notice; the errors have tests of their own.
    try:
        plain_rust.enable_truncation(max_length, stride=stride, strategy=strategy, direction=side)
    except ValueError:
        return  # Rust always counts special tokens when it judges a stride, added or not.
    expected = plain_rust.encode(text, pair, add_special_tokens=special)
    rows = [expected, *expected.overflowing]
    _, found = results[0]
    assert [row[:5] for row in found] == [
        (row.ids, row.tokens, row.offsets, row.word_ids, row.sequence_ids) for row in rows
    ]


def test_every_assigned_code_point(real_pair, describe):
    python, rust = real_pair
    characters = (chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    assigned = [f"a{c}b" for c in characters if unicodedata.category(c) != "Cn"]
    assert len(assigned) > 280_000
    differing = []
    for start in range(0, len(assigned), 500):
        chunk = assigned[start : start + 500]
        # Many at once, for speed: the offsets tell which pieces are whose.
        text = " ".join(chunk)
        if describe(python, text) != describe(rust, text):
            differing += [
                hex(ord(word[1]))
                for word in chunk
                if describe(python, word) != describe(rust, word)
            ]
    # The classes of characters are data of ours (unicode_tables); what is left to Python's
    # Unicode version are case mappings, of characters that no vocabulary has.
    assert differing == []


def test_unicode_files(real_pair, data, describe):
    python, rust = real_pair
    strings = json.loads((data / "unicode" / "blns.json").read_text(encoding="utf-8"))
    for path in sorted((data / "unicode").glob("*.txt")):
        lines = path.read_text(encoding="utf-8").splitlines()
        strings += lines[::3]
        # The files write characters as hexadecimal numbers: the characters themselves.
        for line in lines:
            for field in re.split("[;÷×#]", line):
                codes = [int(code, 16) for code in re.findall(r"\b[0-9A-F]{4,6}\b", field)]
                if codes and all(code < 0x110000 and not 0xD800 <= code < 0xE000 for code in codes):
                    strings.append("".join(map(chr, codes)))
    assert len(strings) > 30_000
    alone = strings[::15]
    assert describe(python, alone) == describe(rust, alone)
    together = ["\n".join(strings[start : start + 100]) for start in range(0, len(strings), 100)]
    assert describe(python, together) == describe(rust, together)


def test_declaration_of_human_rights(real_pair, udhr_lines, describe):
    python, rust = real_pair
    assert len(udhr_lines) > 400
    whole = ["\n".join(lines) for lines in udhr_lines[::3]]
    assert describe(python, whole) == describe(rust, whole)
    # Some lines of each language by themselves, others of one than of the next.
    alone = [line for index, lines in enumerate(udhr_lines) for line in lines[index % 16 :: 16]]
    assert describe(python, alone) == describe(rust, alone)
