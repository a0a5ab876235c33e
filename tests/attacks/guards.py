"""The guards of the loaders, and how each is taken away, as if nobody had written it.

A test then requires that the attacks it stops are no longer refused as they were: one that
passes without its guard would prove nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _own_files() -> None:
    from distil.storage import opened

    opened._root_of = lambda target, path: target.parent


def _plain_files() -> None:
    from distil.storage import opened

    opened._FLAGS = 0
    opened._regular = lambda descriptor, path: os.fdopen(descriptor, "rb")


def _keys_once() -> None:
    from distil.storage import files

    files.json = SimpleNamespace(
        loads=lambda text, **_: json.loads(text), JSONDecodeError=json.JSONDecodeError,
        dumps=json.dumps,
    )  # fmt: skip


def _encodable() -> None:
    from distil.storage import files

    files.json = SimpleNamespace(
        loads=json.loads, JSONDecodeError=json.JSONDecodeError, dumps=lambda *_, **__: ""
    )


def _objects() -> None:
    from distil.storage import files

    files.dict = object  # whatever JSON gives is one


def _model_type() -> None:
    from distil.common.config import DistilBertConfig

    read = DistilBertConfig.from_dict.__func__
    DistilBertConfig.from_dict = classmethod(
        lambda cls, table, **more: read(cls, {**table, "model_type": "distilbert"}, **more)
    )


def _config_rules() -> None:
    from distil.common import config, config_values

    config.refuse = config_values.refuse = _nothing
    config.native_names = lambda values: {**values}
    config.DistilBertConfig._check_together = _nothing


def _long_header() -> None:
    from distil.storage import safetensors_file
    from distil.storage.files import parse_json

    def header(file: Any) -> Any:
        length = int.from_bytes(file.bytes(0, 8), "little")
        return 8 + length, parse_json(file.bytes(8, 8 + length), where=str(file.path))

    safetensors_file._header = header


def _header_types() -> None:
    from distil.storage import safetensors_file

    def tensor(file: Any, start: int, name: str, entry: Any) -> Any:
        begin, end = entry["data_offsets"]
        dtype = safetensors_file._DTYPES["F32"]
        return file.tensor(name, start + begin, tuple(entry["shape"]), dtype), (begin, end)

    safetensors_file._tensor = tensor


def _place() -> None:
    from distil.storage import safetensors_file

    safetensors_file._place = lambda offsets, *_, **__: offsets[0]


def _h5_library() -> None:
    """Read HDF5 as its library would, following whatever the file says."""
    import h5py
    import numpy as np

    from distil.checkpoints import opening
    from distil.storage.tensors import StoredTensor

    def read(path: Path) -> Any:
        tensors: dict[str, StoredTensor] = {}

        def visit(group: Any, prefix: str) -> None:
            for name in group:
                item = group.get(name)
                if isinstance(item, h5py.Dataset):
                    values = np.array(item)
                    whole = prefix + name
                    tensors[whole] = StoredTensor(
                        whole, path, values.shape, values.dtype, lambda values=values: values
                    )
                elif item is not None:
                    visit(item, f"{prefix}{name}/")

        with h5py.File(path, "r") as file:
            visit(file, "")
        return tensors, tensors.clear

    opening._READERS = {**opening._READERS, ".h5": read}


def _datasets_elsewhere() -> None:
    from distil.storage import h5_reader

    h5_reader.ELSEWHERE = frozenset()
    h5_reader.structure.contiguous = lambda messages: (0, 384)


def _dataset_sizes() -> None:
    from distil.storage import h5_reader

    h5_reader._Reader._tensor = _unchecked_tensor


def _unchecked_tensor(self: Any, name: str, messages: Any) -> Any:
    from distil.storage import h5_reader

    shape = h5_reader.structure.shape(messages)
    dtype = h5_reader.dtype_of(messages[3][0], name=name, where=self._path)
    return self._mapped.tensor(name, 0, shape, dtype)


def _dataset_types() -> None:
    import numpy as np

    from distil.storage import h5_reader

    h5_reader.dtype_of = lambda message, **_: np.dtype(f"f{message[4]}" if message[4] < 9 else "f8")


def _datasets_in_groups() -> None:
    from distil.storage import h5_reader

    h5_reader.structure.is_group = lambda messages: True


def _pickle_scan() -> None:
    from distil.storage import bin_file

    bin_file.check_pickle = lambda *_, **__: {}
    bin_file.check_older_form = _nothing


def _weights_only() -> None:
    import torch

    load = torch.load
    torch.load = lambda *given, **options: load(*given, **options | {"weights_only": False})


def _names_of_tensors() -> None:
    from distil.storage import bin_file

    bin_file.any = lambda _: False


def _announcements() -> None:
    from distil.storage import pending

    pending._PATTERN = ".config.*.json"
    pending._MAX_WEIGHTS = 1 << 50


def _set(module: str, name: str, value: Any) -> Callable[[], None]:
    """A guard that is one function or number of a module or class."""

    def take_away() -> None:
        import importlib

        place, _, inner = module.partition(":")
        owner = importlib.import_module(f"distil.{place}")
        setattr(getattr(owner, inner) if inner else owner, name, value)

    return take_away


_BOUNDLESS = 1 << 60

# By name: what it does, as the documentation says it, and how to take it away.
GUARDS: dict[str, tuple[str, Callable[[], None]]] = {
    "own files": (
        "a file is opened only in the checkpoint's folder (or the hub cache's blobs)", _own_files),
    "plain files": ("a pipe, device or folder is no file; opening never waits", _plain_files),
    "keys once": ("a key occurs once in a JSON object", _keys_once),
    "text that can be encoded": ("no lone surrogates in JSON", _encodable),
    "JSON objects": ("the outermost value of a JSON file is an object", _objects),
    "size of JSON": (
        "JSON files have at most 16 MB", _set("storage.files", "MAX_JSON_BYTES", _BOUNDLESS)),
    "values of JSON": (
        "JSON has at most a million values",
        _set("storage.files", "_MAX_JSON_VALUES", _BOUNDLESS)),
    "depth of tables": (
        "tables of config.json are at most 50 deep",
        _set("common.config_files", "check_plain", _nothing)),
    "type of the model": ("`model_type` is distilbert or bert", _model_type),
    "rules of the fields": ("each field has a type and a range, and they fit together",
                            _config_rules),
    "kind of quantization": (
        "weights in int8 are stored in the one way that is read",
        _set("common.stored_int8", "check_quantization", _nothing)),
    "names of announcements": (
        "only `.config.<sha256>.json` announces a configuration", _announcements),
    "size of what is hashed": (
        "weights of more than 4 GB are not read for an announcement",
        _set("storage.pending", "_MAX_WEIGHTS", _BOUNDLESS)),
    "report of the weights": (
        "all weights of the encoder are there, in the shapes of config.json",
        _set("checkpoints.load_report:LoadReport", "check", _nothing)),
    "finite values": (
        "no NaN or infinity (`convert`)", _set("checkpoints.matching", "_check_finite", _nothing)),
    "bytes with their scales": (
        "a weight in int8 has a scale for each row",
        _set("common.stored_int8", "check_pair", _nothing)),
    "nothing left of int8": (
        "scales belong to a weight in int8, and there are no zero points",
        _set("common.stored_int8", "check_alone", _nothing)),
    "scales": (
        "scales are finite and above 0", _set("common.stored_int8", "check_scales", _nothing)),
    "length of the header": (
        "a safetensors header fits into the file and 16 MB", _long_header),
    "types in a header": ("a weight has a type that numpy knows", _header_types),
    "places of weights": ("a weight lies within the file", _place),
    "no bytes between weights": (
        "weights lie one after another, from the first byte to the last",
        _set("storage.safetensors_file", "_check_runs", _nothing)),
    "shapes": (
        "a shape has at most 32 sizes, and a product that can be",
        _set("storage.safetensors_file", "check_shape", lambda shape, **_: tuple(shape))),
    "metadata": (
        "metadata are texts", _set("storage.safetensors_file", "_check_metadata", _nothing)),
    "HDF5 without its library": (
        "distil reads HDF5 itself: names, and plain arrays of the same file", _h5_library),
    "external files and filters": (
        "a dataset's values are plain bytes of the file", _datasets_elsewhere),
    "sizes of datasets": ("a dataset lies within the file", _dataset_sizes),
    "shapes of datasets": (
        "a shape has at most 32 sizes, and a product that can be",
        _set("storage.h5_reader", "check_shape", lambda shape, **_: tuple(shape))),
    "types of datasets": ("a dataset holds floating-point numbers or integers", _dataset_types),
    "levels of trees": (
        "the levels of a tree fall by one",
        _set("storage.h5_structure:Structure", "_check_level", _nothing)),
    "parts of HDF5 once": (
        "each header, node and leaf is reached by one way",
        _set("storage.h5_structure:Structure", "_once", _nothing)),
    "names of HDF5 together": (
        "names and headers have at most 16 MB together",
        _set("storage.h5_structure:Structure", "spend", _nothing)),
    "one name for each array": (
        "an object has one name",
        _set("storage.h5_reader:_Reader", "_messages",
             lambda self, name, address: self._file.messages(address))),
    "datasets in groups": ("a file holds groups and datasets", _datasets_in_groups),
    "depth of groups": (
        "groups are at most 32 deep", _set("storage.h5_reader", "_MAX_DEPTH", _BOUNDLESS)),
    "names of shards": (
        "a shard is the name of a file beside the index",
        _set("storage.index", "_check_shard_name", _nothing)),
    "shards are there": (
        "every shard is there before one is opened",
        _set("storage.index", "check_own_file", _nothing)),
    "weights of shards": (
        "a shard has the weights that the index says, and no other",
        _set("checkpoints.opening", "_check_shard", _nothing)),
    "table of an index": (
        "an index names at least one weight",
        _set("storage.index", "_weight_map", lambda index, path: index["weight_map"])),
    "number of shards": (
        "at most 10,000 shards", _set("storage.index", "_MAX_SHARDS", _BOUNDLESS)),
    "pickle scan": (
        "the pickle is scanned, without being run, for anything but tensors in storages",
        _pickle_scan),
    "weights_only": ("PyTorch unpickles with `weights_only=True`", _weights_only),
    "sizes of storages": (
        "an entry has the bytes that its storage declares",
        _set("storage.bin_file", "_check_sizes", _nothing)),
    "tensors within their storages": (
        "a tensor lies within its storage",
        _set("storage.pickles:_Scan", "_check_tensor", _nothing)),
    "values of tensors": (
        "a tensor has no more values than its storage",
        _set("storage.bin_file", "_check_not_expanded", _nothing)),
    "names of tensors": ("a weight's name is text that can be encoded", _names_of_tensors),
    "size of a pickle": (
        "a pickle has at most 1 MB", _set("storage.bin_file", "MAX_PICKLE_BYTES", _BOUNDLESS)),
    "older form within its file": (
        "storages of the older form fit into the file together",
        _set("storage.pickles", "_check_room", _nothing)),
    "entries as they are": (
        "nothing in an archive is compressed",
        _set("storage.archive:_Archive", "_check_stored", _nothing)),
    "one archive in a file": (
        "an archive is as PyTorch writes it, in one piece",
        _set("storage.archive:_Archive", "_ambiguous", _nothing)),
    "length of words": (
        "a tokenizer cuts words of at most 1,000 characters",
        _set("common.tokenizer.definition", "LONGEST_WORD", _BOUNDLESS)),
    "length of a prefix": (
        "what a piece of a word begins with has at most 16 characters",
        _set("common.tokenizer.definition", "LONGEST_PREFIX", _BOUNDLESS)),
    "number of added tokens": (
        "at most 20,000 added tokens",
        _set("common.tokenizer.added_tokens", "MOST_TOKENS", _BOUNDLESS)),
    "length of added tokens": (
        "an added token has at most 1,000 characters",
        _set("common.tokenizer.added_tokens", "LONGEST_TOKEN", _BOUNDLESS)),
    "depth of a tokenizer's files": (
        "tables in a tokenizer's files are at most 32 deep",
        _set("common.tokenizer.files", "_DEEPEST", 1000)),
    "numbers of a tokenizer's files": (
        "no NaN or infinity in a tokenizer's files",
        _set("common.rules", "isfinite", lambda _: True)),
    "one key for each id": (
        "an id is written in one way, without zeros before it",
        _set("common.tokenizer.persistence", "_ID", re.compile("[0-9]+"))),
}  # fmt: skip
