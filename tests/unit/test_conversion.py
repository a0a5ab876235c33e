"""`distil.convert`, and the command: what arrives is what was there, or nothing is changed."""

import dataclasses
import gc
import io
import json
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import distil
from distil.checkpoints import FORMATS, open_checkpoint, transfer
from distil.checkpoints.matching import match_weights
from distil.cli import main
from distil.common import spec
from distil.common.config import DistilBertConfig
from distil.common.tasks import TASKS
from distil.errors import (
    CheckpointError,
    CheckpointWarning,
    InputError,
    UnsafeCheckpointError,
    WeightsError,
)
from distil.storage.safetensors_file import SafetensorsWriter
from distil.storage.tensors import StoredTensor
from hub_server import running_hub
from support.checkpoints import assert_same_bits
from support.folders import make_folder
from support.models import build, config_for

TASK = "sequence-classification"
SHARDS = "12KB"
BASE_WORDS = "embeddings.word_embeddings.weight"
WORDS = f"distilbert.{BASE_WORDS}"

with_bin = pytest.mark.parametrize(
    "format",
    [pytest.param(name, marks=pytest.mark.pt if name == "bin" else ()) for name in FORMATS],
)


def weights_in(folder):
    """Every weight of the checkpoint in `folder`, as its own config.json says, and no other."""
    config = DistilBertConfig.from_pretrained(folder)
    task = next(t.name for t in TASKS.values() if [t.class_name] == config.architectures)
    with open_checkpoint(folder) as checkpoint:
        match = match_weights(checkpoint, config, task)
        assert not match.report.missing
        assert not match.report.unexpected
        assert not match.report.mismatched
        return {name: source.read().copy() for name, source in match.sources.items()}


def files_in(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def change(folder, **arrays):
    """Put arrays into a model.safetensors, in place of others or besides; None takes one out."""
    path = folder / "model.safetensors"
    table = {**load_file(path), **arrays}
    save_file({name: array for name, array in table.items() if array is not None}, path)


def make_bert(folder):
    """Write a tiny BERT with a pooler as transformers does; give its equal, a DistilBERT."""
    make_folder(folder, "base")
    config = DistilBertConfig.from_pretrained(folder)
    arrays = load_file(folder / "model.safetensors")
    random = np.random.default_rng(3)
    types = random.standard_normal((2, config.dim)).astype(np.float32)
    bert = {
        "embeddings.token_type_embeddings.weight": types,
        "pooler.dense.weight": random.standard_normal((config.dim,) * 2).astype(np.float32),
        "pooler.dense.bias": random.standard_normal(config.dim).astype(np.float32),
    }
    for weight in spec.weights(config, "base").values():
        bert[f"{weight.row.bert.format(weight.layer)}.{weight.leaf}"] = arrays[weight.name]
    save_file(bert, folder / "model.safetensors")
    (folder / "config.json").write_text(
        json.dumps(
            {
                "model_type": "bert", "architectures": ["BertModel"],
                "hidden_size": config.dim, "num_hidden_layers": config.n_layers,
                "num_attention_heads": config.n_heads, "intermediate_size": config.hidden_dim,
                "vocab_size": config.vocab_size,
                "max_position_embeddings": config.max_position_embeddings,
            }
        )
    )  # fmt: skip
    positions = "embeddings.position_embeddings.weight"
    summed = (arrays[positions].astype(np.float64) + types[0]).astype(np.float32)
    return {**arrays, positions: summed}


class TestFormats:
    @pytest.mark.parametrize("task", TASKS)
    @pytest.mark.parametrize("to", ["safetensors", "tf-safetensors", "h5"])
    @pytest.mark.parametrize("stored", ["safetensors", "tf-safetensors", "h5"])
    def test_from_any_to_any_and_back(self, tmp_path, stored, to, task):
        source = make_folder(tmp_path / "source", task, format=stored)
        done = distil.convert(source, tmp_path / "there", to)
        assert (done.source_format, done.format, done.task) == (stored, to, task)
        expected = weights_in(source)
        assert_same_bits(weights_in(tmp_path / "there"), expected)
        assert done.tensors == len(expected)
        assert done.dtypes == {"float32": len(expected)}
        same_layout = (stored == "safetensors") == (to == "safetensors")
        assert (done.renamed == 0) == (done.transposed == 0) == same_layout
        assert (done.cast, done.folded, done.dropped, done.not_copied) == (0, (), (), ())
        distil.convert(tmp_path / "there", tmp_path / "back", stored)
        assert files_in(tmp_path / "back").keys() == files_in(source).keys()
        for name, content in files_in(source).items():
            if name != "config.json":  # which says the type of the weights now
                assert files_in(tmp_path / "back")[name] == content, name

    @with_bin
    def test_shards_and_back(self, tmp_path, format):  # noqa: A002
        source = make_folder(tmp_path / "source", "masked-lm", max_shard_size=SHARDS)
        done = distil.convert(source, tmp_path / "there", format, max_shard_size=SHARDS)
        assert sum("-of-" in file.name for file in done.files) > 2
        distil.convert(tmp_path / "there", tmp_path / "one")
        distil.convert(tmp_path / "one", tmp_path / "back", max_shard_size=SHARDS)
        assert_same_bits(weights_in(tmp_path / "there"), weights_in(source))
        shards = {name: data for name, data in files_in(source).items() if name[:5] == "model"}
        assert shards.items() <= files_in(tmp_path / "back").items()

    @pytest.mark.pt
    @pytest.mark.parametrize("task", TASKS)
    def test_bin(self, tmp_path, task):
        source = make_folder(tmp_path / "source", task)
        distil.convert(source, tmp_path / "bin", "bin")
        distil.convert(tmp_path / "bin", tmp_path / "tf", "tf")
        distil.convert(tmp_path / "tf", tmp_path / "back", "pt")
        back, expected = files_in(tmp_path / "back"), files_in(source)
        assert back["model.safetensors"] == expected["model.safetensors"]

    @pytest.mark.parametrize("format", [*FORMATS, "pt", "tf"])
    @pytest.mark.parametrize(
        "framework",
        [pytest.param("pt", marks=pytest.mark.pt), pytest.param("tf", marks=pytest.mark.tf)],
    )
    def test_what_models_save(self, tmp_path, framework, format, request):  # noqa: A002
        """Byte for byte, whichever framework's model wrote it."""
        if format == "bin" and "pt" not in request.config.frameworks:
            pytest.skip("this run is not about PyTorch, which writes .bin files")
        model = build(framework, config_for(TASK), TASK, dtype="float32")
        model.save_pretrained(tmp_path / "source")
        distil.convert(tmp_path / "source", tmp_path / "there", format)
        distil.convert(tmp_path / "there", tmp_path / "back")
        assert files_in(tmp_path / "back") == files_in(tmp_path / "source")

    def test_the_same_input_gives_the_same_bytes(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        for format_name in ("tf", "tf-safetensors"):
            for name in ("one", "other"):
                distil.convert(source, tmp_path / format_name / name, format_name)
            assert files_in(tmp_path / format_name / "one") == files_in(
                tmp_path / format_name / "other"
            )

    @pytest.mark.parametrize(
        "changes", [{"tie_word_embeddings": False}, {"pruned_heads": {0: [1]}}]
    )
    def test_other_architectures(self, tmp_path, changes):
        source = make_folder(tmp_path / "source", "masked-lm", **changes)
        distil.convert(source, tmp_path / "there", "tf")
        assert_same_bits(weights_in(tmp_path / "there"), weights_in(source))

    @pytest.mark.parametrize("to", ["pt", "tf"])
    def test_a_bert(self, tmp_path, to):
        expected = make_bert(tmp_path / "bert")
        done = distil.convert(tmp_path / "bert", tmp_path / "there", to)
        assert_same_bits(weights_in(tmp_path / "there"), expected)
        assert done.folded == ("embeddings.token_type_embeddings.weight",)
        assert done.dropped == ("pooler.dense.weight", "pooler.dense.bias")
        table = json.loads((tmp_path / "there" / "config.json").read_text())
        assert (table["model_type"], table["architectures"]) == ("distilbert", ["DistilBertModel"])
        assert table["dtype"] == "float32"

    def test_from_the_hub(self, tmp_path, monkeypatch):
        source = make_folder(tmp_path / "source", TASK, format="h5", max_shard_size=SHARDS)
        with running_hub(monkeypatch) as server:
            server.add("someone/tiny", files_in(source))
            done = distil.convert(
                "someone/tiny", tmp_path / "there", cache_dir=tmp_path / "cache", revision="main"
            )
        assert done.source == "someone/tiny"
        assert_same_bits(weights_in(tmp_path / "there"), weights_in(source))
        assert not any(path.is_symlink() for path in (tmp_path / "there").iterdir())


class TestTypes:
    @pytest.mark.parametrize("to", ["safetensors", "tf-safetensors", "h5"])
    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
    def test_cast(self, tmp_path, dtype, to):
        source = make_folder(tmp_path / "source", TASK)
        done = distil.convert(source, tmp_path / "there", to, dtype=dtype)
        wanted = np.dtype(dtype)
        expected = {name: array.astype(wanted) for name, array in weights_in(source).items()}
        assert_same_bits(weights_in(tmp_path / "there"), expected)
        assert (done.cast, done.dtypes) == (len(expected), {dtype: len(expected)})
        assert DistilBertConfig.from_pretrained(tmp_path / "there").dtype == dtype

    def test_a_bert_is_summed_before_it_is_rounded(self, tmp_path):
        make_bert(tmp_path / "bert")
        arrays = load_file(tmp_path / "bert" / "model.safetensors")
        distil.convert(tmp_path / "bert", tmp_path / "there", dtype="float16")
        positions = arrays["embeddings.position_embeddings.weight"].astype(np.float64)
        summed = positions + arrays["embeddings.token_type_embeddings.weight"][0]
        found = weights_in(tmp_path / "there")["embeddings.position_embeddings.weight"]
        assert found.tobytes() == summed.astype(np.float16).tobytes()

    def test_a_sum_that_does_not_fit(self, tmp_path):
        """Each of the two is finite, and in the type that is written."""
        make_bert(tmp_path / "bert")
        arrays = load_file(tmp_path / "bert" / "model.safetensors")
        arrays = {name: array.astype(np.float16) for name, array in arrays.items()}
        for name in ("position_embeddings", "token_type_embeddings"):
            arrays[f"embeddings.{name}.weight"][:] = 6e4
        save_file(arrays, tmp_path / "bert" / "model.safetensors")
        with pytest.raises(WeightsError, match="too large for float16") as caught:
            distil.convert(tmp_path / "bert", tmp_path / "there")
        assert "position_embeddings" in caught.value.problem
        distil.convert(tmp_path / "bert", tmp_path / "there", dtype="float32")

    def test_several_types_stay_as_they_are(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        words = load_file(source / "model.safetensors")[WORDS]
        change(source, **{WORDS: words.astype(ml_dtypes.bfloat16)})
        done = distil.convert(source, tmp_path / "there", "tf")
        assert_same_bits(weights_in(tmp_path / "there"), weights_in(source))
        assert done.dtypes["bfloat16"] == 1
        assert "dtype" not in json.loads((tmp_path / "there" / "config.json").read_text())

    @pytest.mark.parametrize("value", [7e4, -1e30])
    def test_a_value_that_does_not_fit(self, tmp_path, value):
        source = make_folder(tmp_path / "source", TASK)
        words = load_file(source / "model.safetensors")[WORDS]
        words[2, 3] = value
        change(source, **{WORDS: words})
        with pytest.raises(WeightsError, match="too large for float16") as caught:
            distil.convert(source, tmp_path / "there", dtype="float16")
        assert WORDS in caught.value.problem
        assert caught.value.expected == "at most 65504"
        distil.convert(source, tmp_path / "there", dtype="bfloat16")
        distil.convert(
            source, tmp_path / "there", dtype="float16", check_finite=False, force=True
        )  # fmt: skip
        assert np.isinf(weights_in(tmp_path / "there")[WORDS][2, 3])

    def test_unknown(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        with pytest.raises(InputError, match="float16") as caught:
            distil.convert(source, tmp_path / "there", dtype="int4")
        assert caught.value.where == "dtype"
        with pytest.raises(InputError, match="tf-safetensors") as caught:
            distil.convert(source, tmp_path / "there", "onnx")
        assert caught.value.where == "to"
        with pytest.raises(CheckpointError, match="max_shard_size"):
            distil.convert(source, tmp_path / "there", max_shard_size="much")


class TestWeights:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("name", [WORDS, "classifier.bias"])
    def test_not_finite(self, tmp_path, name, value):
        source = make_folder(tmp_path / "source", TASK)
        array = load_file(source / "model.safetensors")[name]
        array.reshape(-1)[-1] = value
        change(source, **{name: array})
        with pytest.raises(WeightsError, match="not finite") as caught:
            distil.convert(source, tmp_path / "there", "tf")
        assert name in caught.value.problem
        assert not (tmp_path / "there").exists()
        distil.convert(source, tmp_path / "there", "tf", check_finite=False)
        assert_same_bits(weights_in(tmp_path / "there"), weights_in(source))

    def test_no_head(self, tmp_path):
        source = make_folder(tmp_path / "source", "base")
        with pytest.raises(WeightsError, match="no trained head") as caught:
            distil.convert(source, tmp_path / "there", task="ner")
        assert "classifier" in caught.value.found
        assert not (tmp_path / "there").exists()

    def test_half_a_head(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        change(source, **{"classifier.bias": None})
        with pytest.raises(WeightsError, match="no trained head"):
            distil.convert(source, tmp_path / "there")

    def test_the_head_of_another_task(self, tmp_path):
        """A token classifier's weights are among those of a sequence classifier."""
        source = make_folder(tmp_path / "source", TASK)
        with pytest.raises(WeightsError, match="its head is for another task"):
            distil.convert(source, tmp_path / "there", task="token-classification")

    def test_no_encoder(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        change(source, **{WORDS: None})
        with pytest.raises(WeightsError, match="encoder weights are missing") as caught:
            distil.convert(source, tmp_path / "there")
        assert WORDS in caught.value.found

    def test_another_shape(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        change(source, **{"classifier.bias": np.zeros(7, np.float32)})
        with pytest.raises(WeightsError, match="other shapes"):
            distil.convert(source, tmp_path / "there")

    def test_the_head_left_out(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        with pytest.warns(CheckpointWarning, match="pre_classifier"):
            done = distil.convert(source, tmp_path / "there", task="base")
        assert set(done.dropped) == {
            f"{module}.{leaf}"
            for module in ("pre_classifier", "classifier")
            for leaf in ("weight", "bias")
        }
        encoder = {
            name.removeprefix("distilbert."): array
            for name, array in weights_in(source).items()
            if name.startswith("distilbert.")
        }
        assert_same_bits(weights_in(tmp_path / "there"), encoder)

    def test_left_over(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        change(source, stray=np.zeros(2, np.float32))
        with pytest.warns(CheckpointWarning, match="stray"):
            done = distil.convert(source, tmp_path / "there", "tf")
        assert done.dropped == ("stray",)


class TestTarget:
    @pytest.mark.parametrize(
        "name",
        ["config.json", "vocab.txt", "model.safetensors", "pytorch_model-00001-of-00002.bin"],
    )
    def test_a_checkpoint_is_not_replaced_by_accident(self, tmp_path, name):
        source = make_folder(tmp_path / "source", TASK)
        target = tmp_path / "there"
        target.mkdir()
        (target / name).write_bytes(b"precious")
        with pytest.raises(CheckpointError, match="already holds a checkpoint") as caught:
            distil.convert(source, target)
        assert caught.value.found == name
        assert files_in(target) == {name: b"precious"}
        distil.convert(source, target, force=True)
        assert files_in(target).keys() == files_in(source).keys()

    def test_other_files_are_left_alone(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        target = make_folder(tmp_path / "there", "masked-lm", format="h5")
        (target / "notes.txt").write_text("mine")
        distil.convert(source, target, force=True)
        assert files_in(target).keys() == {*files_in(source), "notes.txt"}
        assert_same_bits(weights_in(target), weights_in(source))

    @pytest.mark.parametrize("limit", [None, SHARDS])
    @pytest.mark.parametrize("to", ["safetensors", "tf-safetensors", "h5"])
    @pytest.mark.parametrize("stored", ["safetensors", "h5"])
    def test_the_source_itself(self, tmp_path, stored, to, limit):
        make_folder(tmp_path, TASK, format=stored, max_shard_size=limit)
        (tmp_path / "README.md").write_text("# mine")
        expected, before = weights_in(tmp_path), files_in(tmp_path)
        with pytest.raises(CheckpointError, match="already holds a checkpoint"):
            distil.convert(tmp_path, tmp_path, to)
        assert files_in(tmp_path) == before
        done = distil.convert(tmp_path, tmp_path, to, max_shard_size=limit, force=True)
        assert done.not_copied == ()
        assert_same_bits(weights_in(tmp_path), expected)
        assert files_in(tmp_path)["vocab.txt"] == before["vocab.txt"]
        assert files_in(tmp_path).keys() == {file.name for file in done.files} | {"README.md"}

    def test_the_source_itself_a_bert(self, tmp_path):
        expected = make_bert(tmp_path)
        distil.convert(tmp_path, tmp_path, force=True)
        assert_same_bits(weights_in(tmp_path), expected)

    def test_the_source_by_another_name(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        (tmp_path / "link").symlink_to(source)
        expected = weights_in(source)
        distil.convert(source, tmp_path / "link", "tf", force=True)
        assert_same_bits(weights_in(source), expected)
        assert (source / "vocab.txt").is_file()

    def test_no_folder(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        (tmp_path / "file").write_text("")
        with pytest.raises(CheckpointError, match="not a folder"):
            distil.convert(source, tmp_path / "file", force=True)

    def test_tokenizer_files_are_those_of_the_source(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        (source / "tokenizer_config.json").write_bytes(b'{ "odd":"spaces" }\r\n')
        (source / "weights.txt").write_text("no part of a checkpoint")
        target = tmp_path / "there"
        target.mkdir()
        (target / "tokenizer.json").write_text("another tokenizer's")
        done = distil.convert(source, target, force=True)
        names = {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"}
        assert files_in(target).keys() == names
        for name in ("vocab.txt", "tokenizer_config.json"):
            assert files_in(target)[name] == files_in(source)[name]
        assert done.not_copied == ("weights.txt",)

    def test_a_tokenizer_file_from_elsewhere(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        (tmp_path / "secret").write_text("not for others")
        (source / "added_tokens.json").symlink_to(tmp_path / "secret")
        with pytest.raises(UnsafeCheckpointError, match="leaves the checkpoint's folder"):
            distil.convert(source, tmp_path / "there")
        assert not (tmp_path / "there").exists()

    def test_without_a_tokenizer_the_old_one_stays(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        (source / "vocab.txt").unlink()
        target = make_folder(tmp_path / "there", TASK, format="h5")
        distil.convert(source, target, force=True)
        assert (target / "vocab.txt").is_file()


class TestFailing:
    """The old checkpoint stays, and nothing is left beside it."""

    @pytest.fixture
    def folders(self, tmp_path):
        source = make_folder(tmp_path / "source", TASK)
        target = make_folder(tmp_path / "there", "masked-lm", format="h5")
        return source, target, files_in(target)

    def test_damaged_on_its_way_to_disk(self, folders, monkeypatch):
        source, target, before = folders
        add = SafetensorsWriter.add

        def flip_a_bit(self, name, array):
            if name == "classifier.weight":
                array = array.copy()
                array.view(np.uint32)[1, 2] ^= 1
            add(self, name, array)

        monkeypatch.setattr(SafetensorsWriter, "add", flip_a_bit)
        with pytest.raises(CheckpointError, match="not what is read back") as caught:
            distil.convert(source, target, force=True)
        assert caught.value.found == "classifier.weight"
        assert files_in(target) == before

    def test_more_than_was_written(self, folders, monkeypatch):
        source, target, before = folders
        match = transfer.match_weights

        def with_a_stranger(checkpoint, config, task):
            stranger = next(iter(checkpoint.tensors.values()))
            tensors = {**checkpoint.tensors, "stranger": stranger}
            return match(dataclasses.replace(checkpoint, tensors=tensors), config, task)

        monkeypatch.setattr(transfer, "match_weights", with_a_stranger)
        with pytest.raises(CheckpointError, match="not what is read back") as caught:
            distil.convert(source, target, force=True)
        assert caught.value.found == "stranger"
        assert files_in(target) == before

    def test_interrupted(self, folders):
        source, target, before = folders

        def interrupt(done, total):
            if done > total / 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            distil.convert(source, target, force=True, progress=interrupt)
        assert files_in(target) == before
        with pytest.raises(KeyboardInterrupt):
            distil.convert(source, target.with_name("new"), progress=interrupt)
        assert not target.with_name("new").exists()

    def test_a_full_disk_for_the_tokenizer(self, folders, monkeypatch):
        source, target, before = folders

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(shutil, "copyfile", full)
        with pytest.raises(CheckpointError, match="No space left"):
            distil.convert(source, target, force=True)
        after = files_in(target)
        assert after.keys() == before.keys()
        assert after["tf_model.h5"] == before["tf_model.h5"]


def test_progress_goes_to_the_end(tmp_path):
    source = make_folder(tmp_path / "source", TASK)
    calls = []
    distil.convert(source, tmp_path / "there", progress=lambda *call: calls.append(call))
    (total,) = {total for _, total in calls}
    done = [done for done, _ in calls]
    assert done == sorted(set(done))
    assert done[-1] == total == 2 * sum(array.nbytes for array in weights_in(source).values())


class TestProcess:
    """What only a process of its own shows."""

    def test_no_framework_is_imported(self, tmp_path):
        make_folder(tmp_path / "source", "masked-lm")
        code = (
            "import sys, distil\n"
            "distil.convert('source', 'tf', 'tf')\n"
            "distil.convert('tf', 'other', 'tf-safetensors', dtype='bfloat16')\n"
            "distil.convert('other', 'back', 'pt', max_shard_size='10KB')\n"
            "heavy = {'torch', 'tensorflow', 'keras', 'transformers', 'jax'} & set(sys.modules)\n"
            "assert not heavy, heavy"
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


@pytest.mark.parametrize(
    ("stored", "to", "dtype"), [("safetensors", "h5", None), ("h5", "safetensors", "float16")]
)
def test_memory_is_for_one_weight(tmp_path, monkeypatch, stored, to, dtype):
    """What is allocated, and what of the files is held in memory maps."""
    changes = {"vocab_size": 15_000, "dim": 512, "hidden_dim": 2048, "n_layers": 8}
    make_folder(tmp_path / "source", "base", format=stored, **changes)
    largest = 15_000 * 512 * 4
    assert sum(path.stat().st_size for path in (tmp_path / "source").iterdir()) > 3 * largest
    held, most = {}, 0

    def read(tensor):
        nonlocal most
        array = tensor.load()
        held[tensor.file, tensor.name] = array.nbytes
        most = max(most, sum(held.values()))
        return array

    def release(tensor):
        held.pop((tensor.file, tensor.name), None)
        tensor.let_go()

    monkeypatch.setattr(StoredTensor, "read", read)
    monkeypatch.setattr(StoredTensor, "release", release)
    gc.collect()
    tracemalloc.start()
    try:
        distil.convert(tmp_path / "source", tmp_path / "there", to, dtype=dtype)
        allocated = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert allocated < 1.5 * largest
    assert largest <= most < 2.5 * largest  # the source's and the copy's, to compare them


class TestCommand:
    @pytest.fixture
    def run(self, tmp_path, monkeypatch, capsys):
        make_folder(tmp_path / "source", TASK)
        monkeypatch.chdir(tmp_path)

        def run(*arguments):
            status = main(["convert", *arguments])
            return status, *capsys.readouterr()

        return run

    def test_summary(self, run, tmp_path):
        (tmp_path / "source" / "README.md").write_text("#")
        status, out, err = run("source", "there", "--to", "tf", "--dtype", "float16")
        assert (status, err) == (0, "")
        for words in (
            "source (safetensors)", "there (h5)", TASK, "float16 (40)", "40 renamed, 14 transposed",
            "40 cast", "README.md", "tf_model.h5", "vocab.txt", "cast to the new type, bit for bit",
        ):  # fmt: skip
            assert words in out
        assert "left out" not in out
        assert "folded" not in out

    def test_what_is_left_out_is_said_once(self, run):
        status, out, err = run("source", "there", "--task", "base")
        assert (status, err) == (0, "")
        assert "left out" in out
        assert "pre_classifier.weight" in out

    def test_json(self, run, tmp_path):
        status, out, err = run("source", "there", "--max-shard-size", "20KB", "--json")
        assert (status, err) == (0, "")
        found = json.loads(out)
        assert (found["format"], found["dropped"], found["comparison"]) == ("safetensors", [], None)
        for file in found["files"]:
            assert (tmp_path / "there" / file["name"]).stat().st_size == file["bytes"]

    def test_an_error(self, run):
        assert run("source", "source") == (
            2, "",
            "error: target already holds a checkpoint\n"
            "  expected: an empty or a new folder\n"
            "  found:    model.safetensors, config.json, vocab.txt\n"
            "  where:    source\n"
            "  fix:      choose another folder, or replace it with --force\n",
        )  # fmt: skip
        assert run("source", "source", "--force", "--to", "h5")[0] == 0

    def test_a_bar_on_a_terminal_only(self, run, monkeypatch):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        terminal = Terminal()
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", terminal)
        assert run("source", "there")[0] == 0
        assert "reading back" in terminal.getvalue()
        assert "━" in terminal.getvalue()

    @pytest.mark.pt
    @pytest.mark.tf
    def test_check(self, run):
        status, out, _ = run("source", "there", "--to", "tf", "--check", "--json")
        assert status == 0
        assert json.loads(out)["comparison"]["agrees"] is True
        status, out, _ = run("there", "back", "--check")
        assert status == 0
        assert "PyTorch and TensorFlow agree" in out

    @pytest.mark.pt
    @pytest.mark.tf
    def test_a_check_that_fails(self, run, monkeypatch):
        monkeypatch.setattr("distil.pt.encoder.NORM_EPSILON", 1e-3)
        status, out, _ = run("source", "there", "--check")
        assert status == 1
        assert "do NOT agree" in out

    @pytest.mark.pt
    @pytest.mark.tf
    def test_a_check_that_cannot_be_made(self, run, tmp_path):
        (tmp_path / "source" / "vocab.txt").unlink()
        status, _, err = run("source", "there", "--check")
        assert status == 2
        assert "vocab" in err
        assert not (tmp_path / "there").exists()
