"""Tokens, ids, special tokens, and back to text."""

import numpy
import pytest

from distil.common.tokenizer import AddedToken
from distil.errors import InputError, TokenizerError


def test_tokens_and_ids(tokenizer, vocabulary):
    assert tokenizer.vocab_size == len(tokenizer) == len(vocabulary)
    assert tokenizer.get_vocab() == tokenizer.vocab == vocabulary
    assert tokenizer.convert_tokens_to_ids("dog") == vocabulary["dog"]
    assert tokenizer.convert_tokens_to_ids(["dog", "nothing"]) == [vocabulary["dog"], 1]
    assert tokenizer.convert_ids_to_tokens(2) == "[CLS]"
    assert tokenizer.convert_ids_to_tokens(numpy.array([2, 7])) == ["[CLS]", "brown"]
    assert tokenizer.convert_ids_to_tokens([2, 7, 3], skip_special_tokens=True) == ["brown"]
    for wrong in (-1, len(tokenizer), [2, 10_000]):
        with pytest.raises(InputError, match="not in the vocabulary"):
            tokenizer.convert_ids_to_tokens(wrong)


def test_special_tokens(tokenizer):
    assert (tokenizer.cls_token, tokenizer.cls_token_id) == ("[CLS]", 2)
    assert (tokenizer.sep_token, tokenizer.sep_token_id) == ("[SEP]", 3)
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("[PAD]", 0)
    assert (tokenizer.unk_token, tokenizer.unk_token_id) == ("[UNK]", 1)
    assert (tokenizer.mask_token, tokenizer.mask_token_id) == ("[MASK]", 4)
    assert tokenizer.all_special_tokens == ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"]
    assert tokenizer.all_special_ids == [1, 3, 0, 2, 4]
    assert tokenizer.special_tokens_map["mask_token"] == "[MASK]"
    assert tokenizer.pad_token_type_id == 0
    assert bool(tokenizer)


def test_other_special_tokens(kind, vocab_file, vocabulary):
    tokenizer = kind(vocab_file, cls_token="the", mask_token="<mask>", pad_token="dog")
    # What the vocabulary lacks is added to it.
    assert tokenizer.mask_token_id == len(vocabulary) == len(tokenizer) - 1
    batch = tokenizer(["a <mask>", "a"], padding=True)
    assert batch.tokens(0) == ["the", "a", "<mask>", "[SEP]"]
    assert batch.tokens(1) == ["the", "a", "[SEP]", "dog"]
    assert batch.input_ids[1] == tokenizer.convert_tokens_to_ids(batch.tokens(1))


def test_keeping_some_tokens(tokenizer, vocabulary, tmp_path):
    tokenizer.add_tokens("<x>")
    text = "the dog jumps <x>"
    tokens = tokenizer(text).tokens()
    ids = sorted(tokenizer.convert_tokens_to_ids({*tokens, *tokenizer.all_special_tokens}))
    kept = tokenizer.keep_tokens(reversed(ids))
    assert type(kept) is type(tokenizer)
    assert len(kept) == kept.vocab_size + 1 == len(ids)
    assert kept.get_vocab() == {tokenizer.convert_ids_to_tokens(i): n for n, i in enumerate(ids)}
    assert [ids[number] for number in kept(text)["input_ids"]] == tokenizer(text)["input_ids"]
    assert kept("fox").tokens() == ["[CLS]", "[UNK]", "[SEP]"]
    kept.save_pretrained(tmp_path)
    assert type(kept).from_pretrained(tmp_path)(text) == kept(text)
    # The other one is as it was.
    assert len(tokenizer) == len(vocabulary) + 1
    assert tokenizer("fox").tokens() == ["[CLS]", "fox", "[SEP]"]


def test_special_and_added_tokens_are_kept(tokenizer):
    with pytest.raises(InputError, match="have to stay") as caught:
        tokenizer.keep_tokens(range(4))
    assert caught.value.found == r"no [MASK]"
    with pytest.raises(InputError, match="not in the vocabulary"):
        tokenizer.keep_tokens([*range(5), 10_000])


def test_adding_tokens(tokenizer, vocabulary):
    size = len(vocabulary)
    assert tokenizer.add_tokens(["<x>", "<y>", "<x>", "dog"]) == 2
    assert tokenizer.add_tokens("<z>", special_tokens=True) == 1
    assert tokenizer.get_added_vocab()["<z>"] == size + 2
    assert tokenizer.added_tokens_encoder == tokenizer.get_added_vocab()
    assert (tokenizer.vocab_size, len(tokenizer)) == (size, size + 3)
    assert tokenizer.get_vocab()["<y>"] == size + 1
    assert tokenizer.convert_ids_to_tokens(size) == "<x>"
    assert tokenizer("<X> <z>", add_special_tokens=False)["input_ids"] == [size, size + 2]
    assert tokenizer.decode([size, size + 2, 7], skip_special_tokens=True) == "<x> brown"
    # Adding it again only changes how it is found.
    assert tokenizer.add_tokens([AddedToken(content="<x>", normalized=False)]) == 0
    assert size not in tokenizer("<X>")["input_ids"]


def test_adding_special_tokens(tokenizer, vocabulary):
    size = len(vocabulary)
    count = tokenizer.add_special_tokens(
        {"cls_token": "<cls>", "additional_special_tokens": ["<a>", AddedToken(content="<b>")]}
    )
    assert count == 3
    assert tokenizer("a").tokens() == ["<cls>", "a", "[SEP]"]
    assert tokenizer.additional_special_tokens == ["<a>", "<b>"]
    assert tokenizer.all_special_tokens[-2:] == ["<a>", "<b>"]
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<c>"]}, replace_additional_special_tokens=False
    )
    assert tokenizer.additional_special_tokens == ["<a>", "<b>", "<c>"]
    tokenizer.add_special_tokens({"additional_special_tokens": ["<d>"]})
    assert tokenizer.additional_special_tokens == ["<d>"]
    tokenizer.sep_token = "dog"
    assert tokenizer("a")["input_ids"] == [size, vocabulary["a"], vocabulary["dog"]]
    with pytest.raises(InputError, match="unknown name of a special token"):
        tokenizer.add_special_tokens({"end_token": "<e>"})
    with pytest.raises(TokenizerError, match="cannot be changed"):
        tokenizer.unk_token = "<u>"


def test_decoding(tokenizer):
    ids = tokenizer("Don't jumps, unaffable dog! It's a fox.")["input_ids"]
    assert tokenizer.decode(ids) == "[CLS] don't jumps, unaffable dog! it's a fox. [SEP]"
    plain = "don ' t jumps , unaffable dog ! it ' s a fox ."
    clean = "don't jumps, unaffable dog! it's a fox."
    assert tokenizer.decode(ids, skip_special_tokens=True) == clean
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    assert tokenizer.decode(ids, **options) == plain
    tokenizer.clean_up_tokenization_spaces = False
    assert tokenizer.decode(ids, skip_special_tokens=True) == plain
    assert tokenizer.decode(7) == "brown"
    assert tokenizer.decode(numpy.int64(7)) == "brown"
    assert tokenizer.decode([]) == ""
    assert tokenizer.batch_decode(numpy.array([[7], [2]])) == ["brown", "[CLS]"]
    assert tokenizer.batch_decode([[7], []]) == ["brown", ""]
    assert tokenizer.convert_tokens_to_string(["##s", "jump", "##s", "it"]) == "##s jumps it"
    with pytest.raises(InputError, match="batch_decode"):
        tokenizer.decode([[7]])
    with pytest.raises(InputError, match="not in the vocabulary"):
        tokenizer.decode([7, -100])


def test_setting_an_id_sets_the_token(kind, vocab_file):
    tokenizer = kind(vocab_file)
    tokenizer.eos_token_id = tokenizer.sep_token_id
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("[SEP]", tokenizer.sep_token_id)
    tokenizer.pad_token_id = tokenizer.convert_tokens_to_ids("the")
    assert tokenizer.pad_token == "the"
    row = tokenizer("dog", padding="max_length", max_length=4)["input_ids"]
    assert row[-1] == tokenizer.pad_token_id
    with pytest.raises(InputError, match="not in the vocabulary"):
        tokenizer.pad_token_id = len(tokenizer)
