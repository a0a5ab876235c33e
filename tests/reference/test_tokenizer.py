"""Against transformers 4.57: the same rows for the same calls, and files that go both ways."""

import gzip
import json
import re
import warnings

import numpy
import pytest

from distil import load_tokenizer
from distil.common.tokenizer import DistilBertTokenizer, DistilBertTokenizerFast

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers", minversion="4.57", reason="the reference")

OURS = {"python": DistilBertTokenizer, "rust": DistilBertTokenizerFast}
# transformers 5 has one DistilBERT tokenizer only.
THEIRS = {
    "slow": transformers.DistilBertTokenizer,
    "fast": transformers.DistilBertTokenizerFast,
}
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "quick",
    "brown",
    "fox",
    "jump",
    "##s",
    "over",
    "lazy",
    "dog",
    ".",
    ",",
    "!",
    "?",
    "'",
    "un",
    "##aff",
    "##able",
    "hello",
    "Hello",
    "cafe",
    "café",
    "don",
    "t",
    "it",
    "中",
    "文",
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "##a",
    "##b",
    "##c",
    "1",
    "2",
    "3",
]
TEXTS = [
    "Hello, the quick brown fox jumps over the lazy dog!",
    "unaffable café CAFÉ [MASK] don't",
    "中文 a b c",
    "",
    "1 2 3 ☃ d e f g",
]
PAIRS = ["the lazy dog", "it jumps", "a b c d e f g a b c d e f g", "", "1, 2, 3"]


@pytest.fixture(scope="session")
def vocab_files(tmp_path_factory, request):
    """The small vocabulary, and the real one if there is one."""
    path = tmp_path_factory.mktemp("small") / "vocab.txt"
    path.write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    return {"small": path}


@pytest.fixture(params=OURS)
def ours(request, vocab_files):
    return OURS[request.param](vocab_files["small"])


@pytest.fixture
def their_fast(vocab_files):
    return THEIRS["fast"](vocab_files["small"])


@pytest.fixture
def their_slow(vocab_files):
    return THEIRS["slow"](vocab_files["small"])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"add_special_tokens": False},
        {"padding": True},
        {"padding": "max_length", "max_length": 40},
        {"padding": True, "pad_to_multiple_of": 8},
        {"padding": True, "padding_side": "left"},
        {"truncation": True, "max_length": 8},
        {"truncation": "longest_first", "max_length": 9, "padding": "max_length"},
        {"truncation": "only_first", "max_length": 22},
        {"truncation": True, "max_length": 8, "stride": 1, "return_overflowing_tokens": True},
        {
            "truncation": True,
            "max_length": 9,
            "return_overflowing_tokens": True,
            "padding": True,
            "return_length": True,
        },
        {"return_attention_mask": False},
        {"return_length": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("side", ["right", "left"])
def test_calls(ours, their_fast, options, pairs, side):
    for tokenizer in (ours, their_fast):
        tokenizer.truncation_side = side
    more = {
        "return_token_type_ids": True,
        "return_special_tokens_mask": True,
        "return_offsets_mapping": True,
    }
    arguments = (TEXTS, PAIRS) if pairs else (TEXTS,)
    expected = their_fast(*arguments, **options, **more)
    found = ours(*arguments, **options, **more)
    assert dict(found) == dict(expected)
    for row in range(len(expected["input_ids"])):
        assert found.tokens(row) == expected.tokens(row)
        assert found.word_ids(row) == expected.word_ids(row)
        assert found.sequence_ids(row) == expected.sequence_ids(row)


def test_single_texts(ours, their_fast, their_slow):
    for text, pair in zip(TEXTS, [*PAIRS[:3], None, "a"], strict=True):
        # An empty second text is none to transformers' fast tokenizer.
        assert (
            dict(ours(text, pair)) == dict(their_fast(text, pair)) == dict(their_slow(text, pair))
        )
        assert ours.encode(text, pair) == their_fast.encode(text, pair)
        assert ours.tokenize(text) == their_fast.tokenize(text) == their_slow.tokenize(text)
    overflow = {"truncation": True, "max_length": 5, "return_overflowing_tokens": True}
    assert dict(ours(TEXTS[0], **overflow)) == dict(their_fast(TEXTS[0], **overflow))


def test_the_slow_tokenizer_agrees_but_on_pairs_truncated_longest_first(ours, their_slow):
    for options in (
        {"padding": True},
        {"truncation": True, "max_length": 6},
        {"truncation": "only_first", "max_length": 6},
    ):
        expected = their_slow(TEXTS, return_token_type_ids=True, **options)
        assert dict(ours(TEXTS, return_token_type_ids=True, **options)) == dict(expected)
    assert dict(ours(TEXTS, PAIRS)) == dict(their_slow(TEXTS, PAIRS))
    only_second = {"truncation": "only_second", "max_length": 12}
    assert dict(ours("the", PAIRS[2], **only_second)) == dict(
        their_slow("the", PAIRS[2], **only_second)
    )


def test_look_ups(ours, their_fast):
    found, expected = (tokenizer(TEXTS, PAIRS) for tokenizer in (ours, their_fast))
    for row in range(len(TEXTS)):
        length = len(expected["input_ids"][row])
        for token in range(length):
            assert found.token_to_chars(row, token) == expected.token_to_chars(row, token)
            assert found.token_to_word(row, token) == expected.token_to_word(row, token)
            assert found.token_to_sequence(row, token) == expected.token_to_sequence(row, token)
        for sequence in (0, 1):
            for index in range(25):
                for name in ("char_to_token", "char_to_word", "word_to_tokens"):
                    assert getattr(found, name)(row, index, sequence_index=sequence) == getattr(
                        expected, name
                    )(row, index, sequence_index=sequence), (name, row, index, sequence)


def test_words(ours, their_fast):
    words = [re.findall(r"\S+", text) or ["the"] for text in TEXTS]
    options = {"is_split_into_words": True, "return_offsets_mapping": True, "padding": True}
    for arguments in ((words,), (words, words[::-1])):
        found, expected = (tokenizer(*arguments, **options) for tokenizer in (ours, their_fast))
        assert dict(found) == dict(expected)
        for row in range(len(words)):
            assert found.word_ids(row) == expected.word_ids(row)
    assert dict(ours(words[0], is_split_into_words=True)) == dict(
        their_fast(words[0], is_split_into_words=True)
    )


@pytest.mark.parametrize("kind", ["np", pytest.param("pt", marks=pytest.mark.pt)])
def test_tensors(ours, their_fast, kind):
    found, expected = (
        tokenizer(TEXTS, PAIRS, padding=True, return_tensors=kind, return_offsets_mapping=True)
        for tokenizer in (ours, their_fast)
    )
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert found[name].tolist() == value.tolist()


def test_decoding(ours, their_fast, their_slow):
    for row in ours(TEXTS, PAIRS)["input_ids"]:
        for skip in (False, True):
            expected = their_fast.decode(row, skip_special_tokens=skip)
            assert ours.decode(row, skip_special_tokens=skip) == expected
            assert their_slow.decode(row, skip_special_tokens=skip) == expected
    rows = ours(TEXTS)["input_ids"]
    assert ours.batch_decode(rows) == their_fast.batch_decode(rows)
    assert ours.decode(rows[0], clean_up_tokenization_spaces=False) == their_slow.decode(
        rows[0], clean_up_tokenization_spaces=False
    )


def test_padding_afterwards(ours, their_fast):
    for options in ({}, {"padding": "max_length", "max_length": 30}, {"pad_to_multiple_of": 8}):
        rows = [dict(ours(text, return_token_type_ids=True)) for text in TEXTS]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = their_fast.pad([dict(row) for row in rows], **options)
        assert dict(ours.pad(rows, **options)) == dict(expected)


def test_special_tokens(ours, their_fast):
    for name in ("cls", "sep", "pad", "unk", "mask"):
        for attribute in (f"{name}_token", f"{name}_token_id"):
            assert getattr(ours, attribute) == getattr(their_fast, attribute)
    for name in ("all_special_tokens", "all_special_ids", "vocab_size", "special_tokens_map"):
        assert getattr(ours, name) == getattr(their_fast, name), name
    assert ours.get_vocab() == their_fast.get_vocab()
    assert ours.model_max_length == their_fast.model_max_length
    for pair in (None, [8, 9]):
        for name in (
            "build_inputs_with_special_tokens",
            "create_token_type_ids_from_sequences",
        ):
            assert getattr(ours, name)([7], pair) == getattr(their_fast, name)([7], pair)


CHANGES = [
    {},
    {"do_lower_case": False},
    {"do_lower_case": False, "strip_accents": True, "model_max_length": 100},
    {"tokenize_chinese_chars": False, "padding_side": "left"},
    {"mask_token": "<mask>", "additional_special_tokens": ["<y>"]},
]
SAMPLE = [*TEXTS, "a <x> b<y> <mask>c <X>", "Café <x>"]


@pytest.mark.parametrize("options", CHANGES, ids=str)
@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("their_kind", THEIRS)
def test_transformers_loads_what_we_save(vocab_files, tmp_path, *, options, kind, their_kind):
    tokenizer = OURS[kind](vocab_files["small"], **options)
    tokenizer.add_tokens(["<x>", "hello world"])
    tokenizer.save_pretrained(tmp_path)
    theirs = THEIRS[their_kind].from_pretrained(tmp_path)
    assert theirs(SAMPLE)["input_ids"] == tokenizer(SAMPLE)["input_ids"]
    assert len(theirs) == len(tokenizer)
    assert theirs.model_max_length == tokenizer.model_max_length
    assert theirs.padding_side == tokenizer.padding_side
    assert theirs.get_added_vocab() == tokenizer.get_added_vocab()
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path, use_fast=their_kind == "fast")
    assert auto(SAMPLE)["input_ids"] == tokenizer(SAMPLE)["input_ids"]


@pytest.mark.parametrize("options", CHANGES, ids=str)
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("their_kind", THEIRS)
@pytest.mark.parametrize("legacy", [None, False])
def test_we_load_what_transformers_saves(
    vocab_files, tmp_path, *, options, fast, their_kind, legacy
):
    theirs = THEIRS[their_kind](vocab_files["small"], **options)
    theirs.add_tokens(["<x>", "hello world"])
    theirs.save_pretrained(tmp_path, **({} if their_kind == "slow" else {"legacy_format": legacy}))
    tokenizer = load_tokenizer(tmp_path, fast=fast)
    assert tokenizer(SAMPLE)["input_ids"] == theirs(SAMPLE)["input_ids"]
    assert len(tokenizer) == len(theirs)
    assert tokenizer.model_max_length == theirs.model_max_length
    assert tokenizer.padding_side == theirs.padding_side
    assert tokenizer.get_added_vocab() == theirs.get_added_vocab()


def test_real_texts(shared, tmp_path):
    """Sentences, questions with contexts, and strings made to break things."""
    data = shared / "data"
    ours = [kind(data / "vocab/distilbert-base-uncased/vocab.txt") for kind in OURS.values()]
    theirs = THEIRS["fast"](data / "vocab/distilbert-base-uncased/vocab.txt")
    sentences = (data / "sst2/dev.tsv").read_text(encoding="utf-8").splitlines()[1:400]
    strings = json.loads((data / "unicode/blns.json").read_text(encoding="utf-8"))
    with gzip.open(data / "udhr/udhr.jsonl.gz", "rt", encoding="utf-8") as file:
        strings += [line for text in map(json.loads, file) for line in text["lines"][:3]]
    options = {"padding": True, "return_tensors": "np", "return_offsets_mapping": True}
    expected = theirs(sentences + strings, **options)
    for tokenizer in ours:
        found = tokenizer(sentences + strings, **options)
        for name, value in expected.items():
            numpy.testing.assert_array_equal(found[name], value)

    articles = json.loads((data / "squad/dev-v1.1.json").read_text(encoding="utf-8"))["data"]
    asked = [
        (question["question"], paragraph["context"])
        for article in articles[:3]
        for paragraph in article["paragraphs"][:8]
        for question in paragraph["qas"]
    ]
    questions, contexts = map(list, zip(*asked, strict=True))
    options = {
        "truncation": "only_second",
        "max_length": 128,
        "stride": 32,
        "return_overflowing_tokens": True,
        "return_offsets_mapping": True,
        "padding": "max_length",
    }
    expected = theirs(questions, contexts, **options)
    for tokenizer in ours:
        assert dict(tokenizer(questions, contexts, **options)) == dict(expected)


@pytest.fixture(params=["slow-python", "fast-rust"])
def same_kind(request, vocab_files):
    """Their tokenizer of a kind, and ours."""
    their_kind, kind = request.param.split("-")
    return (
        THEIRS[their_kind](vocab_files["small"], model_max_length=512),
        OURS[kind](vocab_files["small"], model_max_length=512),
    )


def test_names(same_kind):
    theirs, ours = same_kind
    for name in (
        "SPECIAL_TOKENS_ATTRIBUTES", "max_len_sentences_pair", "max_len_single_sentence",
        "model_input_names", "name_or_path", "padding_side", "truncation_side",
        "vocab_files_names", "bos_token", "bos_token_id", "eos_token", "eos_token_id",
    ):  # fmt: skip
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("padding_side", "truncation_side", "model_input_names", "vocab_files_names"):
        assert getattr(type(ours), name) == getattr(type(theirs), name), name
    if hasattr(theirs, "ids_to_tokens"):
        assert ours.ids_to_tokens == dict(theirs.ids_to_tokens)
    assert ours._convert_id_to_token(7) == theirs._convert_id_to_token(7)


def test_tokens_that_bert_has_no_use_for(same_kind, tmp_path):
    theirs, ours = same_kind
    given = {"eos_token": "<e>", "bos_token": "[CLS]", "additional_special_tokens": ["<y>"]}
    assert theirs.add_special_tokens(dict(given)) == ours.add_special_tokens(dict(given)) == 2
    for name in (
        "all_special_tokens", "all_special_ids", "special_tokens_map", "bos_token_id",
        "eos_token_id",
    ):  # fmt: skip
        assert getattr(ours, name) == getattr(theirs, name), name
    assert list(map(str, theirs.all_special_tokens_extended)) == [
        token.content for token in ours.all_special_tokens_extended
    ]
    # Files go both ways.
    ours.save_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    for loaded in (
        type(theirs).from_pretrained(tmp_path / "ours"),
        type(ours).from_pretrained(tmp_path / "theirs"),
    ):
        assert loaded.special_tokens_map == theirs.special_tokens_map
        assert loaded("a <e> <y>")["input_ids"] == theirs("a <e> <y>")["input_ids"]


def test_arguments_by_position(same_kind):
    theirs, ours = same_kind
    ids = [7, 8, 9]
    for call in (
        lambda t: dict(t("a b c", None, None, None, False, "max_length", True, 6)),
        lambda t: t.encode("a b c", "a", False, "max_length", True, 6, 0, "left"),
        lambda t: dict(t.encode_plus("a b c", None, True, "max_length", True, 8, 0, False, 8)),
        lambda t: dict(t.batch_encode_plus(["a b", "a"], False, True)),
        lambda t: dict(t.prepare_for_model(ids, None, True, "max_length", True, 4)),
        lambda t: dict(t.pad({"input_ids": ids}, "max_length", 6, None, "left")),
    ):
        assert call(ours) == call(theirs)


def test_targets_and_split_special_tokens(same_kind):
    theirs, ours = same_kind
    assert dict(ours(TEXTS, text_target=PAIRS)) == dict(theirs(TEXTS, text_target=PAIRS))
    assert dict(ours(text_target="a")) == dict(theirs(text_target="a"))
    for tokenizer in same_kind:
        tokenizer.add_special_tokens({"additional_special_tokens": ["<y>"]})
    # Their slow tokenizer never splits those that it was made with.
    for split in (True, False) if theirs.is_fast else (False,):
        expected = theirs("a [MASK] <y>", split_special_tokens=split)
        assert dict(ours("a [MASK] <y>", split_special_tokens=split)) == dict(expected)
        assert dict(ours("a [MASK] <y>")) == dict(
            theirs("a [MASK] <y>", split_special_tokens=False)
        )


def test_learning_a_vocabulary(vocab_files):
    theirs = THEIRS["fast"](vocab_files["small"], model_max_length=99)
    ours = OURS["rust"](vocab_files["small"], model_max_length=99)
    # Of pairs of pieces that are equally frequent, Rust joins one by chance: here no order matters.
    texts = [["ab cd", "ef ab <new>"], ["gh <s> ab"]] * 5
    for options in (
        {},
        {"new_special_tokens": ["<new>"], "special_tokens_map": {"[CLS]": "<s>"}},
    ):
        expected, found = (
            tokenizer.train_new_from_iterator(texts, 1000, show_progress=False, **options)
            for tokenizer in (theirs, ours)
        )
        assert sorted(found.get_vocab()) == sorted(expected.get_vocab())
        assert {"ab", "cd", "ef", "gh"} <= found.get_vocab().keys()
        assert found.all_special_ids == expected.all_special_ids
        assert found.special_tokens_map == expected.special_tokens_map
        assert found.model_max_length == expected.model_max_length
        for text in ("ab cd", "ab <new>", "ef gh zz [SEP]"):
            assert found(text).tokens() == expected(text).tokens()


@pytest.mark.pt
def test_collators_take_our_tokenizers(ours):
    rows = [ours(text) for text in TEXTS[:3]]
    labelled = [{**row, "labels": row["input_ids"]} for row in rows]
    for collator, given in (
        (transformers.DataCollatorWithPadding(ours), rows),
        (transformers.DataCollatorForLanguageModeling(ours), rows),
        (transformers.DataCollatorForTokenClassification(ours), labelled),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = collator(given)
        assert batch["input_ids"].shape == (3, max(len(row["input_ids"]) for row in rows))
