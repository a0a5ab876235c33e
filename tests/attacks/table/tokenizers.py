"""Files of the tokenizer."""

from __future__ import annotations

import json
import os
from typing import Any

from attacks import made
from attacks.table.row import NESTED, Attack, put, rows


def _regex(pattern: str) -> Any:
    return put(
        "normalizer",
        to={"type": "Replace", "pattern": {"Regex": pattern}, "content": "x"},
    )


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
            _JSON, put("post_processor", to={"type": "Sequence", "processors": []})), "frames"),
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
)  # fmt: skip
