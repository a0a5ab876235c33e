"""Pipelines as objects: shown, copied, pickled, and made again in another process."""

import copy
import multiprocessing
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
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


class Column(Sequence):
    """As the columns of data sets are."""

    def __len__(self):
        return len(TEXTS)

    def __getitem__(self, index):
        return TEXTS[index]


KINDS = {
    "an array": lambda: np.array(TEXTS),
    "an array of objects": lambda: np.array(TEXTS, object),
    "a series": lambda: pytest.importorskip("pandas").Series(TEXTS, index=[7, 3]),
    "a table's column": lambda: pytest.importorskip("pyarrow").chunked_array([TEXTS]),
    "a data set's column": lambda: pytest.importorskip("datasets").Dataset.from_dict(
        {"text": TEXTS}
    )["text"],
    "a sequence": Column,
}


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_of_any_kind_give_lists(kind):
    pipe = PIPELINES["sequence-classification"](
        FakeModel("sequence-classification"), make_tokenizer()
    )
    found = pipe(KINDS[kind]())
    assert found == pipe(TEXTS)
    assert isinstance(found, list)


def test_questions_in_arrays():
    pipe = PIPELINES["question-answering"](FakeModel("question-answering"), make_tokenizer())
    context = "it was a film in paris."
    expected = pipe(question=TEXTS, context=context)
    assert pipe(question=np.array(TEXTS), context=context) == expected
    rows = [{"question": text, "context": context} for text in TEXTS]
    assert pipe(np.array(rows)) == expected


class TestOneArray:
    def test_of_a_list(self):
        pipe = in_memory()
        found = pipe(TEXTS, as_array=True)
        assert (type(found), found.dtype) == (np.ndarray, np.float32)
        np.testing.assert_array_equal(found, np.stack(pipe(TEXTS)))
        assert pipe([], as_array=True).shape == (0, pipe.model.config.dim)
        np.testing.assert_array_equal(pipe(TEXTS[0], as_array=True), pipe(TEXTS[0]))

    def test_where_there_can_be_none(self):
        pipe = in_memory()
        with pytest.raises(InputError, match="a stream does not end in one array"):
            pipe(iter(TEXTS), as_array=True)
        with (
            pytest.raises(InputError, match="no place for rows that were skipped"),
            pytest.warns(UserWarning, match="row 1 is skipped"),
        ):
            pipe([*TEXTS[:1], ""], as_array=True, skip_bad_rows=True)


@pytest.mark.parametrize("kind", ["DistilBertTokenizerFast", "DistilBertTokenizer"])
def test_a_tokenizer_of_transformers(kind, tmp_path):
    transformers = pytest.importorskip("transformers")
    own = make_tokenizer()
    own.save_pretrained(tmp_path)
    theirs = getattr(transformers, kind).from_pretrained(tmp_path)
    model = FakeModel("token-classification")
    texts = ["It is (the) good film!", "paris"]
    found = distil.pipeline("ner", model, tokenizer=theirs, aggregation_strategy="first")
    assert found(texts) == PIPELINES["token-classification"](
        model, own, aggregation_strategy="first"
    )(texts)
