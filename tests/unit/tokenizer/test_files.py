"""Loading and saving: every kind of folder, and what is wrong with broken ones."""

import json
import shutil

import pytest

from distil import load_tokenizer
from distil.common.tokenizer import AddedToken, DistilBertTokenizer, DistilBertTokenizerFast
from distil.errors import TokenizerError
from distil.storage import hub

TEXT = "Héllo <x> [MASK] 中 jumps <y>"
ALL = {
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
}


@pytest.fixture
def saved(kind, vocab_file, tmp_path):
    """A folder as either tokenizer writes it, with added tokens and unusual options."""
    tokenizer = kind(
        vocab_file,
        do_lower_case=False,
        strip_accents=True,
        model_max_length=32,
        truncation_side="left",
        padding_side="left",
        mask_token={"content": "[MASK]", "lstrip": True},
        additional_special_tokens=["<y>"],
    )
    tokenizer.add_tokens([AddedToken(content="<x>", rstrip=True)])
    folder = tmp_path / "saved"
    written = tokenizer.save_pretrained(folder)
    assert {path.name for path in folder.iterdir()} == ALL
    assert set(written) == {str(folder / name) for name in ALL}
    return tokenizer, folder


def same(one, other):
    assert one(TEXT)["input_ids"] == other(TEXT)["input_ids"]
    assert one(TEXT).tokens() == other(TEXT).tokens()
    assert one.get_vocab() == other.get_vocab()
    assert one.added_tokens_decoder == other.added_tokens_decoder
    assert one.special_tokens_map == other.special_tokens_map
    for name in ("do_lower_case", "strip_accents", "tokenize_chinese_chars", "do_basic_tokenize"):
        assert getattr(one, name) == getattr(other, name), name


@pytest.mark.parametrize("fast", [True, False])
def test_round_trip(saved, fast, tmp_path):
    tokenizer, folder = saved
    loaded = load_tokenizer(folder, fast=fast)
    assert type(loaded) is (DistilBertTokenizerFast if fast else DistilBertTokenizer)
    assert loaded.is_fast is fast
    same(loaded, tokenizer)
    assert loaded.model_max_length == 32
    assert (loaded.truncation_side, loaded.padding_side) == ("left", "left")
    # Both write the same files.
    loaded.save_pretrained(tmp_path / "again")
    for name in ALL:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    "removed",
    [
        ("vocab.txt",),
        ("tokenizer.json",),
        ("vocab.txt", "special_tokens_map.json", "added_tokens.json"),  # as transformers 5
        ("tokenizer.json", "special_tokens_map.json", "added_tokens.json"),
        ("vocab.txt", "tokenizer_config.json", "added_tokens.json"),
    ],
    ids=" ".join,
)
def test_some_files_are_enough(saved, fast, removed):
    tokenizer, folder = saved
    for name in removed:
        (folder / name).unlink()
    same(load_tokenizer(folder, fast=fast), tokenizer)


@pytest.mark.parametrize("fast", [True, False])
def test_tokenizer_json_alone_knows_its_normalizer(vocab_file, tmp_path, fast):
    options = {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False}
    DistilBertTokenizer(vocab_file, cls_token="the", **options).save_pretrained(tmp_path)
    for name in ALL - {"tokenizer.json"}:
        (tmp_path / name).unlink(missing_ok=True)
    loaded = load_tokenizer(tmp_path, fast=fast)
    assert (loaded.do_lower_case, loaded.strip_accents) == (False, True)
    assert loaded.tokenize_chinese_chars is False
    assert loaded.cls_token == "the"
    # What is given overrides what is in the file.
    assert load_tokenizer(tmp_path, fast=fast, do_lower_case=True).tokenize("DOG") == ["dog"]


@pytest.mark.parametrize("fast", [True, False])
def test_old_folders_with_added_tokens_json(vocab_file, tmp_path, fast, vocabulary):
    shutil.copy(vocab_file, tmp_path / "vocab.txt")
    size = len(vocabulary)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<b>": size + 1, "<a>": size}))
    specials = {"mask_token": {"content": "[MASK]", "lstrip": True}, "bos_token": "<a>"}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(specials))
    # Such a config knows the token, but not that it takes white space with it.
    config = {"mask_token": "[MASK]", "do_lower_case": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    loaded = load_tokenizer(tmp_path, fast=fast)
    assert loaded.get_added_vocab()["<b>"] == size + 1
    assert (loaded.bos_token, loaded.bos_token_id) == ("<a>", size)
    assert loaded.additional_special_tokens == []
    assert loaded.tokenize("a  [MASK]<b>") == ["a", "  [MASK]", "<b>"]
    assert loaded.decode([size, size + 1], skip_special_tokens=True) == "<b>"


@pytest.mark.parametrize("fast", [True, False])
def test_no_basic_tokenization_survives(vocab_file, tmp_path, fast):
    tokenizer = DistilBertTokenizer(vocab_file, do_basic_tokenize=False)
    tokenizer.save_pretrained(tmp_path)
    for removed in ((), ("vocab.txt",), ("tokenizer_config.json",)):
        for name in removed:
            (tmp_path / name).unlink()
        loaded = load_tokenizer(tmp_path, fast=fast)
        assert loaded.do_basic_tokenize is False
        assert loaded.tokenize("Hello the, dog") == ["Hello", "[UNK]", "dog"]


def test_saving_again_leaves_nothing_stale(saved, vocab_file):
    _, folder = saved
    DistilBertTokenizer(vocab_file).save_pretrained(folder)
    assert {path.name for path in folder.iterdir()} == ALL - {"added_tokens.json"}
    assert len(load_tokenizer(folder)) == len(DistilBertTokenizer(vocab_file))


def test_what_a_config_holds_besides_is_kept(vocab_file, tmp_path):
    shutil.copy(vocab_file, tmp_path / "vocab.txt")
    config = {"do_lower_case": True, "my_key": [1], "tokenizer_class": "BertTokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    load_tokenizer(tmp_path).save_pretrained(tmp_path / "again")
    again = json.loads((tmp_path / "again" / "tokenizer_config.json").read_text())
    assert again["my_key"] == [1]
    assert again["tokenizer_class"] == "DistilBertTokenizer"


def test_save_vocabulary(tokenizer, tmp_path, vocab_file):
    (path,) = tokenizer.save_vocabulary(tmp_path, filename_prefix="my")
    assert path == str(tmp_path / "my-vocab.txt")
    assert (tmp_path / "my-vocab.txt").read_bytes() == vocab_file.read_bytes()


def test_windows_line_ends(kind, vocab_file, tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(vocab_file.read_bytes().replace(b"\n", b"\r\n"))
    assert kind(path).get_vocab() == kind(vocab_file).get_vocab()


def test_a_name_is_asked_of_the_hub(kind, saved, monkeypatch):
    tokenizer, folder = saved
    asked = {}

    def snapshot(name, options, *, files):
        asked.update(vars(options), name=name, files=files)
        return folder

    monkeypatch.setattr(hub, "snapshot", snapshot)
    same(kind.from_pretrained("somebody/something", revision="main"), tokenizer)
    assert asked["name"] == "somebody/something"
    assert asked["revision"] == "main"
    assert set(asked["files"]) == ALL


def test_a_rust_tokenizer_can_be_given(saved):
    tokenizer, folder = saved
    rust = load_tokenizer(folder).backend_tokenizer
    given = DistilBertTokenizerFast(
        tokenizer_object=rust, mask_token="[MASK]", additional_special_tokens=["<y>"]
    )
    same(given, tokenizer)
    with pytest.raises(TokenizerError, match="takes the place of files"):
        DistilBertTokenizerFast(folder / "vocab.txt", tokenizer_object=rust)


def edit(path, change):
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def sequence(data):
    parts = [data["normalizer"], {"type": "NFC"}]
    data["normalizer"] = {"type": "Sequence", "normalizers": parts}


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (sequence, "'Sequence', 'BertPreTokenizer', 'WordPiece'"),
        # BERT has it without normalisation only.
        (
            lambda data: data["pre_tokenizer"].update(type="WhitespaceSplit"),
            "'BertNormalizer', 'WhitespaceSplit', 'WordPiece'",
        ),
        (
            lambda data: data["model"].update(type="Unigram"),
            "'BertNormalizer', 'BertPreTokenizer', 'Unigram'",
        ),
        (lambda data: data.update(normalizer=None), "None, 'BertPreTokenizer', 'WordPiece'"),
    ],
)
def test_parts_that_are_not_berts(saved, fast, change, found):
    _, folder = saved
    edit(folder / "tokenizer.json", change)
    with pytest.raises(TokenizerError, match="not that of a BERT tokenizer") as caught:
        load_tokenizer(folder, fast=fast)
    assert caught.value.found == found


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("tokenizer.json", lambda data: data.pop("model"), "not a tokenizer.json"),
        ("tokenizer.json", lambda data: data["model"]["vocab"].pop("the"), "not consecutive"),
        (
            "tokenizer.json",
            lambda data: data["model"]["vocab"].update(the="x"),
            "not a tokenizer.json",
        ),
        (
            "tokenizer.json",
            lambda data: data["post_processor"]["single"].pop(),
            "adds special tokens in another way",
        ),
        (
            "tokenizer.json",
            lambda data: data["post_processor"]["single"].insert(
                0, data["post_processor"]["single"].pop(1)
            ),
            "adds special tokens in another way",
        ),
        (
            "tokenizer.json",
            lambda data: data["post_processor"]["pair"].reverse(),
            "adds special tokens in another way",
        ),
        (
            "tokenizer.json",
            lambda data: data["post_processor"]["pair"][3]["Sequence"].update(type_id=0),
            "adds special tokens in another way",
        ),
        (
            "tokenizer.json",
            lambda data: data["normalizer"].update(lowercase="yes"),
            "not a tokenizer.json",
        ),
        (
            "tokenizer.json",
            lambda data: data["model"].update(max_input_chars_per_word="many"),
            "not a tokenizer.json",
        ),
        (
            "tokenizer.json",
            lambda data: data["added_tokens"][-1].update(id=999),
            "an id that it cannot have",
        ),
        (
            "tokenizer_config.json",
            lambda data: data.update(padding_side="up"),
            "'padding_side' is not valid",
        ),
        (
            "tokenizer_config.json",
            lambda data: data.update(unk_token="<u>"),
            "unknown token is not in the vocabulary",
        ),
    ],
)
def test_damaged_json(saved, fast, file, change, message):
    _, folder = saved
    edit(folder / file, change)
    if file == "tokenizer.json":
        (folder / "tokenizer_config.json").unlink()
        (folder / "vocab.txt").unlink()
    with pytest.raises(TokenizerError, match=message):
        load_tokenizer(folder, fast=fast)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tokenizer.json", b"{", "not a JSON file"),
        ("tokenizer_config.json", b"[]", "not an object"),
        ("vocab.txt", b"\xff\n", "not UTF-8"),
        ("vocab.txt", b"", "empty"),
        ("vocab.txt", b"[UNK]\na\na\n", "twice"),
        ("vocab.txt", b"a\nb\n", "list different tokens"),
    ],
)
def test_damaged_files(saved, fast, file, content, message):
    _, folder = saved
    (folder / file).write_bytes(content)
    with pytest.raises(TokenizerError, match=message):
        load_tokenizer(folder, fast=fast)


def test_missing_files(kind, tmp_path):
    with pytest.raises(TokenizerError, match="no tokenizer in this folder"):
        load_tokenizer(tmp_path, fast=kind.is_fast)
    with pytest.raises(TokenizerError, match="is missing"):
        kind(tmp_path / "vocab.txt")
    with pytest.raises(TokenizerError, match="needs a vocabulary"):
        kind()
    with pytest.raises(TypeError, match="do_lowercase"):
        kind(tmp_path / "vocab.txt", do_lowercase=True)


def test_a_token_with_a_line_break_cannot_be_saved(kind, saved):
    _, folder = saved
    (folder / "vocab.txt").unlink()

    def change(data):
        data["model"]["vocab"]["a\nb"] = data["model"]["vocab"].pop("the")

    edit(folder / "tokenizer.json", change)
    with pytest.raises(TokenizerError, match="line break"):
        load_tokenizer(folder, fast=kind.is_fast).save_pretrained(folder)
