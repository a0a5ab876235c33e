"""Indexes of shards."""

from __future__ import annotations

from typing import Any

from attacks import made
from attacks.made import INDEX
from attacks.table.row import NESTED, put, rows

_OUTSIDE = ("../outside.safetensors", "/etc/outside.safetensors", "..\\outside.safetensors",
            "x\0.safetensors", "sub/x.safetensors", "C:outside.safetensors", ".safetensors",
            "x" * 10**6 + ".safetensors")  # fmt: skip


def _swapped(table: dict[str, Any]) -> None:
    names = table["weight_map"]
    first, second = sorted(set(names.values()))[:2]
    other = {first: second, second: first}
    table["weight_map"] = {name: other.get(file, file) for name, file in names.items()}


ATTACKS = (
    *rows(
        "weights", "model", "",
        ("a total that lies", made.index(put("metadata", to={"total_size": 10**18})), None),
        ("nested without end", made.content(INDEX, NESTED), "not a JSON file"),
        ("cut off", made.damaged(INDEX, "safetensors", made.cut(0.5)), "not a JSON file"),
    ),
    *rows(
        "weights", "model", "names of shards",
        *((f"a shard called {name[:24]!r}", made.shard_called(name), "not a plain file")
          for name in _OUTSIDE),
        ("a shard that is a number", made.index(lambda t: t["weight_map"].update(x=3)),
         "not a plain file"),
    ),
    *rows(
        "weights", "model", "text that can be encoded",
        ("a shard called by half a character", made.shard_called("\ud800.safetensors"),
         "cannot be encoded"),
    ),
    *rows(
        "weights", "model", "shards are there",
        ("a shard that is not there",
         made.index(lambda t: t["weight_map"].update(x="none.safetensors")), "shard is missing"),
        ("a weight of a million characters",
         made.index(lambda t: t["weight_map"].update({"x" * 10**6: "none.safetensors"})),
         "shard is missing"),
    ),
    *rows(
        "weights", "model", "weights of shards",
        ("a weight that no shard has",
         made.index(lambda t: t["weight_map"].update(x=next(iter(t["weight_map"].values())))),
         "shard lacks"),
        ("a weight left out", made.index(lambda t: t["weight_map"].popitem()),
         "shard has a weight"),
        ("weights in each other's shards", made.index(_swapped), "shard lacks"),
    ),
    *rows(
        "weights", "model", "table of an index",
        ("no weights", made.index(put("weight_map", to={})), "names no weights"),
        ("weights that are a list", made.index(put("weight_map", to=[])), "names no weights"),
    ),
    *rows(
        "weights", "model", "number of shards",
        ("20,000 shards", made.index(put("weight_map", to={
            f"w{number}": f"{number}.safetensors" for number in range(20_000)})),
         "too many shards"),
    ),
    *rows(
        "weights", "model", "keys once",
        ("a key twice", made.content(INDEX, b'{"weight_map":{"a":"x","a":"y"}}'),
         "a key occurs twice"),
    ),
    *rows(
        "weights", "model", "own files",
        ("a shard that leaves the folder", made.linked("model-00001*", shards=True), "leaves"),
        ("an index that leaves the folder", made.linked(INDEX, shards=True), "leaves"),
    ),
    *rows(
        "weights", "model", "plain files",
        ("a shard that is a pipe", made.instead("model-00001*", "pipe", shards=True),
         "not a file"),
        ("an index that is a pipe", made.instead(INDEX, "pipe", shards=True), "not a file"),
        ("a shard that is a folder", made.instead("model-00001*", "folder", shards=True),
         "not a file"),
    ),
)  # fmt: skip
