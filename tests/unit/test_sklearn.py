"""Models as estimators of scikit-learn."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import distil
from distil.checkpoints.sentence_files import write_encoding
from distil.common.sentences import SentenceEncoding
from distil.errors import InputError
from distil.sklearn import TextClassifier, TextEmbedder
from support.folders import make_folder

FRAMEWORKS = [pytest.param("pt", marks=pytest.mark.pt), pytest.param("tf", marks=pytest.mark.tf)]
both_frameworks = pytest.mark.parametrize("framework", FRAMEWORKS)
TEXTS = ["it is good", "it is bad", "the film", "who was born in paris", "good film", "bad"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return str(make_folder(tmp_path_factory.mktemp("encoder"), "base"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    labels = {0: "bad", 1: "good", 2: "neither"}
    folder = tmp_path_factory.mktemp("classifier")
    return str(make_folder(folder, "sequence-classification", id2label=labels))


@both_frameworks
def test_embeddings(framework, encoder):
    estimator = TextEmbedder(encoder, framework=framework, pooling="cls")
    pipe = distil.pipeline("sentence-embeddings", model=encoder, framework=framework)
    expected = pipe(TEXTS, pooling="cls", as_array=True)
    for texts in (TEXTS, np.array(TEXTS), np.array(TEXTS, object)):
        np.testing.assert_array_equal(estimator.fit_transform(texts), expected)
    assert estimator.transform([]).shape == (0, 32)
    assert estimator.get_feature_names_out()[:2].tolist() == ["textembedder0", "textembedder1"]


@pytest.mark.pt
def test_a_folder_that_says_how_it_embeds(tmp_path):
    folder = make_folder(tmp_path, "base")
    write_encoding(folder, SentenceEncoding(pooling="cls", normalize=False), dim=32)
    pipe = distil.pipeline("sentence-embeddings", model=folder, framework="pt")
    estimator = TextEmbedder(folder, framework="pt")
    np.testing.assert_array_equal(estimator.transform(TEXTS), pipe(TEXTS, as_array=True))
    estimator.set_params(pooling="mean", normalize=True)
    expected = pipe(TEXTS, as_array=True, pooling="mean", normalize=True)
    np.testing.assert_array_equal(estimator.transform(TEXTS), expected)


@pytest.mark.pt
def test_in_a_pipeline_and_in_folds(encoder):
    whole = make_pipeline(TextEmbedder(encoder, framework="pt"), LogisticRegression())
    labels = [0, 1, 0, 1, 0, 1]
    assert cross_val_score(whole, TEXTS, labels, cv=2).shape == (2,)
    whole.fit(TEXTS, labels)
    again = pickle.loads(pickle.dumps(whole))
    np.testing.assert_allclose(again.predict_proba(TEXTS), whole.predict_proba(TEXTS))
    whole.set_params(textembedder__pooling="cls")
    assert not np.allclose(again[0].transform(TEXTS), whole[0].transform(TEXTS))


@pytest.mark.pt
@pytest.mark.parametrize("kind", [TextEmbedder, TextClassifier])
def test_parameters(kind, encoder, classifier):
    folder = encoder if kind is TextEmbedder else classifier
    estimator = kind(folder, framework="pt", stride=4).fit(TEXTS)
    other = clone(estimator)
    assert other.get_params() == estimator.get_params()
    assert other.get_params()["stride"] == 4
    assert "_made" not in vars(other)
    assert "_made" not in vars(pickle.loads(pickle.dumps(estimator)))
    assert estimator.pipeline() is estimator.pipeline()
    with pytest.raises(ValueError, match="Invalid parameter"):
        estimator.set_params(pool="cls")
    with pytest.raises(InputError, match="warp"):
        estimator.set_params(engine="warp").fit(TEXTS)


@both_frameworks
def test_classes(framework, classifier):
    estimator = TextClassifier(classifier, framework=framework)
    pipe = distil.pipeline("text-classification", model=classifier, framework=framework)
    expected = [one["label"] for one in pipe(TEXTS)]
    assert estimator.predict(TEXTS).tolist() == expected
    assert estimator.classes_.tolist() == ["bad", "good", "neither"]
    scores = estimator.predict_proba(TEXTS)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert scores.max(axis=1).tolist() == [one["score"] for one in pipe(TEXTS)]
    assert estimator.predict_proba([]).shape == (0, 3)
    assert estimator.fit(TEXTS, expected).score(TEXTS, expected) == 1
    numbers = [["bad", "good", "neither"].index(name) for name in expected]
    assert estimator.fit(TEXTS, numbers).score(TEXTS, numbers) == 1


@pytest.mark.pt
def test_labels_that_the_model_does_not_have(classifier):
    estimator = TextClassifier(classifier, framework="pt")
    for wrong in (["bad", "god"], [0, 7]):
        with pytest.raises(InputError, match=r"expected: .*\n +found: +(god|7)\n"):
            estimator.fit(TEXTS[:2], wrong)


@pytest.mark.pt
@pytest.mark.parametrize(
    "changes", [{"num_labels": 1}, {"problem_type": "multi_label_classification"}]
)
def test_a_model_that_does_not_choose(changes, tmp_path):
    folder = make_folder(tmp_path, "sequence-classification", **changes)
    with pytest.raises(InputError, match="does not choose one label"):
        TextClassifier(str(folder), framework="pt").predict(TEXTS)
