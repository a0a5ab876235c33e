"""Pipelines as objects: shown, copied, pickled, and made again in another process."""

import copy
import multiprocessing
import pickle
from pathlib import Path

import pytest

import distil
from distil.errors import InputError
from distil.pipelines import PIPELINES
from support.folders import make_folder, make_tokenizer
from support.inference import FakeModel

TEXTS = ["it is a good film", "a bad one"]


def in_memory():
    return PIPELINES["base"](FakeModel("base"), make_tokenizer())


@pytest.mark.pt
class TestMadeOfAName:
    @pytest.fixture
    def pipe(self, tmp_path, monkeypatch):
        """Of a folder that is named relative to the working directory, with options."""
        make_folder(tmp_path / "model", "sequence-classification", num_labels=3)
        monkeypatch.chdir(tmp_path)
        pipe = distil.pipeline(
            model="model", framework="pt", engine="packed", device="cpu", top_k=2
        )
        pipe.set_options(truncation=True)
        return pipe

    def test_what_it_shows(self, pipe, tmp_path):
        assert repr(pipe) == (
            f"TextClassificationPipeline(model={str(tmp_path / 'model')!r}, engine='PyTorch', "
            "dtype='float32', device='cpu')"
        )

    @pytest.mark.parametrize(
        "again", [copy.deepcopy, lambda pipe: pickle.loads(pickle.dumps(pipe))]
    )
    def test_again(self, pipe, again, tmp_path, monkeypatch):
        monkeypatch.chdir("/")
        made = again(pipe)
        assert made is not pipe
        assert made.model is not pipe.model
        assert made.options == pipe.options
        assert made(TEXTS) == pipe(TEXTS)
        assert len(pickle.dumps(pipe)) < 5000  # no weights

    def test_in_another_process(self, pipe):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(pipe, (TEXTS,)) == pipe(TEXTS)

    def test_with_joblib(self, pipe, tmp_path):
        joblib = pytest.importorskip("joblib")
        joblib.dump(pipe, tmp_path / "pipe")
        assert joblib.load(tmp_path / "pipe")(TEXTS) == pipe(TEXTS)

    def test_the_kind_of_features_is_kept(self, tmp_path):
        make_folder(tmp_path, "base")
        for task in ("feature-extraction", "sentence-embeddings", None):
            pipe = distil.pipeline(task, tmp_path, framework="pt")
            assert type(copy.deepcopy(pipe)) is type(pipe)

    def test_a_token_stays_out_of_it(self, tmp_path):
        make_folder(tmp_path, "base")
        pipe = distil.pipeline(model=tmp_path, framework="pt", token="hf_secret")
        assert b"hf_secret" not in pickle.dumps(pipe)
        assert "hf_secret" not in repr(pipe.origin)

    def test_a_folder_that_is_gone(self, pipe):
        data = pickle.dumps(pipe)
        Path("model").rename("elsewhere")
        with pytest.raises(distil.CheckpointNotFoundError):
            pickle.loads(data)


@pytest.mark.parametrize("again", [copy.deepcopy, pickle.dumps])
def test_a_model_in_memory_cannot_be_pickled(again):
    with pytest.raises(InputError, match="in memory cannot be pickled") as caught:
        again(in_memory())
    assert "FakeModel" in caught.value.found


def test_a_shallow_copy_shares_the_model():
    pipe = in_memory()
    copied = copy.copy(pipe)
    assert copied.model is pipe.model
    copied.set_options(pooling="cls")
    assert pipe.options.pooling == "mean"


@pytest.mark.pt
def test_the_default_is_the_bundled_model_whatever_folders_there_are(tmp_path, monkeypatch):
    make_folder(tmp_path / "sst2-small", "sequence-classification", num_labels=2)
    monkeypatch.chdir(tmp_path)
    pipe = distil.pipeline(framework="pt")
    assert pipe.model.config.id2label == {0: "negative", 1: "positive"}
    assert repr(pipe).startswith("TextClassificationPipeline(model='sst2-small', ")
    monkeypatch.chdir("/")
    assert copy.deepcopy(pipe)("a good film") == pipe("a good film")
