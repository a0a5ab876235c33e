"""Calibration: ranges from the checkpoint, else from the cache, else measured and kept."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from distil.common.inference.calibration import Calibration, default_cache, sample_texts
from distil.common.inference.ranges import fingerprint, linear_layers, save_ranges
from distil.common.initial import initial_weight
from distil.common.spec import KEY, QUERY, VALUE, parameters
from distil.errors import CheckpointError, CheckpointWarning, InputError
from support.models import TINY

SEQUENCES = [[5, 6, 7], [8]]
OWN = {name for name in linear_layers(TINY) if not name.endswith(("k_lin", "v_lin"))}


def weights_for(task="base", config=TINY):
    table = parameters(config, task)
    return {weight.name: initial_weight(config, weight, 0) for weight in table}


@pytest.fixture
def measured():
    """What was measured on, one entry for each time."""
    return []


@pytest.fixture
def ranges(measured, tmp_path):
    """Finds ranges; every layer's go from -(how many sequences) to the length of its name."""

    def observe(sequences):
        measured.append(sequences)
        for name in sorted(OWN):
            yield name, -float(len(sequences)), 0.0
            yield name, -1.0, float(len(name))

    def find(sequences=SEQUENCES, *, weights=None, config=TINY, task="base", by="x", **options):
        options = {"cache": tmp_path / "cache"} | options
        calibration = Calibration(sequences=lambda: sequences, **options)
        weights = weights_for(task, config) if weights is None else weights
        return calibration.ranges(weights, config, task, by=by, observe=observe)

    return find


def test_the_lowest_and_the_highest_of_all_that_was_observed(ranges):
    found = ranges()
    assert list(found) == list(linear_layers(TINY))
    assert {found[name] for name in OWN} == {(-2.0, float(len(name))) for name in OWN}


def test_queries_keys_and_values_have_one_input(ranges):
    found = ranges()
    for layer in range(TINY.n_layers):
        assert found[KEY.at(layer)] == found[VALUE.at(layer)] == found[QUERY.at(layer)]


def test_ranges_are_measured_once(ranges, measured):
    assert ranges() == ranges()
    assert len(measured) == 1


def test_without_a_cache_they_are_measured_each_time(ranges, measured, tmp_path):
    assert ranges(cache=None) == ranges(cache=None)
    assert len(measured) == 2
    assert list(tmp_path.iterdir()) == []


def test_another_head_has_the_same_ranges(ranges, measured):
    ranges()
    weights = {
        f"distilbert.{name}": array for name, array in weights_for().items()
    } | {"classifier.weight": np.ones((2, 32)), "classifier.bias": np.ones(2)}  # fmt: skip
    ranges(weights=weights, task="token-classification")
    assert len(measured) == 1


@pytest.mark.parametrize("change", ["sequences", "a matrix", "a bias", "activation", "heads", "by"])
def test_ranges_of_something_else_are_measured_anew(ranges, measured, change, tmp_path):
    ranges()
    weights, options = weights_for(), {}
    if change == "sequences":
        options = {"sequences": [[5, 6], [7, 8]]}
    elif change == "a matrix":  # as a merged LoRA changes it
        weights["transformer.layer.0.ffn.lin1.weight"] *= 1.001
    elif change == "a bias":
        weights["transformer.layer.1.ffn.lin2.bias"][-1] += 1e-3
    elif change == "by":
        options = {"by": "y"}
    else:
        changed = {"activation": "relu"} if change == "activation" else {"n_heads": 2}
        assert changed["n_heads"] != TINY.n_heads if "n_heads" in changed else True
        options = {"config": TINY.replace(**changed)}
    ranges(weights=weights, **options)
    assert len(measured) == 2
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"{}", b'{"transformer.layer.0.ffn.lin1": [0, 1]}', b"\xff" * 9,
])  # fmt: skip
def test_a_damaged_cache_is_replaced(content, ranges, measured, tmp_path):
    expected = ranges()
    [path] = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    path.write_bytes(content)
    assert ranges() == expected
    assert path.read_bytes() == whole
    assert len(measured) == 2


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(ranges, measured, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert ranges(cache=tmp_path / "file") == ranges(cache=tmp_path / "file")
    assert len(measured) == 2


def test_the_cache_is_the_users(ranges, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert default_cache() == tmp_path / "home" / "distil" / "ranges"
    ranges(cache=default_cache())
    assert Calibration(sequences=list).cache == default_cache()
    assert len(list(default_cache().iterdir())) == 1


def test_many_fill_the_cache_at_once(ranges, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(lambda _: ranges(), range(8))
    assert all(other == first for other in others)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_those_of_the_checkpoint_come_first(ranges, measured, tmp_path):
    own = dict.fromkeys(linear_layers(TINY), (-9.0, 9.0))
    save_ranges(tmp_path, own, fingerprint=fingerprint(weights_for(), TINY, "base"))
    assert ranges(checkpoint=tmp_path) == own
    assert ranges() != own
    assert len(measured) == 1


def test_those_of_a_checkpoint_with_other_weights_are_not_used(ranges, measured, tmp_path):
    save_ranges(tmp_path, ranges(), fingerprint="another")
    with pytest.warns(CheckpointWarning, match="measured on other weights"):
        ranges(checkpoint=tmp_path, sequences=[[1]])
    assert len(measured) == 2


def test_a_checkpoint_whose_ranges_are_damaged_is_refused(ranges, measured, tmp_path):
    key = fingerprint(weights_for(), TINY, "base")
    save_ranges(tmp_path, {"transformer.layer.0.ffn.lin1": (0, 1)}, fingerprint=key)
    with pytest.raises(CheckpointError, match="another model"):
        ranges(checkpoint=tmp_path)
    assert measured == []


def test_nothing_to_calibrate_on(ranges):
    with pytest.raises(InputError, match="no texts to calibrate on") as caught:
        ranges([])
    assert caught.value.where == "calibration"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_fingerprint_does_not_depend_on_how_weights_are_held(dtype):
    weights = {name: array.astype(dtype) for name, array in reversed(weights_for().items())}
    assert fingerprint(weights, TINY, "base") == fingerprint(weights_for(), TINY, "base")


def test_the_sample_is_of_many_kinds():
    texts = sample_texts()
    assert len(texts) == len(set(texts)) >= 30
    assert all(text.strip() == text != "" for text in texts)
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) <= 3
    assert max(lengths) >= 60


def test_loading_a_model_imports_no_tokenizer_and_no_file_format():
    """They take longer to import than all the rest of `distil.api` together."""
    code = """if True:
        import sys
        import distil.api
        heavy = {"tokenizers", "h5py", "huggingface_hub", "safetensors"}
        print(*heavy & set(sys.modules))
    """
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
