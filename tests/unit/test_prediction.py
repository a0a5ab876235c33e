import json

import numpy as np
import pytest

import distil
from distil import prediction
from distil.common.tasks import TASKS
from distil.errors import InputError, WeightsError
from support.folders import make_folder

SECONDS = {
    "question-answering": {"context": "it was in paris, who was born."},
    "multiple-choice": {"choices": ["a good film", "a bad film", "paris"]},
}
TEXTS = ["who was born in paris [MASK]?", "the good film is bad [MASK]!", "it is [MASK]."]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of tiny models, made when a task is first asked for."""
    made = {}

    def folder(task):
        if task not in made:
            made[task] = make_folder(tmp_path_factory.mktemp("model"), task)
        return made[task]

    return folder


@pytest.mark.pt
@pytest.mark.tf
@pytest.mark.parametrize("task", TASKS)
def test_both_frameworks_agree(folders, task):
    found = distil.predict(folders(task), TEXTS, framework="both", **SECONDS.get(task, {}))
    assert found.agrees
    assert 0 < found.difference < 1e-4
    assert found.frameworks == ("pt", "tf")
    names = {"question-answering": "question", "multiple-choice": "prompt"}
    assert [one[names.get(task, "text")] for one in found.results] == TEXTS
    table = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert table["difference"] == found.difference
    assert len(table["results"]) == len(TEXTS)


@pytest.mark.pt
class TestInOneFramework:
    @pytest.mark.parametrize("task", TASKS)
    def test_results_are_those_of_the_pipeline(self, folders, task):
        found = distil.predict(folders(task), TEXTS, framework="pt", **SECONDS.get(task, {}))
        assert (found.difference, found.agrees, found.frameworks) == (None, True, ("pt",))
        pipe = distil.pipeline(model=folders(task), framework="pt")
        given = SECONDS.get(task, {})
        if task == "question-answering":
            expected = pipe(question=TEXTS, **given)
        elif task == "sequence-classification":
            expected = pipe(TEXTS, top_k=5)
        else:
            expected = pipe(TEXTS, **given)
        for one, other in zip(found.results, expected, strict=True):
            assert numbers(one["result"]) == pytest.approx(numbers(other), abs=1e-6)

    def test_one_pair_for_all(self, folders):
        found = distil.predict(
            folders("sequence-classification"), TEXTS, pair="a film", framework="pt"
        )
        assert [one["text_pair"] for one in found.results] == ["a film"] * 3

    def test_top_k(self, folders):
        found = distil.predict(folders("masked-lm"), "it is [MASK].", framework="pt", top_k=2)
        assert len(found.results[0]["result"]) == 2

    def test_long_texts_are_cut_with_one_warning(self, folders):
        # More rows than a window has, with one to be cut in each.
        texts = ["it " * 50, *["it"] * 600, "a " * 60]
        with pytest.warns(UserWarning, match=r"texts\[0\] is longer than the 40 tokens") as said:
            found = distil.predict(folders("sequence-classification"), texts, framework="pt")
        assert len(said) == 1
        assert len(found.results) == 602

    @pytest.mark.parametrize(
        ("task", "texts", "given", "problem"),
        [
            ("base", [], {}, "there are no texts"),
            ("base", [""], {}, r"not a text[\s\S]*texts\[0\]"),
            ("base", ["it", " \n"], {}, r"texts\[1\]"),
            ("base", ["it"], {"top_k": 3}, "this task has no top_k"),
            ("masked-lm", ["it"], {"top_k": 0}, "at least 1"),
            ("base", ["it"], {"pair": "a"}, "this task has no pair"),
            ("question-answering", ["who?"], {}, "needs context"),
            ("question-answering", ["who?"], {"pair": "a"}, "pass context instead"),
            (
                "question-answering",
                ["a", "b", "c"],
                {"context": ["a", "b"]},
                "one context for each",
            ),
            ("question-answering", ["who?"], {"context": " "}, r"texts\[0\].context"),
            ("multiple-choice", ["it"], {}, "needs choices"),
            ("multiple-choice", ["it"], {"choices": ["one"]}, "too few choices"),
            ("masked-lm", ["it is"], {}, "no mask in the text"),
            ("base", ["it"], {"framework": "both", "dtype": "bfloat16"}, "compared in float32"),
            ("base", ["it"], {"framework": "both", "engine": "openvino"}, "compared in float32"),
        ],
    )
    def test_what_cannot_be_predicted(self, folders, task, texts, given, problem):
        with pytest.raises(InputError, match=problem):
            distil.predict(folders(task), texts, **({"framework": "pt"} | given))

    @pytest.mark.parametrize(
        ("saved", "asked"),
        [
            ("base", "sequence-classification"),
            ("sequence-classification", "token-classification"),
            ("sequence-classification", "masked-lm"),
        ],
    )
    def test_a_random_head_predicts_nothing(self, folders, saved, asked):
        with pytest.raises(WeightsError, match="no trained head"):
            distil.predict(folders(saved), "it is [MASK]", task=asked, framework="pt")


@pytest.mark.parametrize(
    ("difference", "agrees"), [(None, True), (1e-5, True), (1e-3, False), (float("inf"), False)]
)
def test_agreement(difference, agrees):
    found = prediction.Prediction(task="base", frameworks=(), results=(), difference=difference)
    assert found.agrees is agrees
    json.dumps(found.to_dict(), allow_nan=False)


def numbers(result):
    """All numbers of a result, in order."""
    if isinstance(result, int | float | np.floating):
        return [result]
    if isinstance(result, str):
        return []
    parts = result.values() if isinstance(result, dict) else result
    return [number for part in parts for number in numbers(part)]


@pytest.mark.pt
class TestOneArgument:
    def test_texts_alone(self):
        found = distil.predict("A fine film.", framework="pt")
        assert found == distil.predict(None, ["A fine film."], framework="pt")
        assert len(distil.predict(["one", "two"], framework="pt").results) == 2

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [((None,), "there is no text"), ((["a", "b"], ["c"]), "must be one string")],
    )
    def test_what_cannot_be_meant(self, arguments, problem, tmp_path):
        with pytest.raises(InputError, match=problem):
            distil.predict(*arguments)
        with pytest.raises(InputError, match="there is no text"):
            distil.predict(tmp_path)
