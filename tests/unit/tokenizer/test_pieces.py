"""Text to pieces: each option against what it must give, in both tokenizers."""
# ruff: noqa: RUF001 - letters that look like others are what is tested

import pytest
import tokenizers

from distil.common.tokenizer import AddedToken
from distil.common.tokenizer.normalizer import Normalizer, NormalizerOptions
from distil.common.tokenizer.wordpiece import WordPiece, split_words
from distil.errors import TokenizerError


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("The quick brown fox jumps!", ["the", "quick", "brown", "fox", "jump", "##s", "!"]),
        ("unaffable", ["un", "##aff", "##able"]),
        ("don't", ["don", "'", "t"]),
        ("CAFÉ cafe\u0301", ["cafe", "cafe"]),
        ("hello中文world", ["hello", "中", "文", "world"]),
        ("a\x00b\u200bc\ufffdd", ["a", "##b", "##c", "##d"]),
        ("a\tb\nc\u00a0d\u3000e", ["a", "b", "c", "d", "e"]),
        ("a\x1cb", ["a", "##b"]),
        ("ΣΑΣ", ["σασ"]),
        ("☃", ["[UNK]"]),
        ("", []),
        (" \n ", []),
        ("x" * 100, ["x"] + ["##x"] * 99),
        ("x" * 101, ["[UNK]"]),
        ("[MASK] [mask]", ["[MASK]", "[", "m", "##a", "##s", "##k", "]"]),
        ("over[MASK]dog", ["over", "[MASK]", "dog"]),
        ("한", ["ᄒ", "##ᅡ", "##ᆫ"]),
    ],
)
def test_pieces_of_texts(tokenizer, text, pieces):
    assert tokenizer.tokenize(text) == pieces


@pytest.mark.parametrize(
    ("options", "text", "pieces"),
    [
        ({"do_lower_case": False}, "Hello", ["Hello"]),
        ({"do_lower_case": False}, "café", ["café"]),
        ({"do_lower_case": False, "strip_accents": True}, "café", ["cafe"]),
        ({"strip_accents": False}, "CAFÉ", ["café"]),
        ({"tokenize_chinese_chars": False}, "中文", ["[UNK]"]),
        ({"do_basic_tokenize": False}, "Hello don't jumps", ["Hello", "[UNK]", "jump", "##s"]),
        ({"split_special_tokens": True}, "[MASK]", ["[", "m", "##a", "##s", "##k", "]"]),
        ({"unk_token": "the"}, "☃", ["the"]),
    ],
)
def test_options(kind, vocab_file, options, text, pieces):
    tokenizer = kind(vocab_file, **options)
    assert tokenizer.tokenize(text) == pieces
    for name, value in options.items():
        assert getattr(tokenizer, name) == value


def test_never_split_keeps_words_that_stand_alone(both, vocab_file):
    python, rust = (type(tokenizer) for tokenizer in both)
    tokenizer = python(vocab_file, never_split=["Hello", "don't", "ОДИН"])
    assert tokenizer.tokenize("Hello hello ОДИН") == ["Hello", "hello", "ОДИН"]
    assert tokenizer.tokenize("Hello, ОДИНs") == ["hello", ",", "один", "##s"]
    # Kept whole, but not in the vocabulary: the id is that of the unknown token.
    assert tokenizer("don't", add_special_tokens=False)["input_ids"] == [tokenizer.unk_token_id]
    with pytest.raises(TokenizerError, match="never_split"):
        rust(vocab_file, never_split=["Hello"])


@pytest.mark.parametrize(
    ("token", "text", "pieces", "offsets"),
    [
        ({"content": "Fox"}, "a FOX", ["a", "fox"], [(0, 1), (2, 5)]),
        (
            {"content": "Fox", "normalized": False},
            "fox Fox",
            ["fox", "Fox"],
            [(0, 3), (4, 7)],
        ),
        (
            {"content": "o", "single_word": True},
            "dog o",
            ["dog", "o"],
            [(0, 3), (4, 5)],
        ),
        ({"content": "<x>", "lstrip": True}, "a  <x>", ["a", "  <x>"], [(0, 1), (1, 6)]),
        ({"content": "<x>", "rstrip": True}, "<x>  a", ["<x>  ", "a"], [(0, 5), (5, 6)]),
        ({"content": "quick brown"}, "quick brown", ["quick brown"], [(0, 11)]),
    ],
)
def test_added_tokens(tokenizer, token, text, pieces, offsets):
    size = len(tokenizer)
    count = tokenizer.add_tokens([AddedToken(**token)])
    # "o" has an id already; it is only found in another way now.
    assert count == len(tokenizer) - size == (token["content"] != "o")
    batch = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    assert batch.tokens() == pieces
    assert batch["offset_mapping"] == offsets
    assert batch.word_ids() == list(range(len(pieces)))


def test_added_tokens_of_the_rust_library_are_taken(tokenizer):
    rust = pytest.importorskip("tokenizers")
    assert tokenizer.add_tokens([rust.AddedToken("<x>", lstrip=True)]) == 1
    assert tokenizer.added_tokens_decoder[len(tokenizer) - 1] == AddedToken(
        content="<x>", lstrip=True
    )


def test_added_tokens_share_no_white_space(tokenizer):
    tokenizer.add_tokens(
        [AddedToken(content="<r>", rstrip=True), AddedToken(content="<l>", lstrip=True)]
    )
    assert tokenizer.tokenize("a <r>  <l>") == ["a", "<r>  ", "<l>"]
    assert tokenizer.tokenize("<l>a  <l>") == ["<l>", "a", "  <l>"]


@pytest.mark.skipif(
    tuple(map(int, tokenizers.__version__.split(".")[:2])) > (0, 22),
    reason="later versions choose by chance",
)
def test_special_tokens_win_over_others_that_look_like_them(both):
    for tokenizer in both:
        tokenizer.add_tokens(["<É>", AddedToken(content="<e>", normalized=True, special=True)])
        expected = [tokenizer.convert_tokens_to_ids("<e>")]
        assert tokenizer("<É>", add_special_tokens=False)["input_ids"] == expected


def test_longest_added_token_wins(tokenizer):
    assert tokenizer.add_tokens(["<a", "<a>", "<a>b"]) == 3
    assert tokenizer.tokenize("<a>b<a><a") == ["<a>b", "<a>", "<a"]


@pytest.mark.parametrize("token", ["", {"content": "\u0301"}, None, 3, {"lstrip": True}])
def test_impossible_added_tokens(tokenizer, token):
    size = len(tokenizer)
    with pytest.raises(TokenizerError):
        tokenizer.add_tokens([token])
    assert len(tokenizer) == size
    assert tokenizer.tokenize("a") == ["a"]
    # Nothing of it is left to be in the way of the next.
    assert tokenizer.add_tokens(["<x>"]) == 1
    assert tokenizer.tokenize("a<x>") == ["a", "<x>"]


def test_offsets_and_words(tokenizer):
    batch = tokenizer("Café, unaffable e\u0301\u0316!", return_offsets_mapping=True)
    assert batch.tokens() == ["[CLS]", "cafe", ",", "un", "##aff", "##able", "e", "!", "[SEP]"]
    assert batch["offset_mapping"] == [
        (0, 0), (0, 4), (4, 5), (6, 8), (8, 11), (11, 15), (16, 17), (19, 20), (0, 0),
    ]  # fmt: skip
    assert batch.word_ids() == [None, 0, 1, 2, 2, 2, 3, 4, None]


def test_words_given_by_the_caller(tokenizer):
    words = ["jumps", "", "don't", "dog"]
    batch = tokenizer(words, is_split_into_words=True, return_offsets_mapping=True)
    assert batch.tokens() == ["[CLS]", "jump", "##s", "don", "'", "t", "dog", "[SEP]"]
    assert batch.word_ids() == [None, 0, 0, 2, 2, 2, 3, None]
    # Offsets count from the beginning of each word.
    assert batch["offset_mapping"] == [
        (0, 0), (0, 4), (4, 5), (0, 3), (3, 4), (4, 5), (0, 3), (0, 0),
    ]  # fmt: skip


def test_origins_survive_reordering():
    normalizer = Normalizer(NormalizerOptions(lowercase=False, strip_accents=True))
    # U+302E (class 224) moves before U+0301 (230), and takes its place, as in Rust.
    assert normalizer.normalize("a\u0301\u302eb") == ("a\u302eb", [0, 1, 3])


def test_split_words_without_punctuation():
    assert list(split_words("a,b c")) == [(0, 1), (1, 2), (2, 3), (4, 5)]
    assert list(split_words("a,b c", punctuation=False)) == [(0, 3), (4, 5)]


def test_word_pieces_remember_no_more_than_they_should(monkeypatch):
    monkeypatch.setattr("distil.common.tokenizer.wordpiece._MEMORY", 2)
    word_piece = WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, "[UNK]")
    for word in ("a", "ab", "abb", "x", "ab"):
        pieces = word_piece.cut(word)
    assert pieces == ((1, 2), ("a", "##b"), (1, 2))
    assert len(word_piece._memory) <= 2
