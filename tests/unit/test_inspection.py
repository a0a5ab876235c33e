import json
import subprocess
import sys

import pytest

import distil
from distil import inspection
from distil.common.tasks import TASKS
from distil.errors import CheckpointError, CheckpointNotFoundError
from support.folders import VOCABULARY, make_folder


def statuses(found):
    return {use.task: use.status for use in found.uses}


def reason(found, task):
    return next(use.reason for use in found.uses if use.task == task)


def test_what_a_checkpoint_holds(tmp_path):
    found = distil.info(make_folder(tmp_path, "sequence-classification"))
    assert found.name == found.folder == str(tmp_path)
    assert (found.model_type, found.task) == ("distilbert", "sequence-classification")
    assert found.architectures == ("DistilBertForSequenceClassification",)
    assert found.sizes["n_layers"] == 2
    assert found.sizes["dim"] == 32
    assert found.labels == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert set(found.frameworks) == {"pt", "tf"}


def test_parameters_are_counted_by_part(tmp_path):
    counts = distil.info(make_folder(tmp_path, "sequence-classification")).parameters
    vocabulary, positions, dim, hidden, labels = len(VOCABULARY), 40, 32, 48, 3
    assert counts.embeddings == (vocabulary + positions + 2) * dim
    layer = 4 * (dim * dim + dim) + (2 * dim * hidden + hidden + dim) + 4 * dim
    assert counts.layers == 2 * layer
    assert counts.head == dim * dim + dim + labels * dim + labels
    assert counts.total == counts.encoder + counts.head
    assert counts.encoder == counts.embeddings + counts.layers


class TestFiles:
    def test_one_file(self, tmp_path):
        (files,) = distil.info(make_folder(tmp_path, "base")).weights
        assert (files.format, files.files, files.used) == (
            "safetensors", ("model.safetensors",), True
        )  # fmt: skip
        assert files.bytes == (tmp_path / "model.safetensors").stat().st_size
        assert files.dtypes == {"float32": files.tensors}

    @pytest.mark.parametrize("format", ["h5", "tf-safetensors"])
    def test_other_formats(self, tmp_path, format):  # noqa: A002
        found = distil.info(make_folder(tmp_path, "masked-lm", format=format))
        assert [files.format for files in found.weights] == [format]
        assert statuses(found)["masked-lm"] == "loads"

    def test_shards(self, tmp_path):
        folder = make_folder(tmp_path, "base", max_shard_size="8KB")
        (files,) = distil.info(folder).weights
        assert len(files.files) > 2
        assert files.bytes == sum((tmp_path / name).stat().st_size for name in files.files)

    def test_a_second_format_is_listed_and_may_be_damaged(self, tmp_path):
        make_folder(tmp_path, "base")
        (tmp_path / "tf_model.h5").write_bytes(b"not an h5 file")
        one, other = distil.info(tmp_path).weights
        assert (one.format, one.used, one.problem) == ("safetensors", True, None)
        assert (other.format, other.used, other.tensors) == ("h5", False, None)
        assert other.problem

    def test_the_weights_that_are_used_must_not_be(self, tmp_path):
        make_folder(tmp_path, "base")
        (tmp_path / "model.safetensors").write_bytes(b"nonsense")
        with pytest.raises(CheckpointError):
            distil.info(tmp_path)

    def test_no_weights(self, tmp_path):
        make_folder(tmp_path, "base")
        (tmp_path / "model.safetensors").unlink()
        with pytest.raises(CheckpointNotFoundError, match="no weights"):
            distil.info(tmp_path)

    def test_a_bin_without_pytorch(self, tmp_path, monkeypatch):
        make_folder(tmp_path, "base")
        (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
        monkeypatch.setitem(sys.modules, "torch", None)
        found = distil.info(tmp_path)
        assert found.weights[0].problem
        assert set(statuses(found).values()) == {"no"}


class TestUses:
    def test_its_own_task_loads(self, tmp_path):
        for task in TASKS:
            found = distil.info(make_folder(tmp_path / task, task))
            assert found.task == task
            assert statuses(found)[task] == "loads", task
            assert statuses(found)["base"] == "loads", task

    def test_other_heads_are_new(self, tmp_path):
        found = distil.info(make_folder(tmp_path, "base"))
        assert statuses(found)["masked-lm"] == "new head"
        assert "vocab_transform" in reason(found, "masked-lm")

    def test_a_part_of_another_head_is_no_head(self, tmp_path):
        # A token classifier's weights are called and shaped as half of a sequence classifier's.
        found = distil.info(make_folder(tmp_path, "sequence-classification"))
        assert statuses(found)["token-classification"] == "new head"
        assert "pre_classifier" in reason(found, "token-classification")

    def test_what_cannot_be(self, tmp_path):
        found = distil.info(make_folder(tmp_path, "sequence-classification"))
        assert statuses(found)["question-answering"] == "no"
        assert "num_labels=2" in reason(found, "question-answering")
        assert statuses(found)["multiple-choice"] == "no"
        assert "ignore_mismatched_sizes" in reason(found, "multiple-choice")

    def test_a_framework_that_is_not_installed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(inspection, "find_spec", lambda name: None if name == "keras" else name)
        found = distil.info(make_folder(tmp_path, "base"))
        assert found.frameworks["tf"] == {}
        assert found.uses[0].frameworks == {"pt": "loads", "tf": "no"}

    def test_a_class_that_is_not_known(self, tmp_path):
        make_folder(tmp_path, "base")
        config = json.loads((tmp_path / "config.json").read_text())
        config["architectures"] = ["SomebodysModel"]
        (tmp_path / "config.json").write_text(json.dumps(config))
        found = distil.info(tmp_path)
        assert found.task is None
        assert statuses(found)["base"] == "loads"


class TestTokenizer:
    def test_what_it_is(self, tmp_path):
        tokenizer = distil.info(make_folder(tmp_path, "base")).tokenizer
        assert tokenizer.vocab_size == len(VOCABULARY)
        assert tokenizer.special_tokens["[MASK]"] == 4
        assert tokenizer.options["do_lower_case"] is True
        assert tokenizer.max_length is None
        assert tokenizer.files == ("vocab.txt",)

    def test_none(self, tmp_path):
        (make_folder(tmp_path, "base") / "vocab.txt").unlink()
        found = distil.info(tmp_path)
        assert found.tokenizer is None
        assert found.tokenizer_problem

    def test_more_tokens_than_the_model(self, tmp_path):
        folder = make_folder(tmp_path, "base")
        with (folder / "vocab.txt").open("a") as file:
            file.write("surplus\n")
        assert "resize_token_embeddings" in distil.info(folder).tokenizer_problem


def test_to_dict_is_json(tmp_path):
    found = json.loads(json.dumps(distil.info(make_folder(tmp_path, "base")).to_dict()))
    assert found["parameters"]["total"] == found["parameters"]["encoder"]
    assert found["uses"][0]["frameworks"].keys() == {"pt", "tf"}


def test_no_framework_is_imported(tmp_path):
    make_folder(tmp_path, "base")
    code = (
        f"import sys, distil; distil.info({str(tmp_path)!r});"
        "assert not {'torch', 'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
