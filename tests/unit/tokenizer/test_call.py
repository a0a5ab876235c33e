"""Calling a tokenizer: rows, special tokens, truncation, padding, columns."""

import warnings

import pytest

from distil.errors import InputError

TEXT = "the quick brown fox"
PAIR = "lazy dog jumps over it"


def rows(tokenizer, batch):
    return [" ".join(tokenizer.convert_ids_to_tokens(row)) for row in batch["input_ids"]]


def test_a_text_a_pair_and_batches(tokenizer):
    single = tokenizer(TEXT)
    assert list(single) == ["input_ids", "attention_mask"]
    assert single.tokens() == ["[CLS]", "the", "quick", "brown", "fox", "[SEP]"]
    pair = tokenizer("the", "dog it", return_token_type_ids=True)
    assert pair.tokens() == ["[CLS]", "the", "[SEP]", "dog", "it", "[SEP]"]
    assert pair["token_type_ids"] == [0, 0, 0, 1, 1, 1]
    batch = tokenizer([TEXT, "a"], [PAIR, "b"])
    assert rows(tokenizer, batch)[1] == "[CLS] a [SEP] b [SEP]"
    assert tokenizer([(TEXT, PAIR), ("a", "b")]) == batch
    assert tokenizer([]) == {"input_ids": [], "attention_mask": []}


def test_an_empty_second_text_is_a_text(tokenizer):
    assert tokenizer("a", "").tokens() == ["[CLS]", "a", "[SEP]", "[SEP]"]
    assert tokenizer("a", None).tokens() == ["[CLS]", "a", "[SEP]"]


def test_columns(tokenizer):
    batch = tokenizer(
        ["a", "a b c"],
        padding=True,
        return_token_type_ids=True,
        return_special_tokens_mask=True,
        return_offsets_mapping=True,
        return_length=True,
    )
    a, b, c = tokenizer.convert_tokens_to_ids(["a", "b", "c"])
    assert dict(batch) == {
        "input_ids": [[2, a, 3, 0, 0], [2, a, b, c, 3]],
        "token_type_ids": [[0] * 5, [0] * 5],
        "attention_mask": [[1, 1, 1, 0, 0], [1] * 5],
        "special_tokens_mask": [[1, 0, 1, 1, 1], [1, 0, 0, 0, 1]],
        "offset_mapping": [
            [(0, 0), (0, 1), (0, 0), (0, 0), (0, 0)],
            [(0, 0), (0, 1), (2, 3), (4, 5), (0, 0)],
        ],
        "length": [5, 5],
    }
    assert list(tokenizer("a", return_attention_mask=False)) == ["input_ids"]
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    assert list(tokenizer("a")) == ["input_ids", "token_type_ids", "attention_mask"]
    assert tokenizer("a", add_special_tokens=False)["input_ids"] == [a]


@pytest.mark.parametrize(
    ("strategy", "row"),
    [
        (True, "[CLS] the quick brown [SEP] lazy dog jump [SEP]"),
        ("longest_first", "[CLS] the quick brown [SEP] lazy dog jump [SEP]"),
        ("only_second", "[CLS] the quick brown fox [SEP] lazy dog [SEP]"),
        ("do_not_truncate", f"[CLS] {TEXT} [SEP] lazy dog jump ##s over it [SEP]"),
        (False, f"[CLS] {TEXT} [SEP] lazy dog jump ##s over it [SEP]"),
    ],
)
def test_truncation_of_pairs(tokenizer, strategy, row):
    batch = tokenizer([TEXT], [PAIR], truncation=strategy, max_length=9)
    assert rows(tokenizer, batch) == [row]


def test_longest_first_gives_the_shorter_text_its_half(tokenizer):
    # By Rust's rule; transformers' Python tokenizer takes pieces one by one instead.
    batch = tokenizer([PAIR], [TEXT], truncation=True, max_length=10)
    assert rows(tokenizer, batch) == ["[CLS] lazy dog jump ##s [SEP] the quick brown [SEP]"]
    batch = tokenizer(["a"], [PAIR], truncation=True, max_length=7)
    assert rows(tokenizer, batch) == ["[CLS] a [SEP] lazy dog jump [SEP]"]


def test_truncation_sides(tokenizer):
    assert tokenizer(TEXT, truncation=True, max_length=4).tokens()[1:-1] == ["the", "quick"]
    tokenizer.truncation_side = "left"
    assert tokenizer(TEXT, truncation=True, max_length=4).tokens()[1:-1] == ["brown", "fox"]
    tokenizer.truncation_side = "up"
    with pytest.raises(InputError, match="truncation_side"):
        tokenizer(TEXT, truncation=True, max_length=4)


def test_max_length_alone_truncates_unless_there_is_padding(tokenizer):
    assert len(tokenizer(TEXT, max_length=4)["input_ids"]) == 4
    assert len(tokenizer(TEXT, max_length=4, truncation=False)["input_ids"]) == 6
    assert len(tokenizer(TEXT, max_length=4, padding=True)["input_ids"]) == 6
    assert len(tokenizer("a", max_length=4, padding="max_length")["input_ids"]) == 4


def test_overflow(tokenizer):
    batch = tokenizer(
        ["a b c d e", "f"],
        truncation=True,
        max_length=5,
        stride=1,
        padding=True,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    assert rows(tokenizer, batch) == [
        "[CLS] a b c [SEP]",
        "[CLS] c d e [SEP]",
        "[CLS] f [SEP] [PAD] [PAD]",
    ]
    assert batch["overflow_to_sample_mapping"] == [0, 0, 1]
    assert batch["offset_mapping"][1] == [(0, 0), (4, 5), (6, 7), (8, 9), (0, 0)]
    assert batch.word_ids(1) == [None, 2, 3, 4, None]
    # A single text keeps its batch axis: it may have become several rows.
    single = tokenizer("a b", truncation=True, max_length=3, return_overflowing_tokens=True)
    assert rows(tokenizer, single) == ["[CLS] a [SEP]", "[CLS] b [SEP]"]


def test_overflow_of_the_context_of_a_question(tokenizer):
    batch = tokenizer(
        ["who"],
        ["a b c d e f"],
        truncation="only_second",
        max_length=9,
        stride=1,
        return_overflowing_tokens=True,
    )
    assert rows(tokenizer, batch) == [
        "[CLS] w ##h ##o [SEP] a b c [SEP]",
        "[CLS] w ##h ##o [SEP] c d e [SEP]",
        "[CLS] w ##h ##o [SEP] e f [SEP]",
    ]
    assert batch.sequence_ids(2) == [None, 0, 0, 0, None, 1, 1, None]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("a", "b c d"), {"truncation": "only_first", "max_length": 5}, "cannot make the row fit"),
        (("a b c", "d"), {"truncation": "only_second", "max_length": 5}, "cannot make the row fit"),
        (("a b c",), {"truncation": "only_second", "max_length": 4}, "needs a second text"),
        (("a b c",), {"truncation": True, "max_length": 4, "stride": 2}, "stride leaves no room"),
        (("a b c",), {"truncation": True, "max_length": 1}, "no room for the special tokens"),
        (("a b c d", "e f g h"), {"max_length": 8, "stride": 2}, "stride leaves no room"),
        (
            ("a",),
            {"truncation": True, "max_length": 2, "return_overflowing_tokens": True},
            "overflow would never end",
        ),
        (("a",), {"truncation": "shortest"}, "truncation is not valid"),
        (("a",), {"padding": "right"}, "padding is not valid"),
        (("a",), {"padding": "max_length"}, "needs a length"),
        (("a",), {"padding": True, "padding_side": "top"}, "padding_side"),
        (("a",), {"max_length": -1}, "max_length is not valid"),
        (("a",), {"max_length": 4.5}, "max_length is not valid"),
        (("a",), {"max_length": 4, "stride": -1}, "stride is not valid"),
        (("a",), {"padding": True, "pad_to_multiple_of": 0}, "pad_to_multiple_of is not valid"),
        (
            ("a",),
            {"padding": True, "truncation": True, "max_length": 10, "pad_to_multiple_of": 4},
            "not a multiple of pad_to_multiple_of",
        ),
        (("a",), {"return_tensors": "jax"}, "return_tensors is not valid"),
    ],
)
def test_impossible_options(both, arguments, options, message):
    errors = []
    for tokenizer in both:
        with pytest.raises(InputError, match=message) as caught:
            tokenizer(*arguments, **options)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def test_the_row_that_cannot_be_truncated_is_named(tokenizer):
    with pytest.raises(InputError) as caught:
        tokenizer(["a", "a b c d"], ["b", "c"], truncation="only_second", max_length=5)
    assert caught.value.where == "row 1"


@pytest.mark.parametrize(
    ("text", "pair", "options", "where"),
    [
        (None, None, {}, "text"),
        (3, None, {}, "text"),
        (b"a", None, {}, "text"),
        (["a", None], None, {}, "text, row 1"),
        (["a", 1.5], None, {}, "text, row 1"),
        ([["a", "b", "c"]], None, {}, "text, row 0"),
        ([("a", "b"), "c"], None, {}, "text, row 1"),
        ("a", ["b"], {}, "text_pair"),
        (["a"], "b", {}, "text_pair"),
        (["a", "b"], ["c"], {}, "text_pair"),
        (["a"], [b"c"], {}, "text_pair, row 0"),
        ("a", None, {"is_split_into_words": True}, "text"),
        ([["a"], ["b", 2]], None, {"is_split_into_words": True}, "text, row 1, word 1"),
        ([["a"], "b"], None, {"is_split_into_words": True}, "text, row 1"),
        ("a\ud800", None, {}, "text, row 0"),
        (["a", "b"], ["c", "\udfff"], {}, "text_pair, row 1"),
        ([["a", "\ud83d"]], None, {"is_split_into_words": True}, "text, row 0"),
    ],
)
def test_impossible_texts(both, text, pair, options, where):
    errors = []
    for tokenizer in both:
        with pytest.raises(InputError) as caught:
            tokenizer(text, pair, **options)
        assert caught.value.where == where
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def test_padding(tokenizer):
    texts = ["a", "a b c"]
    assert [len(row) for row in tokenizer(texts)["input_ids"]] == [3, 5]
    assert [len(row) for row in tokenizer(texts, padding=True)["input_ids"]] == [5, 5]
    multiple = tokenizer(texts, padding="longest", pad_to_multiple_of=4)
    assert [len(row) for row in multiple["input_ids"]] == [8, 8]
    fixed = tokenizer(texts, padding="max_length", max_length=4)
    assert [len(row) for row in fixed["input_ids"]] == [4, 5]  # nothing is cut by padding
    left = tokenizer(texts, padding=True, padding_side="left")
    assert rows(tokenizer, left)[0] == "[PAD] [PAD] [CLS] a [SEP]"
    assert left["attention_mask"][0] == [0, 0, 1, 1, 1]
    assert left.sequence_ids(0) == [None, None, None, 0, None]
    tokenizer.padding_side = "left"
    assert tokenizer(texts, padding=True) == left


def test_model_max_length(kind, vocab_file):
    tokenizer = kind(vocab_file, model_max_length=5)
    assert tokenizer(TEXT, truncation=True).tokens()[1:-1] == ["the", "quick", "brown"]
    assert len(tokenizer("a", padding="max_length")["input_ids"]) == 5
    with pytest.warns(UserWarning, match="6 pieces, more than the 5"):
        assert len(tokenizer(TEXT)["input_ids"]) == 6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokenizer(TEXT)  # said once
        quiet = kind(vocab_file, model_max_length=5)
        quiet(TEXT, verbose=False)
        quiet(TEXT, truncation=True)
        quiet.tokenize(TEXT)


def test_no_limit_means_that_nothing_is_too_long(tokenizer, vocab_file):
    assert tokenizer.model_max_length == int(1e30)
    assert type(tokenizer)(vocab_file, model_max_length=1e25).model_max_length == int(1e30)
    assert tokenizer(TEXT, truncation=True) == tokenizer(TEXT)


def test_encode_and_its_relatives(tokenizer):
    ids = tokenizer(TEXT)["input_ids"]
    assert tokenizer.encode(TEXT) == ids
    assert tokenizer.encode(TEXT, add_special_tokens=False) == ids[1:-1]
    assert tokenizer.encode_plus("a", "b") == tokenizer("a", "b")
    assert tokenizer.batch_encode_plus([TEXT]) == tokenizer([TEXT])
    assert tokenizer.batch_encode_plus([("a", "b")]) == tokenizer(["a"], ["b"])
    assert tokenizer.tokenize("a", "b", add_special_tokens=True) == tokenizer("a", "b").tokens()
    with pytest.raises(InputError, match="encode takes one text"):
        tokenizer.encode(["a", "b"])
    with pytest.raises(InputError, match="takes a list"):
        tokenizer.batch_encode_plus("a")


def test_prepare_for_model(tokenizer):
    ids, pair = (tokenizer.encode(text, add_special_tokens=False) for text in (TEXT, PAIR))
    options = {"truncation": True, "max_length": 8, "padding": "max_length"}
    assert tokenizer.prepare_for_model(ids, pair, **options) == tokenizer(TEXT, PAIR, **options)
    assert tokenizer.prepare_for_model(ids) == tokenizer(TEXT)
    overflow = {"max_length": 4, "return_overflowing_tokens": True}
    assert tokenizer.prepare_for_model(ids, **overflow) == tokenizer(TEXT, **overflow)
    prepared = tokenizer.prepare_for_model(ids, return_tensors="np", prepend_batch_axis=True)
    assert prepared["input_ids"].shape == (1, 6)


def test_special_tokens_around_ids(tokenizer):
    assert tokenizer.num_special_tokens_to_add() == 2
    assert tokenizer.num_special_tokens_to_add(pair=True) == 3
    assert tokenizer.build_inputs_with_special_tokens([7]) == [2, 7, 3]
    assert tokenizer.build_inputs_with_special_tokens([7], [8, 9]) == [2, 7, 3, 8, 9, 3]
    assert tokenizer.create_token_type_ids_from_sequences([7]) == [0, 0, 0]
    assert tokenizer.create_token_type_ids_from_sequences([7], [8, 9]) == [0, 0, 0, 1, 1, 1]
    assert tokenizer.get_special_tokens_mask([7], [8]) == [1, 0, 1, 0, 1]
    assert tokenizer.get_special_tokens_mask([2, 7, 3], already_has_special_tokens=True) == [
        1,
        0,
        1,
    ]
    with pytest.raises(InputError):
        tokenizer.get_special_tokens_mask([2], [3], already_has_special_tokens=True)
