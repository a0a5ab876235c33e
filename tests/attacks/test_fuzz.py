"""Damaged files of every reader that has no such test beside it: an error of distil's, or none.

`fuzz/` does the same for longer, guided by coverage.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attacks import made
from distil.checkpoints import open_checkpoint
from distil.common.config import DistilBertConfig
from distil.common.tokenizer import DistilBertTokenizer, DistilBertTokenizerFast
from distil.errors import CheckpointError, ConfigError, DistilError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def damaged_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file with some bytes changed, left out or repeated."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["byte", "cut", "repeat", "end"])):
            case "byte" if data:
                data[place] = draw(st.integers(0, 255))
            case "cut":
                del data[place : place + draw(st.integers(1, 40))]
            case "repeat":
                data[place:place] = data[place : place + draw(st.integers(1, 40))]
            case "end":
                del data[place:]
    return bytes(data)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value within tables and lists."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(inner, (*path, step))
    return found


@st.composite
def damaged_json(draw: st.DrawFn, whole: bytes) -> bytes:
    """A JSON file with other values, keys more or less; now and then with other bytes."""
    table = json.loads(whole)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(places(table)[:400]))
        inner = table
        for step in way:
            inner = inner[step]
        if isinstance(inner, dict) and draw(st.booleans()):
            inner.pop(last, None)
        elif isinstance(inner, dict) or (isinstance(inner, list) and last < len(inner)):
            inner[last] = draw(VALUES)
        if not places(table):
            break
    data = json.dumps(table).encode("utf-8", "replace")
    return draw(damaged_bytes(data)) if draw(st.integers(0, 9)) == 0 else data


def read_config(folder: Path) -> None:
    config = DistilBertConfig.from_pretrained(folder)
    assert DistilBertConfig.from_dict(json.loads(config.to_json_string())) == config
    with suppress(ConfigError):  # its labels may not be named 0 and 1 and so on
        config.replace(num_labels=2)


def read_weights(folder: Path) -> None:
    with open_checkpoint(folder) as checkpoint:
        for tensor in checkpoint.tensors.values():
            assert isinstance(tensor.read(), np.ndarray)
            assert tensor.read().shape == tensor.shape


def read_tokenizer(folder: Path) -> None:
    for cls in (DistilBertTokenizer, DistilBertTokenizerFast):
        tokenizer = cls.from_pretrained(folder)
        tokenizer(["The good film, it was!", "  paris"], padding=True)


def hold(folder: Path, name: str, data: bytes, read: Callable[[Path], None]) -> None:
    (folder / name).write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(DistilError):
            read(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in shards, with every file that a tokenizer has."""
    place = made.whole(tmp_path_factory.mktemp("whole") / "model", shards=True)
    DistilBertTokenizer.from_pretrained(place).save_pretrained(place)
    return place


JSON_FILES = {
    made.CONFIG: read_config,
    made.INDEX: read_weights,
    "tokenizer.json": read_tokenizer,
    "tokenizer_config.json": read_tokenizer,
    "special_tokens_map.json": read_tokenizer,
}


@pytest.mark.parametrize("name", JSON_FILES)
@FUZZ
@given(data=st.data())
def test_json_files(folder: Path, name: str, data: st.DataObject) -> None:
    whole = (folder / name).read_bytes()
    try:
        hold(folder, name, data.draw(damaged_json(whole)), JSON_FILES[name])
    finally:
        (folder / name).write_bytes(whole)


@FUZZ
@given(data=st.data())
def test_vocabulary(folder: Path, tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    alone = tmp_path_factory.getbasetemp() / "vocabulary"
    alone.mkdir(exist_ok=True)
    whole = (folder / "vocab.txt").read_bytes()
    hold(alone, "vocab.txt", data.draw(damaged_bytes(whole)), read_tokenizer)


@pytest.mark.pt
@pytest.mark.parametrize("zipped", [True, False])
@FUZZ
@given(data=st.data())
def test_bin_files(
    tmp_path_factory: pytest.TempPathFactory, zipped: bool, data: st.DataObject
) -> None:
    import torch

    place = tmp_path_factory.getbasetemp() / f"bin{zipped}"
    place.mkdir(exist_ok=True)
    whole = place / "whole"
    if not whole.exists():
        state = {"a.weight": torch.ones(5, 3), "a.bias": torch.ones(3)}
        torch.save(state, whole, _use_new_zipfile_serialization=zipped)
    with suppress(CheckpointError):
        hold(place, made.BIN, data.draw(damaged_bytes(whole.read_bytes())), read_weights)
