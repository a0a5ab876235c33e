"""What a tokenizer may not be given; hostile files are in `attacks/table/tokenizers.py`."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
import tokenizers

from distil import load_tokenizer
from distil.common.tokenizer import (
    AddedToken,
    DistilBertTokenizer,
    DistilBertTokenizerFast,
    added_tokens,
    definition,
    files,
    persistence,
    rust_tokenizer,
)
from distil.errors import CheckpointError, TokenizerError, UnsafeCheckpointError


@pytest.fixture
def folder(vocab_file, tmp_path):
    """A folder with all files of a tokenizer."""
    tokenizer = DistilBertTokenizer(vocab_file)
    tokenizer.add_tokens(["<x>"])
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def edit(path, change):
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def alone(folder, name):
    """Leave one file only, so that it is the one that is judged."""
    for path in folder.iterdir():
        if path.name != name:
            path.unlink()


def words(count):
    return [f"<{number}>" for number in range(count)]


def same_id(data):
    data["added_tokens"].append({**data["added_tokens"][-1], "content": "<other>"})


@pytest.mark.parametrize("fast", [True, False])
def test_two_added_tokens_with_one_id(folder, fast):
    edit(folder / "tokenizer.json", same_id)
    alone(folder, "tokenizer.json")
    with pytest.raises(TokenizerError, match="two added tokens with the id"):
        load_tokenizer(folder, fast=fast)


def test_a_vocabulary_of_too_many_lines(kind, tmp_path, monkeypatch):
    path = tmp_path / "vocab.txt"
    path.write_text("[UNK]\n" + "".join(f"{number}\n" for number in range(20)), encoding="utf-8")
    monkeypatch.setattr(files, "MOST_TOKENS", 20)
    with pytest.raises(TokenizerError, match=r"vocab\.txt has too many lines"):
        kind(path)
    monkeypatch.setattr(files, "MOST_TOKENS", 21)
    assert kind(path).vocab_size == 21
    # Whatever file it came from.
    monkeypatch.setattr(definition, "MOST_TOKENS", 20)
    with pytest.raises(TokenizerError, match="so many tokens"):
        kind(path)


def test_too_many_characters_of_added_tokens(tokenizer, monkeypatch):
    monkeypatch.setattr(added_tokens, "MOST_CHARACTERS", 50)
    with pytest.raises(TokenizerError, match="too many characters in total"):
        tokenizer.add_tokens(["x" * 30])
    monkeypatch.setattr(added_tokens, "MOST_CHARACTERS", 60)
    assert tokenizer.add_tokens(["x" * 30]) == 1


def test_too_many_words_never_split(vocab_file, monkeypatch):
    with pytest.raises(TokenizerError, match="too many words in never_split"):
        DistilBertTokenizer(vocab_file, never_split=words(20_001))
    monkeypatch.setattr(added_tokens, "MOST_TOKENS", 20_001)
    DistilBertTokenizer(vocab_file, never_split=words(20_001))


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json", "added_tokens.json"])
def test_lone_surrogates_in_files(folder, fast, file):
    text = (folder / file).read_text(encoding="utf-8")
    (folder / file).write_text(text.replace("<x>", "<\\ud800>"), encoding="utf-8")
    with pytest.raises(TokenizerError, match="cannot be encoded"):
        load_tokenizer(folder, fast=fast)


def test_lone_surrogates_from_a_caller(kind, vocab_file, monkeypatch):
    tokenizer = kind(vocab_file)
    for add in (
        lambda: tokenizer.add_tokens(["\ud800"]),
        lambda: tokenizer.add_special_tokens({"cls_token": "\ud800"}),
        lambda: kind(vocab_file, mask_token="\ud800"),
    ):
        with pytest.raises(TokenizerError, match="lone surrogate"):
            add()
    monkeypatch.setattr(added_tokens, "check_encodable", lambda _: None)
    if kind is DistilBertTokenizer:
        assert tokenizer.add_tokens(["\ud800"]) == 1
    else:
        with pytest.raises(UnicodeEncodeError):
            tokenizer.add_tokens(["\ud800"])


class PanicException(BaseException):
    """Stands for that of the bindings, which cannot be made."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PanicException("a panic \x1b[2J"), TokenizerError),
        (Exception("plain"), TokenizerError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_panics_of_compiled_code_are_errors(vocab_file, monkeypatch, error, expected):
    class Broken:
        def __getattr__(self, name):
            return self

        def __call__(self, *_, **__):
            raise error

    tokenizer = DistilBertTokenizerFast(vocab_file)
    tokenizer.backend_tokenizer  # noqa: B018 - there is one
    for name in ("ids", "details"):
        pipeline = object.__new__(rust_tokenizer.RustPipeline)
        pipeline.rust = Broken()
        with pytest.raises(
            expected, match="cannot tokenize" if expected is TokenizerError else None
        ):
            getattr(pipeline, name)(["a"], split=False)
    monkeypatch.setattr(tokenizers, "Tokenizer", Broken())
    with pytest.raises(expected) as caught:
        DistilBertTokenizerFast(vocab_file)
    assert "\x1b" not in str(caught.value)


def test_tokens_in_errors_are_printable(tokenizer, tmp_path):
    wild = "\x1b]52;c;cHduZWQ=\x07\u202e"
    with suppress(TokenizerError):
        tokenizer.add_tokens([wild])
    texts = []
    for provoke in (
        lambda: tokenizer.keep_tokens(range(4)),
        lambda: tokenizer.add_special_tokens({"unk_token": wild}),
        lambda: tokenizer.add_special_tokens({wild: "x"}),
        lambda: AddedToken.read({"content": "x", "lstrip": wild}),
        lambda: type(tokenizer)(tmp_path / wild),
        lambda: tokenizer([b"x", wild], padding=wild),
        lambda: tokenizer("x", truncation=wild),
        lambda: tokenizer.pad({wild: [1]}),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - each says something else
            provoke()
        texts.append(str(caught.value))
    assert not {"\x1b", "\x07", "\u202e"} & set("".join(texts))


def test_files_that_cannot_be_written(tokenizer, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        tokenizer.save_pretrained(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(TokenizerError, match="folder cannot be created"):
        tokenizer.save_pretrained(tmp_path / "file")


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("file", sorted(files.ALL_FILES))
def test_a_link_put_in_place_between_the_look_and_the_reading(
    folder, tmp_path_factory, fast, file, monkeypatch
):
    outside = tmp_path_factory.mktemp("outside") / file
    (folder / file).rename(outside)
    (folder / file).symlink_to(outside)
    # Whoever looked saw a plain file: the reading itself refuses the link.
    monkeypatch.setattr(persistence, "check_own_file", lambda _: None)
    with pytest.raises(UnsafeCheckpointError, match="leaves the checkpoint's folder"):
        load_tokenizer(folder, fast=fast)
    monkeypatch.setattr(files, "_read_bytes", lambda given: Path(given).read_bytes())
    load_tokenizer(folder, fast=fast)
