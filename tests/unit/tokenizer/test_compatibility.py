"""The rest of what transformers' tokenizers take and say: used, granted, or refused by name."""

import copy
import pickle
from types import SimpleNamespace

import pytest

from distil.common.tokenizer import DistilBertTokenizer, DistilBertTokenizerFast
from distil.errors import InputError, TokenizerError

TEXT = "the quick brown fox"


@pytest.fixture
def folder(vocab_file, tmp_path):
    DistilBertTokenizer(vocab_file, eos_token="[SEP]").save_pretrained(tmp_path)
    return tmp_path


def test_loading_by_keywords(kind, folder):
    tokenizer = kind.from_pretrained(
        pretrained_model_name_or_path=folder,
        use_fast=kind.is_fast,
        trust_remote_code=True,
        config=SimpleNamespace(model_type="distilbert"),
        verbose=False,
        max_len=20,
        add_prefix_space=False,
        proxies=None,
        use_auth_token=None,
        bos_token="[CLS]",
    )
    assert tokenizer.model_max_length == 20
    assert (tokenizer.max_len_single_sentence, tokenizer.max_len_sentences_pair) == (18, 17)
    assert tokenizer.name_or_path == str(folder)
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("[CLS]", "[SEP]")
    assert tokenizer.init_kwargs["model_max_length"] == 20
    assert "bos_token" in tokenizer.init_kwargs
    # verbose=False: no warning, which would be an error here.
    assert len(tokenizer(" ".join(["the"] * 30))["input_ids"]) == 32


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"add_prefix_space": True}, "add_prefix_space"),
        ({"chat_template": "{{ x }}"}, "chat_template"),
        ({"config": SimpleNamespace(model_type="bert")}, "tokenizer_type"),
        ({"force_download": True}, "force_download"),
        ({"gguf_file": "x.gguf"}, "gguf_file"),
        ({"proxies": {"https": "user:secret@host"}}, "proxies"),
        ({"tokenizer_type": "gpt2"}, "tokenizer_type"),
    ],
)
def test_loading_options_that_are_refused(kind, folder, options, where):
    with pytest.raises(InputError, match="argument is not supported") as caught:
        kind.from_pretrained(folder, **options)
    assert caught.value.where == where
    assert "secret" not in str(caught.value)


def test_the_other_kind_is_not_given_silently(kind, folder):
    with pytest.raises(InputError) as caught:
        kind.from_pretrained(folder, use_fast=not kind.is_fast)
    assert caught.value.where == "use_fast"
    with pytest.raises(InputError, match="pass token alone"):
        kind.from_pretrained(folder, token="x", use_auth_token="y")
    with pytest.raises(TypeError, match="nonsense"):
        kind.from_pretrained(folder, nonsense=1)


def test_subfolders(kind, folder):
    kind.from_pretrained(folder).save_pretrained(save_directory=folder / "inside")
    loaded = kind.from_pretrained(folder, subfolder="inside", cls_token="the")
    assert loaded.cls_token == "the"
    with pytest.raises(TokenizerError, match="no tokenizer in this folder"):
        kind.from_pretrained(folder, subfolder="nothing")
    with pytest.raises(InputError, match="subfolder of a repository"):
        kind.from_pretrained("somebody/something", subfolder="inside")


@pytest.mark.parametrize(
    "options", [{"legacy_format": False}, {"filename_prefix": "x"}, {"push_to_hub": True}]
)
def test_saving_options_that_are_refused(tokenizer, tmp_path, options):
    with pytest.raises(InputError, match="option of save_pretrained is not supported"):
        tokenizer.save_pretrained(tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()
    tokenizer.save_pretrained(tmp_path / "new", legacy_format=True, push_to_hub=False)


def test_tokens_that_bert_has_no_use_for(kind, vocab_file, tmp_path):
    tokenizer = kind(vocab_file)
    assert tokenizer.bos_token is tokenizer.eos_token is tokenizer.eos_token_id is None
    assert "eos_token" not in tokenizer.init_kwargs
    assert tokenizer.add_special_tokens({"eos_token": "<e>", "bos_token": "[CLS]"}) == 1
    tokenizer.eos_token = "<end>"
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("<end>", len(tokenizer) - 1)
    assert tokenizer.all_special_tokens[:3] == ["[CLS]", "<end>", "[UNK]"]
    assert list(tokenizer.special_tokens_map)[:2] == ["bos_token", "eos_token"]
    assert tokenizer(TEXT).tokens() == kind(vocab_file)(TEXT).tokens()
    tokenizer.save_pretrained(tmp_path)
    loaded = kind.from_pretrained(tmp_path)
    assert loaded.special_tokens_map == tokenizer.special_tokens_map
    assert loaded.decode([loaded.eos_token_id], skip_special_tokens=True) == ""


def test_special_tokens_extended(tokenizer):
    tokenizer.add_special_tokens({"additional_special_tokens": ["<y>"]})
    assert [str(t.content) for t in tokenizer.all_special_tokens_extended] == (
        tokenizer.all_special_tokens
    )
    extended = tokenizer.special_tokens_map_extended
    assert extended["cls_token"].special
    assert extended["additional_special_tokens"][0].content == "<y>"
    assert tokenizer.sanitize_special_tokens() == 0


def test_arguments_by_position(kind, vocab_file, folder):
    tokenizer = kind(vocab_file)
    with_names = {"add_special_tokens": False, "padding": "max_length", "truncation": True}
    expected = tokenizer(TEXT, max_length=6, **with_names)
    assert tokenizer(TEXT, None, None, None, False, "max_length", True, 6) == expected
    assert tokenizer.encode_plus(TEXT, None, False, "max_length", True, 6) == expected
    assert tokenizer.encode(TEXT, None, False, "max_length", True, 6) == expected["input_ids"]
    assert tokenizer.encode("a", None, True, False, None, None, 0, "left", "np").shape == (1, 3)
    assert tokenizer.batch_encode_plus([TEXT], False, "max_length", True, 6)["input_ids"] == [
        expected["input_ids"]
    ]
    ids = tokenizer.encode(TEXT, add_special_tokens=False)
    assert tokenizer.prepare_for_model(ids, None, False, "max_length", True, 6) == expected
    assert tokenizer.pad({"input_ids": [2, 3]}, "max_length", 3)["input_ids"] == [2, 3, 0]
    with pytest.raises(TypeError, match="given twice: padding"):
        tokenizer.encode(TEXT, None, False, True, padding=True)
    with pytest.raises(TypeError, match="too many arguments"):
        tokenizer.encode(TEXT, None, *[None] * 8)
    # The two have different orders, as in transformers.
    python = DistilBertTokenizer(vocab_file, False, True, ["Hello"], "[UNK]", "the")
    assert (python.do_lower_case, python.never_split, python.sep_token) == (
        False,
        ("Hello",),
        "the",
    )
    rust = DistilBertTokenizerFast(vocab_file, folder / "tokenizer.json", False, "[UNK]", "the")
    assert (rust.do_lower_case, rust.sep_token) == (False, "the")


def test_targets(tokenizer):
    batch = tokenizer(["a", "b"], text_target=["the dog", "fox"])
    assert batch["labels"] == tokenizer(["the dog", "fox"])["input_ids"]
    assert batch["input_ids"] == tokenizer(["a", "b"])["input_ids"]
    assert tokenizer(text_target="a", text_pair_target="b") == tokenizer("a", "b")
    with pytest.raises(InputError, match="cannot be tokenized"):
        tokenizer()
    with pytest.raises(InputError, match="needs text_target"):
        tokenizer("a", text_pair_target="b")


def test_special_tokens_may_be_split(tokenizer):
    whole, cut = ["[MASK]"], ["[", "m", "##a", "##s", "##k", "]"]
    assert tokenizer.tokenize("[MASK]", split_special_tokens=True) == cut
    assert tokenizer.tokenize("[MASK]") == whole
    tokenizer.split_special_tokens = True
    assert tokenizer.tokenize("[MASK]") == cut
    assert tokenizer.tokenize("[MASK]", split_special_tokens=False) == whole
    # New tokens are known to both ways of cutting.
    tokenizer.add_tokens(["<x>"])
    for split in (True, False):
        assert tokenizer.tokenize("<x>", split_special_tokens=split) == ["<x>"]


def test_decoding_options(tokenizer):
    ids = tokenizer(TEXT)["input_ids"]
    fine = {"spaces_between_special_tokens": True, "use_source_tokenizer": False}
    assert tokenizer.decode(ids, **fine) == tokenizer.decode(ids)
    assert tokenizer.batch_decode([ids], **fine) == [tokenizer.decode(ids)]
    for refused in ({"spaces_between_special_tokens": False}, {"use_source_tokenizer": True}):
        with pytest.raises(InputError, match="option of decode is not supported") as caught:
            tokenizer.batch_decode([ids], **refused)
        assert caught.value.where in refused


def test_small_names(kind, tokenizer, vocabulary):
    assert tokenizer.model_input_names == kind.model_input_names == ["input_ids", "attention_mask"]
    assert kind.padding_side == kind.truncation_side == "right"
    assert kind.vocab_files_names["vocab_file"] == "vocab.txt"
    assert kind.SPECIAL_TOKENS_ATTRIBUTES[-1] == "additional_special_tokens"
    assert tokenizer._convert_id_to_token(7) == "brown"
    assert tokenizer._convert_token_to_id("brown") == 7
    batch = tokenizer(TEXT)
    assert batch.words() == batch.word_ids()
    if kind is DistilBertTokenizer:
        assert tokenizer.ids_to_tokens[7] == "brown"
        assert len(tokenizer.ids_to_tokens) == len(vocabulary)
    else:
        assert tokenizer._tokenizer is tokenizer.backend_tokenizer
        assert tokenizer.decoder is not None
        assert kind.slow_tokenizer_class is DistilBertTokenizer


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("apply_chat_template", "chats"),
        ("as_target_tokenizer", "text_target"),
        ("push_to_hub", "huggingface_hub"),
        ("truncate_sequences", "prepare_for_model"),
        ("nonsense", ""),
    ],
)
def test_names_that_are_not_here(tokenizer, name, reason):
    assert not hasattr(tokenizer, name)
    with pytest.raises(AttributeError, match=f"has no '{name}'.*{reason}"):
        getattr(tokenizer, name)


def test_the_python_tokenizer_learns_nothing(vocab_file):
    with pytest.raises(AttributeError, match="use the fast tokenizer"):
        _ = DistilBertTokenizer(vocab_file).train_new_from_iterator
    for again in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        assert again(DistilBertTokenizer(vocab_file)).tokenize("dog") == ["dog"]


def test_learning_a_vocabulary(vocab_file):
    tokenizer = DistilBertTokenizerFast(
        vocab_file, model_max_length=7, padding_side="left", eos_token="[SEP]"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<y>"]})
    texts = [["Ein Satz, noch ein Satz", "und ein Satz"]] * 20
    learnt = tokenizer.train_new_from_iterator(
        texts, 60, new_special_tokens=["<new>"], special_tokens_map={"[CLS]": "<s>"},
        show_progress=False,
    )  # fmt: skip
    assert learnt.tokenize("Ein Satz <new> <y>") == ["ein", "satz", "<new>", "<y>"]
    assert learnt("und").tokens() == ["<s>", "und", "[SEP]"]
    assert learnt.additional_special_tokens == ["<y>", "<new>"]
    assert (learnt.model_max_length, learnt.padding_side, learnt.eos_token) == (7, "left", "[SEP]")
    assert learnt.vocab_size == len(learnt) <= 60
    assert "dog" not in learnt.get_vocab()
    assert tokenizer.tokenize("dog") == ["dog"]
