"""What a tokenizer returns: look-ups, tensors, padding afterwards."""

import copy
import pickle
import sys

import numpy
import pytest

from distil.common.tokenizer import BatchEncoding, CharSpan, TokenSpan
from distil.errors import FrameworkError, InputError


@pytest.fixture
def batch(tokenizer):
    #            0123456789        the second text: 0123456789
    return tokenizer(["un dog", "unaffable!"], ["a", "fox jumps"], padding=True)


def test_it_is_a_dictionary_with_attributes(batch):
    assert batch.input_ids == batch["input_ids"]
    assert dict(**batch) == {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    assert batch[:1] == {name: value[:1] for name, value in batch.items()}
    assert len(batch[1]) == len(batch.input_ids[1])
    assert [encoding.ids for encoding in batch.encodings] == batch.input_ids
    assert batch.is_fast
    with pytest.raises(AttributeError, match="labels"):
        _ = batch.labels
    with pytest.raises(KeyError):
        _ = batch["labels"]


def test_look_ups(batch):
    assert batch.tokens(1) == [
        "[CLS]", "un", "##aff", "##able", "!", "[SEP]", "fox", "jump", "##s", "[SEP]",
    ]  # fmt: skip
    assert batch.tokens(0)[-4:] == ["[PAD]"] * 4
    assert batch.n_sequences == 2
    assert batch.word_ids(1) == [None, 0, 0, 0, 1, None, 0, 1, 1, None]
    assert batch.sequence_ids(1) == [None, 0, 0, 0, 0, None, 1, 1, 1, None]
    assert batch.token_to_chars(1, 2) == CharSpan(2, 5)
    assert batch.token_to_chars(1, 0) is None
    assert batch.token_to_chars(1, 99) is None
    assert batch.token_to_chars(2) == CharSpan(3, 6)  # of the first row
    assert batch.token_to_word(1, 8) == 1
    assert batch.token_to_word(1, 5) is None
    assert batch.token_to_sequence(1, 8) == 1
    assert batch.token_to_sequence(1, 9) is None
    assert batch.word_to_tokens(1, 0) == TokenSpan(1, 4)
    assert batch.word_to_tokens(1, 1, sequence_index=1) == TokenSpan(7, 9)
    assert batch.word_to_tokens(1, 7) is None
    assert batch.word_to_chars(1, 0) == CharSpan(0, 9)
    assert batch.word_to_chars(1, 1, sequence_index=1) == CharSpan(4, 9)
    assert batch.word_to_chars(1, 7) is None
    assert batch.char_to_token(1, 6) == 3
    assert batch.char_to_token(1, 3, sequence_index=1) is None  # a space
    assert batch.char_to_word(1, 8, sequence_index=1) == 1
    assert batch.char_to_word(1, 99) is None


def test_a_batch_that_was_not_tokenized_knows_nothing(batch):
    plain = BatchEncoding(dict(batch))
    assert plain.encodings is None
    assert plain.n_sequences is None
    assert not plain.is_fast
    with pytest.raises(InputError, match="no record of its texts"):
        plain.tokens()


def test_encodings_know_columns_that_were_not_asked_for(tokenizer):
    encoding = tokenizer("a", "b c", padding="max_length", max_length=8)[0]
    assert encoding.type_ids == [0, 0, 0, 1, 1, 1, 0, 0]
    assert encoding.special_tokens_mask == [1, 0, 1, 0, 0, 1, 1, 1]
    assert encoding.attention_mask == [1] * 6 + [0, 0]
    assert "8 pieces" in repr(encoding)


def test_encodings_stay_what_they_were_when_tokens_are_added(tokenizer):
    batch = tokenizer("quick brown")
    tokenizer.add_tokens(["quick brown"])
    assert batch.tokens() == ["[CLS]", "quick", "brown", "[SEP]"]


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies(batch, again):
    copied = again(batch)
    assert copied == batch
    assert copied.tokens(1) == batch.tokens(1)
    assert copied.char_to_token(1, 6) == 3
    # A row does not take the vocabulary with it to another process.
    assert len(pickle.dumps(batch)) < 3_000


def test_arrays(tokenizer):
    batch = tokenizer(["a", "a b"], padding=True, return_tensors="np", return_offsets_mapping=True)
    assert {value.dtype for value in batch.values()} == {numpy.dtype("int64")}
    assert batch.input_ids.shape == (2, 4)
    assert batch.offset_mapping.shape == (2, 4, 2)
    assert tokenizer("a", return_tensors="np").input_ids.shape == (1, 3)
    assert tokenizer([], return_tensors="np").input_ids.dtype == numpy.int64
    assert tokenizer([], return_tensors="np").input_ids.shape == (0,)
    overflow = tokenizer(
        "a b", max_length=3, return_overflowing_tokens=True, return_length=True, return_tensors="np"
    )
    assert overflow.overflow_to_sample_mapping.tolist() == [0, 0]
    assert overflow.length.tolist() == [3, 3]


@pytest.mark.pt
def test_torch_tensors(tokenizer):
    torch = pytest.importorskip("torch")
    batch = tokenizer(["a", "a b"], padding=True, return_tensors="pt")
    assert {value.dtype for value in batch.values()} == {torch.int64}
    assert tuple(batch.input_ids.shape) == (2, 4)
    assert batch.input_ids.tolist() == tokenizer(["a", "a b"], padding=True)["input_ids"]
    assert batch.to("cpu") is batch
    assert batch.to("meta").input_ids.device.type == "meta"
    # Values that are no tensors stay where they are.
    assert BatchEncoding({"id": "x", "input_ids": torch.ones(1)}).to("cpu")["id"] == "x"


@pytest.mark.tf
def test_tensorflow_tensors(tokenizer):
    tensorflow = pytest.importorskip("tensorflow")
    batch = tokenizer(["a", "a b"], padding=True, return_tensors="tf")
    assert {value.dtype for value in batch.values()} == {tensorflow.int32}
    assert batch.input_ids.numpy().tolist() == tokenizer(["a", "a b"], padding=True)["input_ids"]
    assert tokenizer.batch_decode(batch.input_ids, skip_special_tokens=True) == ["a", "a b"]
    assert tokenizer.pad(batch, padding="max_length", max_length=6).input_ids[0][4:] == [0, 0]


def test_ragged_rows_make_no_tensor(tokenizer):
    with pytest.raises(InputError, match="padding=True") as caught:
        tokenizer(["a", "a b"], return_tensors="np")
    assert caught.value.found == "rows of 3 to 4"
    with pytest.raises(InputError, match="not a number"):
        BatchEncoding({"id": ["x"]}, tensor_type="np")


@pytest.mark.parametrize(("kind_of_tensor", "package"), [("pt", "torch"), ("tf", "tensorflow")])
def test_a_missing_framework_is_named(tokenizer, monkeypatch, kind_of_tensor, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(FrameworkError, match=rf'pip install "distil\[{kind_of_tensor}\]"'):
        tokenizer("a", return_tensors=kind_of_tensor)
    if package == "torch":
        with pytest.raises(FrameworkError, match="PyTorch is not installed"):
            tokenizer("a").to("cpu")


def test_floats_and_labels_become_tensors():
    batch = BatchEncoding({"labels": [0.5, 1.0], "flag": [True, False]}, tensor_type="np")
    assert batch.labels.dtype == numpy.float64
    assert batch.flag.dtype == bool
    array = numpy.ones(2, dtype=numpy.int16)
    assert BatchEncoding({"x": array}, tensor_type="np")["x"] is array


@pytest.mark.pt
def test_floats_become_torch_tensors():
    torch = pytest.importorskip("torch")
    batch = BatchEncoding({"labels": [0.5], "ids": torch.ones(1)}, tensor_type="pt")
    assert batch.labels.dtype == torch.float32
    batch = BatchEncoding({"ids": [1]}, tensor_type="pt", prepend_batch_axis=True)
    assert batch.ids.tolist() == [[1]]


def test_padding_afterwards(tokenizer):
    texts = ["a", "a b c"]
    columns = {"return_token_type_ids": True, "return_special_tokens_mask": True}
    expected = tokenizer(texts, padding=True, **columns)
    apart = [tokenizer(text, **columns) for text in texts]
    assert tokenizer.pad(apart) == expected
    assert tokenizer.pad(tokenizer(texts, **columns)) == expected
    assert tokenizer.pad([dict(row) for row in apart]) == expected
    assert tokenizer.pad({"input_ids": [[2, 3], [2, 7, 3]]}) == {
        "input_ids": [[2, 3, 0], [2, 7, 3]],
        "attention_mask": [[1, 1, 0], [1, 1, 1]],
    }
    arrays = [
        {"input_ids": numpy.array([2, 7, 3]), "labels": 1},
        {"input_ids": [2, 3], "labels": 0},
    ]
    padded = tokenizer.pad(arrays, pad_to_multiple_of=4, padding_side="left", return_tensors="np")
    assert padded.input_ids.tolist() == [[0, 2, 7, 3], [0, 0, 2, 3]]
    assert padded.labels.tolist() == [1, 0]
    single = tokenizer.pad({"input_ids": [2, 3]}, padding="max_length", max_length=3)
    assert dict(single) == {"input_ids": [2, 3, 0], "attention_mask": [1, 1, 0]}
    assert list(tokenizer.pad({"input_ids": [2]}, return_attention_mask=False)) == ["input_ids"]
    assert tokenizer.pad({"input_ids": []}) == {"input_ids": [], "attention_mask": []}
    unpadded = tokenizer.pad(apart, padding=False)
    assert [len(row) for row in unpadded["input_ids"]] == [3, 5]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"labels": [1]}, "nothing to pad"),
        ([], "nothing to pad"),
        ([{"input_ids": [1]}, {"labels": 1}], "do not have the same inputs"),
        ("text", "cannot be padded"),
        ([[1, 2]], "cannot be padded"),
    ],
)
def test_impossible_padding_afterwards(tokenizer, rows, message):
    with pytest.raises(InputError, match=message):
        tokenizer.pad(rows)
