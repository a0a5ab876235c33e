"""config.json, also as announced, and sizes that only the weights can refute."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from attacks import made
from attacks.made import CONFIG, SAFETENSORS
from attacks.table.row import NESTED, rows


def _huge(folder: Path) -> None:
    made.whole(folder)
    with (folder / CONFIG).open("r+b") as file:
        file.truncate(300 * 1024 * 1024)  # zeros, which take no room on the disk


def _linked_to_the_system(folder: Path) -> None:
    made.whole(folder)
    (folder / CONFIG).unlink()
    (folder / CONFIG).symlink_to("/etc/passwd")


def _announced(folder: Path) -> Path:
    """An announcement for the weights that are there, as a kill leaves it."""
    digest = hashlib.sha256((made.whole(folder) / SAFETENSORS).read_bytes()).hexdigest()
    path = folder / f".config.{digest}.json"
    path.write_text((folder / CONFIG).read_text())
    return path


def _announced_as_pipe(folder: Path) -> None:
    path = _announced(folder)
    path.unlink()
    os.mkfifo(path)


def _announced_as_link(folder: Path) -> None:
    path = _announced(folder)
    outside = folder.parent / "outside.json"
    path.rename(outside)
    path.symlink_to(outside)


def _announced_for_a_terabyte(folder: Path) -> None:
    _announced(folder)
    os.truncate(folder / SAFETENSORS, 1 << 40)  # no room on the disk


def _any_announcement(folder: Path) -> None:
    """One that is not of these weights, so that they would be read for nothing."""
    made.whole(folder)
    (folder / ".config.reviewed.json").write_text("{}")
    os.truncate(folder / SAFETENSORS, 1 << 40)


ATTACKS = (
    *rows(
        "config", CONFIG, "",
        ("names a class in auto_map",
         made.config(auto_map={"AutoModel": "attack_module.Evil", "AutoConfig": "a--b.E"}), None),
        ("names code for transformers",
         made.config(custom_pipelines={"x": {"impl": "attack_module.Evil"}},
                     trust_remote_code=True), None),
        ("a key is called self", made.config(self=1), None),
        ("a key is called __class__", made.config(__class__="x", __init__=1, __dict__={}), None),
        ("a key of a million characters", made.config(**{"x" * 10**6: 1}), None),
        ("deep nesting", made.content(CONFIG, NESTED), "not a JSON file"),
        ("a number of 5000 digits", made.content(CONFIG, b'{"dim":' + b"9" * 5000 + b"}"),
         "number in JSON is too long"),
        ("not UTF-8", made.content(CONFIG, b'{"\xff": 1}'), "not a JSON file"),
        ("empty", made.content(CONFIG, b""), "not a JSON file"),
        ("cut off", made.damaged(CONFIG, "safetensors", made.cut(0.5)), "not a JSON file"),
        ("a loop of links", made.instead(CONFIG, "loop"), "cannot be read"),
        ("a link to nothing", made.instead(CONFIG, "nothing"), "missing"),
    ),
    *rows(
        "config", CONFIG, "type of the model",
        ("is of a type of its own", made.config(model_type="attack_module"), "model of this type"),
        ("its type is a table", made.config(model_type={"a": 1}), "model of this type"),
    ),
    *rows(
        "config", CONFIG, "rules of the fields",
        ("extra is no table", made.config(extra=5), "extra"),
        ("a billion layers", made.config(n_layers=10**9), "n_layers is not valid"),
        ("layers without end", made.config(n_layers=10**400), "n_layers is not valid"),
        ("two billion labels", made.config(num_labels=2**31 - 1, id2label=None, label2id=None),
         "num_labels is not valid"),
        ("labels are a number", made.config(id2label=5), "id2label is not valid"),
        ("labels are named as files", made.config(id2label={"../x": "a"}), "id2label is not valid"),
        ("a negative width", made.config(dim=-32), "dim is not valid"),
        ("a width that is a text", made.config(dim="32"), "dim is not valid"),
        ("a width that is a fraction", made.config(dim=32.0), "dim is not valid"),
        ("a width that is a list", made.config(dim=[32] * 1000), "dim is not valid"),
        ("no heads", made.config(n_heads=0), "n_heads is not valid"),
        ("a rate beyond 1", made.config(dropout=1.5), "dropout is not valid"),
        ("a spread without end", made.config(initializer_range=10**400),
         "initializer_range is not valid"),
        ("an activation that is code", made.config(activation="__import__('os').system"),
         "activation is not valid"),
        ("an activation of a million characters", made.config(activation="x" * 10**6),
         "activation is not valid"),
        ("heads that do not divide the width", made.config(n_heads=5), "dim"),
        ("a padding token beyond the words", made.config(pad_token_id=10**9), "pad_token_id"),
        ("pruned heads of no layer", made.config(pruned_heads={"99": [0]}), "pruned_heads"),
        ("a field by two names", made.config(hidden_size=64), "twice"),
    ),
    *rows(
        "config", CONFIG, "kind of quantization",
        ("weights stored by another library",
         made.config(quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}),
         "in a way that is not read"),
        ("quantization that is no table", made.config(quantization_config=[8]),
         "in a way that is not read"),
        ("quantization that is code",
         made.config(quantization_config={"quant_method": "__import__('os').system"}),
         "in a way that is not read"),
    ),
    *rows(
        "config", CONFIG, "keys once",
        ("a key twice", made.content(CONFIG, b'{"dim": 32, "dim": 64}'), "a key occurs twice"),
    ),
    *rows(
        "config", CONFIG, "depth of tables",
        ("nesting just not too deep for JSON",
         made.content(CONFIG, b'{"a":' * 400 + b"1" + b"}" * 400), "nested too deeply"),
    ),
    *rows(
        "config", CONFIG, "size of JSON",
        ("300 MB", _huge, "too large"),
    ),
    *rows(
        "config", CONFIG, "values of JSON",
        ("a million lists", made.content(CONFIG, b'{"a":[' + b"[]," * 1_000_000 + b"1]}"),
         "JSON holds too many values"),
    ),
    *rows(
        "config", CONFIG, "text that can be encoded",
        ("half a character in a label", made.content(CONFIG, b'{"id2label": {"0": "\\ud800"}}'),
         "cannot be encoded"),
        ("half a character in a name", made.content(CONFIG, b'{"x\\uDFFF": 1}'),
         "cannot be encoded"),
    ),
    *rows(
        "config", CONFIG, "JSON objects",
        ("a list", made.content(CONFIG, b"[]"), "not an object"),
    ),
    *rows(
        "config", CONFIG, "own files",
        ("a link that leaves the folder", made.linked(CONFIG), "leaves the checkpoint's folder"),
        ("a link to a file of the system", _linked_to_the_system, "leaves the checkpoint's folder"),
        ("an endless device", made.instead(CONFIG, "endless device"), "leaves"),
    ),
    *rows(
        "config", CONFIG, "plain files",
        ("a pipe", made.instead(CONFIG, "pipe"), "not a file"),
        ("a folder", made.instead(CONFIG, "folder"), "not a file"),
    ),
    *rows("config", ".config.", "own files",
          ("an announcement that leaves the folder", _announced_as_link, "leaves")),
    *rows("config", ".config.", "plain files",
          ("an announcement that is a pipe", _announced_as_pipe, "not a file")),
    *rows("config", SAFETENSORS, "size of what is hashed",
          ("an announcement beside a terabyte of weights", _announced_for_a_terabyte,
           "too large to look for")),
    *rows("announcement", "", "names of announcements",
          ("a file named like an announcement beside a terabyte", _any_announcement, None)),
    *rows(
        "weights", SAFETENSORS, "report of the weights",
        ("sizes that would need terabytes",
         made.config(dim=2**20, hidden_dim=2**31 - 1, vocab_size=2**31 - 1), "other shapes"),
        ("words that would need terabytes", made.config(vocab_size=2**31 - 1), "other shapes"),
        ("positions that would need terabytes",
         made.config(max_position_embeddings=2**31 - 1, sinusoidal_pos_embds=True),
         "other shapes"),
        ("more layers than weights", made.config(n_layers=256), "missing"),
        ("more labels than weights",
         made.config(num_labels=100_000, id2label=None, label2id=None), "other shapes"),
    ),
)  # fmt: skip
