"""The page's tokenizer against the library's, in Node.js: the same for every character."""

import json
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import distil
from distil.common.tokenizer import AddedToken, DistilBertTokenizer
from distil.common.tokenizer.normalizer import Normalizer, NormalizerOptions, _combining_class
from distil.common.tokenizer.wordpiece import split_words

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
UNICODE = "14.0.0"

needs_node = pytest.mark.skipif(not shutil.which("node"), reason="there is no Node.js here")
# What has no such data writes the tables from other characters; Python 3.11 has.
needs_unicode = pytest.mark.skipif(
    unicodedata.unidata_version != UNICODE, reason=f"the tables are those of Unicode {UNICODE}"
)

OPTIONS = [
    NormalizerOptions(),
    NormalizerOptions(lowercase=False),
    NormalizerOptions(lowercase=False, strip_accents=True, clean_text=False),
    NormalizerOptions(strip_accents=False, tokenize_chinese_chars=False),
]
TELLING = [
    "A joy from start to end.",
    "Crème brûlée — naïve façade! 東京 … 😀 don't",
    "unaffable " + "x" * 101 + " " + "é" * 100,
    "a\u0301\u0316\u0334b \u0344\u0345 \u0f73 e\u302e\u0301\u1b44 \U0001d165\u0301",
    "\x00\x07\t\n\r\x0b\x1c\x85\u00a0\u2028\u3000\u200d\u200b\ufeff",
    "ΑΣ Σας İstanbul ẞtraße ǅ \ufb01 \u1e9b\u0323 한각\u1112\u1161\u11ab",
    "\U0002a6d6\U0002b820\U0002b920x\U00011938 \ufffd",
    "[MASK] [mask] x[SEP]y [UNK]  [CLS]",
    "",
    "   ",
]


@pytest.fixture
def node():
    """The tokenizer in Node.js: a task in, its answer out."""
    process = subprocess.Popen(
        ["node", str(WEB / "test" / "tokenizer.mjs")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip

    def ask(name, given):
        process.stdin.write(json.dumps({name: given}) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    with process:
        yield ask
        process.stdin.close()


@pytest.fixture
def used(node, tmp_path):
    """Has both use a tokenizer, by the files that it is saved in; gives the library's."""

    def use(tokenizer):
        tokenizer.save_pretrained(tmp_path)
        names = ("tokenizer.json", "tokenizer_config.json")
        node("tokenizer", [json.loads((tmp_path / name).read_text("utf-8")) for name in names])
        return tokenizer

    return use


def bundled(**options):
    folder = Path(distil.__file__).parent / "bundled" / "sst2-small"
    return DistilBertTokenizer.from_pretrained(folder, **options)


def pieces(tokenizer, text):
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    starts, ends = zip(*found["offset_mapping"], strict=True) if found["input_ids"] else ((), ())
    return [found["input_ids"], list(starts), list(ends), found.word_ids()]


def of_rust(options):
    return {
        "clean_text": options.clean_text, "strip_accents": options.strip_accents,
        "handle_chinese_chars": options.tokenize_chinese_chars, "lowercase": options.lowercase,
    }  # fmt: skip


@needs_unicode
def test_tables_are_those_of_the_library():
    script = {"__name__": "script", "__file__": str(WEB / "unicode.py")}
    exec((WEB / "unicode.py").read_text("utf-8"), script)
    assert script["MADE"].read_text("utf-8") == script["module"](), "run python web/unicode.py"


@needs_node
@needs_unicode
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_character_is_normalised_alike(node, options):
    normalizer = Normalizer(options)
    marks = [one for one in CHARACTERS if _combining_class(one)]
    assert len(marks) > 500
    texts = [*CHARACTERS, *(f"a\u302e{mark}\u1b44b\u00e9" for mark in marks)]
    expected = {}
    for text in texts:
        found = normalizer.normalize(text)
        if found.text != text:
            expected[text] = [found.text, list(found.origins)]
    assert node("normalize", of_rust(options)) == expected


@needs_node
@pytest.mark.parametrize("punctuation", [True, False])
def test_every_character_separates_words_alike(node, punctuation):
    expected = {}
    for character in CHARACTERS:
        words = list(split_words(f"a{character}b", punctuation=punctuation))
        if len(words) > 1:
            expected[character] = [list(word) for word in words]
    assert node("words", punctuation) == expected


@needs_node
@needs_unicode
@pytest.mark.parametrize("form", ["{}", "a{}b"], ids=["alone", "within a word"])
def test_every_character_makes_the_same_pieces(node, used, form):
    tokenizer = used(bundled())
    for start in range(0, len(CHARACTERS), 1 << 16):
        some = CHARACTERS[start : start + (1 << 16)]
        texts = [
            " ".join(map(form.format, some[first : first + 512]))
            for first in range(0, len(some), 512)
        ]
        for text, found in zip(texts, node("encode", texts), strict=True):
            assert found == pieces(tokenizer, text), f"one of U+{ord(text[0]):04X} and those after"


VOCABULARIES = {
    "uncased": {},
    "cased": {"do_lower_case": False},
    "accents kept": {"strip_accents": False},
    "ideographs in words": {"tokenize_chinese_chars": False},
    "spaces only": {"do_basic_tokenize": False},
    "never split": {"never_split": ["don't", "joy", "start to"]},
    "special tokens are text": {"split_special_tokens": True},
    "added": {
        "additional_special_tokens": [
            AddedToken(content="naïve", special=True, normalized=True),
            AddedToken(content="to", single_word=True, lstrip=True),
            AddedToken(content="start t", normalized=True),
            AddedToken(content="京", rstrip=True),
            AddedToken(content="[mask]", normalized=False),
        ]
    },
}


@needs_node
@pytest.mark.parametrize("options", VOCABULARIES.values(), ids=VOCABULARIES)
def test_settings_have_the_same_effect(node, used, options):
    tokenizer = used(bundled(**options))
    assert node("encode", TELLING) == [pieces(tokenizer, text) for text in TELLING]


@needs_node
def test_a_lone_surrogate_is_a_replacement_character(node, used):
    used(bundled())
    assert node("encode", ["a\ud800b", "a\ufffdb"])[0] == node("encode", ["a\ufffdb"])[0]


@needs_node
@pytest.mark.parametrize("side", ["right", "left"])
def test_sequences_are_cut_alike(node, used, side):
    tokenizer = used(bundled(truncation_side=side))
    long, short = TELLING[1] * 3, TELLING[0]
    for limit in (12, 13, 20, 500):
        expected = tokenizer(long, truncation=True, max_length=limit)["input_ids"]
        assert node("sequences", ["single", long, None, limit]) == [expected]
        for first, second in ((long, short), (short, long), (long, long), (short, short)):
            expected = tokenizer(first, second, truncation=True, max_length=limit)["input_ids"]
            assert node("sequences", ["pair", first, second, limit]) == [expected]
    for limit, shared in ((40, 5), (20, 0), (200, 50)):
        expected = tokenizer(
            short, long, truncation="only_second", max_length=limit, stride=shared,
            return_overflowing_tokens=True,
        )["input_ids"]  # fmt: skip
        options = {"limit": limit, "shared": shared}
        assert node("sequences", ["windows", short, long, options]) == expected


@needs_node
@needs_unicode
def test_real_texts_make_the_same_pieces(node, used):
    tokenizer = used(bundled())
    sample = Path(distil.__file__).parent / "common" / "inference" / "calibration_sample.txt"
    texts = [*re.split(r"\n+", sample.read_text("utf-8")), sample.read_text("utf-8")]
    assert node("encode", texts) == [pieces(tokenizer, text) for text in texts]
