"""Files of the tokenizer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from attacks import made
from attacks.table.row import NESTED, Attack, put, rows


def _regex(pattern: str) -> Any:
    return put(
        "normalizer",
        to={"type": "Replace", "pattern": {"Regex": pattern}, "content": "x"},
    )


def _added(*contents: str) -> Callable[[dict[str, Any]], None]:
    """These as the added tokens, with the ids that follow the vocabulary's."""

    def change(table: dict[str, Any]) -> None:
        first = len(table["model"]["vocab"])
        table["added_tokens"] = [
            {"id": first + number, "content": content} for number, content in enumerate(contents)
        ]

    return change


def _nest(table: dict[str, Any]) -> None:
    for _ in range(33):
        table["version"] = [table["version"]]


_JSON, _VOCABULARY, _OPTIONS = "tokenizer.json", "vocab.txt", "tokenizer_config.json"

ATTACKS: tuple[Attack, ...] = (
    *rows(
        "tokenizer", _VOCABULARY, "",
        ("vocab.txt twice the same", made.tokenizer(_VOCABULARY, b"[UNK]\na\na\n"), "twice"),
        ("vocab.txt not UTF-8", made.tokenizer(_VOCABULARY, b"\xff\xfe\n"), "not UTF-8"),
        ("vocab.txt empty", made.tokenizer(_VOCABULARY, b""), "empty"),
        ("vocab.txt of a million characters twice",
         made.tokenizer(_VOCABULARY, (b"x" * 10**6 + b"\n") * 2), "twice"),
        ("vocab.txt too large", lambda folder: (
            made.whole(folder), os.truncate(folder / _VOCABULARY, 300 * 1024 * 1024)),
         "too large"),
        ("vocab.txt leaves the folder", made.linked(_VOCABULARY), "leaves"),
        ("vocab.txt is a pipe", made.instead(_VOCABULARY, "pipe"), "not a file"),
        ("vocab.txt is an endless device", made.instead(_VOCABULARY, "endless device"), "leaves"),
        ("vocab.txt is a folder", made.instead(_VOCABULARY, "folder"), "not a file"),
    ),
    *rows(
        "tokenizer", "", "",
        ("vocab.txt with a line of a million characters", made.tokenizer(
            _VOCABULARY, b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n" + b"x" * 10**6), None),
        ("vocab.txt lacks the unknown token", made.tokenizer(_VOCABULARY, b"a\nb\n"), "unknown"),
        ("tokenizer.json: an expression that takes for ever",
         made.tokenizer(_JSON, _regex("(a+)+$x")), "regular expression|not that of a BERT"),
        ("tokenizer.json: an expression that is none",
         made.tokenizer(_JSON, _regex("(")), "regular expression|not that of a BERT"),
        ("tokenizer.json: an expression in the splitter", made.tokenizer(_JSON, put(
            "pre_tokenizer", to={"type": "Split", "pattern": {"Regex": "(a|a)*b"},
                                 "behavior": "Isolated", "invert": False})),
         "regular expression|not that of a BERT"),
        ("tokenizer.json: another algorithm",
         made.tokenizer(_JSON, put("model", "type", to="attack_module.Evil")),
         "not accept|not that of a BERT"),
        ("tokenizer.json: ids beyond all", made.tokenizer(
            _JSON, put("model", "vocab", to={"[UNK]": 2**62})), "consecutive"),
        ("tokenizer.json: ids that are texts", made.tokenizer(
            _JSON, put("model", "vocab", to={"[UNK]": "0"})), "consecutive"),
        ("tokenizer.json: an added token with the id of another", made.tokenizer(
            _JSON, put("added_tokens", to=[{"id": 7, "content": "evil"}])), "id"),
        ("tokenizer.json: an added token beyond all", made.tokenizer(
            _JSON, put("added_tokens", to=[{"id": 10**12, "content": "evil"}])), "id"),
        ("tokenizer.json: another frame", made.tokenizer(
            _JSON, put("post_processor", to={"type": "Sequence", "processors": []})),
         "in another way than BERT"),
        ("tokenizer.json: nothing", made.tokenizer(_JSON, b"{}"), "not a tokenizer.json"),
        ("tokenizer.json: nested without end", made.tokenizer(_JSON, NESTED), "not a JSON"),
        ("tokenizer.json: 300 MB", lambda folder: (
            made.whole(folder), (folder / _JSON).touch(),
            os.truncate(folder / _JSON, 300 * 1024 * 1024)), "too large"),
        ("tokenizer.json leaves the folder", lambda folder: (
            made.whole(folder), (folder / _JSON).symlink_to("/etc/passwd")), "leaves"),
        ("tokenizer.json is a pipe", made.instead(_JSON, "pipe"), "not a file"),
        ("options leave the folder", lambda folder: (
            made.whole(folder), (folder / _OPTIONS).symlink_to("/etc/passwd")), "leaves"),
        ("options name code", made.tokenizer(_OPTIONS, json.dumps({
            "auto_map": {"AutoTokenizer": ["attack_module.Evil", None]},
            "tokenizer_class": "attack_module.Evil"}).encode()), None),
        ("options: a length that is a text",
         made.tokenizer(_OPTIONS, b'{"model_max_length": "x"}'), "model_max_length"),
        ("options: tokens that are numbers", made.tokenizer(_OPTIONS, b'{"cls_token": 5}'),
         "cls_token"),
        ("options: an id of 5000 digits", made.tokenizer(
            _OPTIONS, b'{"added_tokens_decoder": {"' + b"9" * 5000 + b'": {"content": "a"}}}'),
         "added_tokens_decoder"),
        ("options: a list", made.tokenizer(_OPTIONS, b"[]"), "not an object"),
        ("added tokens: ids that are texts", made.tokenizer("added_tokens.json", b'{"x": "y"}'),
         "number"),
        ("special tokens: a list of numbers", made.tokenizer(
            "special_tokens_map.json", b'{"additional_special_tokens": [1, 2]}'), "special"),
    ),
    *rows(
        "tokenizer", "", "length of words",
        ("tokenizer.json: words of 1,001 characters", made.tokenizer(
            _JSON, put("model", "max_input_chars_per_word", to=1001)),
         "so many characters in a word"),
    ),
    *rows(
        "tokenizer", "", "length of a prefix",
        ("tokenizer.json: a prefix of 17 characters", made.tokenizer(
            _JSON, put("model", "continuing_subword_prefix", to="#" * 17)),
         "so many characters before a piece"),
    ),
    *rows(
        "tokenizer", "", "number of added tokens",
        ("tokenizer.json: 20,001 added tokens", made.tokenizer(
            _JSON, _added(*(f"<{number}>" for number in range(20_001)))),
         "too many added tokens"),
    ),
    *rows(
        "tokenizer", "", "length of added tokens",
        ("tokenizer.json: an added token of 1,001 characters", made.tokenizer(
            _JSON, _added("x" * 1001)), "has too many characters"),
    ),
    *rows(
        "tokenizer", "", "depth of a tokenizer's files",
        ("tokenizer.json: 33 lists in each other", made.tokenizer(_JSON, _nest),
         "nested too deeply"),
    ),
    *rows(
        "tokenizer", "", "numbers of a tokenizer's files",
        ("options: NaN", made.tokenizer(_OPTIONS, put("mine", to=[{"x": float("nan")}])),
         "not a JSON number"),
    ),
    *rows(
        "tokenizer", "", "one key for each id",
        ("options: one id by two keys", made.tokenizer(_OPTIONS, put(
            "added_tokens_decoder", "02", to={"content": "[MASK]"})), "added_tokens_decoder"),
    ),
)  # fmt: skip
