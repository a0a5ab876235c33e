"""Weights stored in int8: matrices as signed bytes with a scale for each row."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors.numpy import load_file, save_file

import distil
from distil.checkpoints import save_checkpoint
from distil.common.inference.quantization import quantized
from distil.common.spec import SCALE
from distil.common.stored_int8 import QUANTIZATION, as_stored, packed, unpacked
from distil.common.tasks import TASKS
from distil.errors import CheckpointError, ConfigError, InputError, WeightsError
from support.checkpoints import assert_same_bits, load, random_weights, tiny_config
from support.folders import make_folder

WORDS = "embeddings.word_embeddings.weight"
FILE = "model.safetensors"
FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint in int8."""
    source = make_folder(tmp_path / "float32", "base")
    distil.convert(source, tmp_path / "int8", dtype="int8")
    return tmp_path / "int8"


def weights_in(folder: Path) -> dict[str, Any]:
    config = distil.DistilBertConfig.from_pretrained(folder)
    return load(folder, config, "base")[0]


def meant_by(path: Path) -> dict[str, Any]:
    """What a file says, worked out from its tensors as the safetensors library reads them."""
    stored = load_file(path)
    found = {}
    for name, values in stored.items():
        if values.dtype == np.int8:
            found[name] = values.astype(np.float32) * stored[name + SCALE].astype(np.float32)
        elif not name.endswith(SCALE):
            found[name] = values
    return found


def change(folder: Path, **tensors: Any) -> None:
    """Put tensors into the file, or take those out that are None."""
    table = {**load_file(folder / FILE), **tensors}
    save_file({name: one for name, one in table.items() if one is not None}, folder / FILE)


class TestArithmetic:
    @given(
        arrays_of.arrays(
            np.float32, arrays_of.array_shapes(min_dims=2, max_dims=2, max_side=7),
            elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
        )
    )  # fmt: skip
    def test_products_are_exact_and_packed_again_alike(self, weight: Any) -> None:
        values, scales = packed(weight)
        found = unpacked(values, scales)
        exact = values.astype(np.float64) * scales.astype(np.float64)
        np.testing.assert_array_equal(found.astype(np.float64), exact)
        again, its_scales = packed(found)
        np.testing.assert_array_equal(again, values)
        # Of a row of zeros there is no telling its scale.
        used = values.any(axis=1)
        np.testing.assert_array_equal(its_scales[used], scales[used])
        largest = np.abs(weight).max(axis=1, keepdims=True)
        room = 0.5 * 127.01 / 127 * scales + 127 * 2.0**-16 * scales
        assert (np.abs(found - weight) <= np.where(largest < 1.5e-36, largest, room)).all()
        assert values.min() >= -127

    def test_an_engine_computes_with_the_bytes_that_are_stored(self) -> None:
        weight = np.random.default_rng(0).standard_normal((30, 50)).astype(np.float32)
        stored = packed(weight)
        for found, expected in zip(quantized(unpacked(*stored)), stored, strict=True):
            np.testing.assert_array_equal(found, expected)

    def test_rows_of_zeros_and_next_to_zeros(self) -> None:
        weight = np.array([[0, 0], [1e-38, -1e-40], [2, -1]], np.float32)
        values, scales = packed(weight)
        assert values.tolist() == [[0, 0], [0, 0], [127, -64]]
        assert scales[:2].tolist() == [[1], [1]]


class TestFiles:
    @pytest.mark.parametrize("task", TASKS)
    def test_what_is_written_is_what_is_read(self, task: str, tmp_path: Path) -> None:
        source = make_folder(tmp_path / "float32", task)
        done = distil.convert(source, tmp_path / "int8", dtype="int8")
        stored = load_file(tmp_path / "int8" / FILE)
        before = load_file(source / FILE)
        matrices = {name for name, array in before.items() if array.ndim == 2}
        assert stored.keys() == before.keys() | {name + SCALE for name in matrices}
        for name, array in before.items():
            if name in matrices:
                assert stored[name].dtype == np.int8
                assert stored[name + SCALE].shape == (len(array), 1)
                assert stored[name + SCALE].dtype == np.float32
            else:
                np.testing.assert_array_equal(stored[name], array)
        assert done.dtypes == {"int8": len(matrices), "float32": len(before) - len(matrices)}
        assert done.cast == len(matrices)
        distil.convert(tmp_path / "int8", tmp_path / "back")
        assert_same_bits(load_file(tmp_path / "back" / FILE), meant_by(tmp_path / "int8" / FILE))
        for name in matrices:
            np.testing.assert_array_equal(
                meant_by(tmp_path / "int8" / FILE)[name], as_stored(before[name])
            )

    def test_config_json_says_so_and_a_model_does_not(self, folder: Path, tmp_path: Path) -> None:
        table = json.loads((folder / "config.json").read_text())
        assert table["quantization_config"] == QUANTIZATION
        assert table["dtype"] == "float32"
        assert "quantization_config" not in distil.DistilBertConfig.from_pretrained(folder)
        distil.convert(folder, tmp_path / "float")
        assert "quantization_config" not in (tmp_path / "float" / "config.json").read_text()

    @pytest.mark.parametrize("shards", [None, 3000])
    def test_again_in_int8_it_is_the_same_file(
        self, shards: int | None, folder: Path, tmp_path: Path
    ) -> None:
        distil.convert(folder, tmp_path / "there", "tf", max_shard_size=shards)
        distil.convert(tmp_path / "there", tmp_path / "again", dtype="int8", max_shard_size=shards)
        assert_same_bits(weights_in(tmp_path / "again"), weights_in(folder))
        done = distil.convert(tmp_path / "again", tmp_path / "one", dtype="int8")
        assert done.cast == 0
        for name in (FILE, "config.json"):
            assert (tmp_path / "one" / name).read_bytes() == (folder / name).read_bytes()

    def test_a_weight_and_its_scales_in_two_shards(self, folder: Path) -> None:
        table, expected = load_file(folder / FILE), weights_in(folder)
        (folder / FILE).unlink()
        shards: dict[str, dict[str, Any]] = {"a.safetensors": {}, "b.safetensors": {}}
        for name, tensor in table.items():
            shards["b.safetensors" if name.endswith(SCALE) else "a.safetensors"][name] = tensor
        for name, tensors in shards.items():
            save_file(tensors, folder / name)
        where = {one: name for name, tensors in shards.items() for one in tensors}
        (folder / f"{FILE}.index.json").write_text(json.dumps({"weight_map": where}))
        assert_same_bits(weights_in(folder), expected)

    @pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
    def test_scales_of_other_programs_may_be_shorter(self, dtype: Any, folder: Path) -> None:
        table = load_file(folder / FILE)
        scales = table[WORDS + SCALE].astype(dtype)
        change(folder, **{WORDS + SCALE: scales})
        expected = table[WORDS].astype(np.float32) * scales.astype(np.float32)
        np.testing.assert_array_equal(weights_in(folder)[WORDS], expected)

    def test_info_tells_the_type_in_the_file(self, folder: Path) -> None:
        found = distil.info(folder)
        (files,) = found.weights
        matrices = 2 + 2 * 6  # embeddings, and six matrices in each of two layers
        assert files.dtypes == {"int8": matrices, "float32": files.tensors - matrices}
        assert next(use.status for use in found.uses if use.task == "base") == "loads"

    def test_a_kill_before_config_json_leaves_both_or_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_folder(tmp_path, "base")
        config = distil.DistilBertConfig.from_pretrained(tmp_path)

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(distil.DistilBertConfig, "save_pretrained", killed)
        weights = random_weights(config, "base")
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(
                tmp_path, weights.items(), config=config, task="base", dtype="int8",
                write_config=True,
            )  # fmt: skip
        (announced,) = tmp_path.glob(".config.*.json")
        assert json.loads(announced.read_text())["quantization_config"] == QUANTIZATION
        expected = {name: as_stored(array) for name, array in weights.items()}
        assert_same_bits(weights_in(tmp_path), expected)


class TestModels:
    @pytest.mark.parametrize("framework", FRAMEWORKS)
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "auto"])
    def test_both_frameworks_read_the_same_bits(
        self, framework: str, dtype: str, folder: Path
    ) -> None:
        model = distil.load(folder, framework=framework, dtype=dtype)
        wanted = np.dtype("float32" if dtype == "auto" else dtype)
        expected = {name: one.astype(wanted) for name, one in meant_by(folder / FILE).items()}
        assert_same_bits(dict(model.named_arrays()), expected)
        assert "quantization_config" not in model.config

    @pytest.mark.parametrize("framework", FRAMEWORKS)
    def test_what_is_saved_of_a_model_is_float32(
        self, framework: str, folder: Path, tmp_path: Path
    ) -> None:
        distil.save(distil.load(folder, framework=framework), tmp_path / "saved")
        assert_same_bits(load_file(tmp_path / "saved" / FILE), meant_by(folder / FILE))


def refused(folder: Path, says: str) -> None:
    with pytest.raises(CheckpointError, match=says) as raised:
        weights_in(folder)
    assert FILE in str(raised.value)


class TestRefused:
    def test_a_weight_without_scales(self, folder: Path) -> None:
        change(folder, **{WORDS + SCALE: None})
        refused(folder, "its rows have no scales")

    def test_scales_without_a_weight_in_int8(self, folder: Path) -> None:
        change(folder, **{WORDS: meant_by(folder / FILE)[WORDS]})
        refused(folder, "belongs to no weight in int8")

    def test_zero_points(self, folder: Path) -> None:
        rows = len(load_file(folder / FILE)[WORDS])
        change(folder, **{f"{WORDS}_zero_point": np.zeros((rows, 1), np.int8)})
        refused(folder, "no zero points")

    @pytest.mark.parametrize("shape", [(-1,), (1, -1), (1, 1)])
    def test_scales_of_another_shape(self, shape: tuple[int, ...], folder: Path) -> None:
        scales = load_file(folder / FILE)[WORDS + SCALE]
        change(folder, **{WORDS + SCALE: np.resize(scales, (1, 1)) if shape == (1, 1)
                          else scales.reshape(shape)})  # fmt: skip
        refused(folder, "its rows have no scales")

    def test_scales_of_another_type(self, folder: Path) -> None:
        scales = load_file(folder / FILE)[WORDS + SCALE]
        change(folder, **{WORDS + SCALE: scales.astype(np.float64)})
        refused(folder, "a type that scales do not have")

    @pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
    def test_scales_that_are_none(self, value: float, folder: Path) -> None:
        scales = load_file(folder / FILE)[WORDS + SCALE]
        scales[3] = value
        change(folder, **{WORDS + SCALE: scales})
        refused(folder, "scales that are none")

    @pytest.mark.parametrize("name", ["bias", "table"])
    def test_int8_that_is_no_matrix(self, name: str, folder: Path) -> None:
        """A LayerNorm's weight, and one of three axes."""
        norm = "embeddings.LayerNorm.weight"
        shape = {"bias": (32,), "table": (32, 1, 1)}[name]
        change(folder, **{norm: np.ones(shape, np.int8), norm + SCALE: np.ones((32, 1), "f4")})
        refused(folder, "its rows have no scales")

    @pytest.mark.parametrize("to", ["tf", "tf-safetensors"])
    def test_formats_without_int8(self, to: str, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="no room for int8"):
            distil.convert(folder, tmp_path / "there", to, dtype="int8")
        assert not (tmp_path / "there").exists()

    @pytest.mark.parametrize("check_finite", [True, False])
    def test_what_no_byte_can_say(self, check_finite: bool, tmp_path: Path) -> None:
        make_folder(tmp_path / "source", "base")
        words = load_file(tmp_path / "source" / FILE)[WORDS]
        words[1, 1] = np.inf
        change(tmp_path / "source", **{WORDS: words})
        with pytest.raises(WeightsError, match=f"{WORDS} holds values that are not finite"):
            distil.convert(
                tmp_path / "source", tmp_path / "there", dtype="int8", check_finite=check_finite
            )
        assert not (tmp_path / "there").exists()

    def test_other_types(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="int8") as raised:
            distil.convert(folder, tmp_path / "there", dtype="int4")
        assert raised.value.where == "dtype"
        with pytest.raises(CheckpointError, match="type cannot be stored"):
            save_checkpoint(tmp_path, (), config=tiny_config(), task="base", dtype="int4")


def kinds() -> dict[str, Any]:
    """Ways to store weights that are not read, by what the error says of them."""

    def other(*path: str, to: Any) -> Any:
        table: Any = copy.deepcopy(dict(QUANTIZATION))
        inner = table
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to
        return table

    group = ("config_groups", "group_0")
    return {
        "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_8bit": True},
        "gptq": {"quant_method": "gptq", "bits": 4},
        "'pack-quantized'": other("format", to="pack-quantized"),
        "'frozen'": other("quantization_status", to="frozen"),
        "kv_cache_scheme": other("kv_cache_scheme", to={"num_bits": 8}),
        "sparsity_config": other("sparsity_config", to={"format": "sparse-24-bitmask"}),
        "transform_config": other("transform_config", to={"config_groups": {"u": {}}}),
        "a table of groups": other("config_groups", to={}),
        "weights.num_bits: 8": other(*group, "weights", "num_bits", to=4),
        "weights.num_bits": other(*group, "weights", "num_bits", to=8.0),
        "weights.type": other(*group, "weights", "type", to="float"),
        "weights.symmetric": other(*group, "weights", "symmetric", to=1),
        "weights.strategy": other(*group, "weights", "strategy", to="group"),
        "weights.dynamic": other(*group, "weights", "dynamic", to="local"),
        "weights.num_bits: 8\n": other(*group, "weights", to=None),
        "input_activations": other(*group, "input_activations", to={"num_bits": 8}),
        "output_activations": other(*group, "output_activations", to={"num_bits": 8}),
        "format of a group": other(*group, "format", to="pack-quantized"),
        "quant_method": [],
        "config_groups": other("config_groups", to=["W8A16"]),
    }


@pytest.mark.parametrize("says", kinds())
def test_other_kinds_of_quantization_are_refused_by_name(says: str, folder: Path) -> None:
    table = json.loads((folder / "config.json").read_text())
    table["quantization_config"] = kinds()[says]
    (folder / "config.json").write_text(json.dumps(table))
    with pytest.raises(ConfigError, match="stored in a way that is not read") as raised:
        distil.info(folder)
    assert says in str(raised.value)
    assert "quantization_config" in str(raised.value)


def test_what_other_programs_write_of_the_same_kind_is_read(folder: Path) -> None:
    """As compressed-tensors 0.20 writes it, with all of its fields."""
    group = {
        "format": "int-quantized", "input_activations": None, "output_activations": None,
        "targets": ["Linear", "Embedding"],
        "weights": {
            "actorder": None, "block_structure": None, "dynamic": False, "group_size": None,
            "num_bits": 8, "observer": "memoryless_minmax", "observer_kwargs": {},
            "scale_dtype": None, "strategy": "channel", "symmetric": True, "type": "int",
            "zp_dtype": None,
        },
    }  # fmt: skip
    table = json.loads((folder / "config.json").read_text())
    table["quantization_config"] = {
        "config_groups": {"group_0": group}, "format": "int-quantized",
        "global_compression_ratio": None, "ignore": [], "kv_cache_scheme": None,
        "quant_method": "compressed-tensors", "quantization_status": "compressed",
        "sparsity_config": {}, "transform_config": {}, "version": "0.20.0",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(table))
    assert "quantization_config" not in distil.DistilBertConfig.from_pretrained(folder)
    assert_same_bits(weights_in(folder), meant_by(folder / FILE))
