import numpy as np
import pytest

import distil
from distil import prediction
from distil.common.errors import InputError, WeightsError
from distil.readout import READERS, Embedding, Row, cosine_similarities
from support.folders import VOCABULARY, make_folder
from support.models import config_for

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


@pytest.fixture(scope="module")
def tokenizer(folders):
    return distil.load_tokenizer(folders("base"))


def row(tokenizer, text, second=None, *, task="sequence-classification", top_k=5, **rest):
    outputs = {name: np.array(values, np.float64) for name, values in rest.pop("outputs").items()}
    return Row(
        text=text,
        second=second,
        encoding=tokenizer(text, second if isinstance(second, str) else None).encodings[0],
        outputs=outputs,
        config=config_for(task, **rest),
        tokenizer=tokenizer,
        top_k=top_k,
    )


class TestReading:
    """Outputs that are known, and what they say."""

    def scores(self, tokenizer, logits, **rest):
        read = READERS["sequence-classification"]
        one = read(row(tokenizer, "it", outputs={"logits": logits}, **rest))
        return {score.label: score.score for score in one.scores}

    def test_one_label(self, tokenizer):
        found = self.scores(tokenizer, np.log([0.2, 0.5, 0.3]))
        assert list(found) == ["LABEL_1", "LABEL_2", "LABEL_0"]
        assert found["LABEL_1"] == pytest.approx(0.5)

    def test_top_k(self, tokenizer):
        assert list(self.scores(tokenizer, [1, 3, 2], top_k=2)) == ["LABEL_1", "LABEL_2"]

    def test_several_labels(self, tokenizer):
        found = self.scores(tokenizer, [0, 800, -800], problem_type="multi_label_classification")
        assert found == {"LABEL_1": 1.0, "LABEL_0": 0.5, "LABEL_2": 0.0}

    def test_regression(self, tokenizer):
        assert self.scores(tokenizer, [3.5], num_labels=1) == {"LABEL_0": 3.5}

    def test_tags_are_of_words(self, tokenizer):
        text = "Paris is old."  # [CLS] paris is o ##l ##d . [SEP]
        logits = np.zeros((8, 3))
        logits[1, 2] = 5
        logits[3:6] = np.log([[0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
        found = READERS["token-classification"](
            row(tokenizer, text, task="token-classification", outputs={"logits": logits})
        )
        assert [word.word for word in found.words] == ["Paris", "is", "old", "."]
        assert found.words[0].tag == "LABEL_2"
        old = found.words[2]
        assert (old.tag, old.start, old.end) == ("LABEL_1", 9, 12)
        assert old.score == pytest.approx((0.8 + 0.3 + 0.8) / 3)

    def test_an_answer_is_in_the_context_and_ends_after_its_start(self, tokenizer):
        question, context = "who?", "it was Paris, the film."
        pieces = tokenizer(question, context).tokens()
        start, end = np.zeros(len(pieces)), np.zeros(len(pieces))
        start[pieces.index("who")] = end[pieces.index("who")] = 50
        start[pieces.index("paris")] = 20
        end[pieces.index("was")] = 19  # would end before it starts
        end[pieces.index("film")] = 15
        found = READERS["question-answering"](
            row(
                tokenizer, question, context, task="question-answering",
                outputs={"start_logits": start, "end_logits": end},
            )
        )  # fmt: skip
        assert found.answer == "Paris, the film"
        assert context[found.start : found.end] == found.answer
        assert 0 < found.score < 1

    def test_words_for_each_mask(self, tokenizer):
        text = "[MASK] is [MASK]."  # [CLS] [MASK] is [MASK] . [SEP]
        logits = np.full((6, len(VOCABULARY) + 3), -20.0)  # a model with rows to spare
        logits[:, -1] = 10
        logits[1, VOCABULARY.index("paris")] = 5
        logits[1, VOCABULARY.index("it")] = 4
        logits[3, VOCABULARY.index("good")] = 3
        found = READERS["masked-lm"](
            row(tokenizer, text, task="masked-lm", top_k=2, outputs={"logits": logits})
        )
        assert [word.label for word in found.masks[0]] == ["paris", "it"]
        assert found.masks[1][0].label == "good"

    def test_embeddings_leave_padding_out(self, tokenizer):
        hidden = np.zeros((5, 2))
        hidden[:3] = [[3, 4]] * 3
        hidden[3:] = 1000
        one = row(tokenizer, "it", task="base", outputs={"last_hidden_state": hidden})
        padded = tokenizer(["it", "it is a"], padding=True).encodings[0]
        found = READERS["base"](Row(**{**vars(one), "encoding": padded}))
        assert found.vector == pytest.approx((0.6, 0.8))

    def test_cosine_similarities(self):
        vectors = [(1.0, 0.0), (0.6, 0.8)]
        found = cosine_similarities([Embedding(text="", vector=vector) for vector in vectors])
        assert np.array(found) == pytest.approx(np.array([[1, 0.6], [0.6, 1]]))


class TestPredict:
    @pytest.mark.pt
    @pytest.mark.tf
    @pytest.mark.parametrize("task", READERS)
    def test_both_frameworks_agree(self, folders, task):
        found = distil.predict(folders(task), TEXTS, framework="both", **SECONDS.get(task, {}))
        assert found.agrees
        assert 0 < found.difference < 1e-4
        assert found.frameworks == ("pt", "tf")
        assert len(found.results) == len(TEXTS)

    @pytest.mark.pt
    @pytest.mark.parametrize("task", READERS)
    def test_batches_change_nothing(self, folders, monkeypatch, task):
        given = {"framework": "pt", "dtype": "float64", **SECONDS.get(task, {})}
        together = distil.predict(folders(task), TEXTS, **given)
        monkeypatch.setattr(prediction, "_ROWS_AT_ONCE", 1)
        apart = distil.predict(folders(task), TEXTS, **given)
        for one, other in zip(together.results, apart.results, strict=True):
            assert numbers(one) == pytest.approx(numbers(other), abs=1e-12)
            assert words(one) == words(other)

    @pytest.mark.pt
    @pytest.mark.tf
    def test_a_difference_is_seen(self, folders, monkeypatch):
        monkeypatch.setattr("distil.tf.encoder.LAYER_NORM_EPS", 1e-3)
        found = distil.predict(folders("sequence-classification"), "it is", framework="both")
        assert found.difference > 1e-4
        assert not found.agrees

    @pytest.mark.pt
    def test_one_pair_for_all(self, folders):
        found = distil.predict(
            folders("sequence-classification"), TEXTS, pair="a film", framework="pt"
        )
        assert [one.pair for one in found.results] == ["a film"] * 3

    @pytest.mark.pt
    def test_long_texts_are_cut_with_one_warning(self, folders):
        with pytest.warns(UserWarning, match="2 of 3 texts are longer than the 40 tokens") as said:
            found = distil.predict(
                folders("sequence-classification"), ["it " * 50, "it", "a " * 60], framework="pt"
            )
        assert len(said) == 1
        assert len(found.results) == 3

    @pytest.mark.pt
    def test_a_mask_that_is_cut_off_is_missing(self, folders):
        with (
            pytest.warns(UserWarning, match="longer"),
            pytest.raises(InputError, match="nothing to guess"),
        ):
            distil.predict(folders("masked-lm"), "it " * 50 + "[MASK]", framework="pt")


def numbers(result):
    """All numbers of a result, in order."""
    if isinstance(result, float):
        return [result]
    if isinstance(result, tuple):
        return [number for one in result for number in numbers(one)]
    if hasattr(result, "__dataclass_fields__"):
        return [number for one in vars(result).values() for number in numbers(one)]
    return []


def words(result):
    """All strings of a result, in order."""
    if isinstance(result, str):
        return [result]
    if isinstance(result, tuple):
        return [word for one in result for word in words(one)]
    if hasattr(result, "__dataclass_fields__"):
        return [word for one in vars(result).values() for word in words(one)]
    return []


@pytest.mark.pt
@pytest.mark.parametrize(
    ("task", "texts", "given", "problem"),
    [
        ("base", [], {}, "there is no text"),
        ("base", [""], {}, r"this is no text[\s\S]*texts\[0\]"),
        ("base", ["it", " \n"], {}, r"texts\[1\]"),
        ("base", ["it"], {"top_k": 0}, "nothing to give"),
        ("base", ["it"], {"pair": "a"}, "pair means nothing here"),
        ("question-answering", ["who?"], {}, "needs context"),
        ("question-answering", ["who?"], {"pair": "a"}, "pass context instead"),
        ("question-answering", ["a", "b", "c"], {"context": ["a", "b"]}, "do not go together"),
        ("question-answering", ["who?"], {"context": " "}, r"context\[0\]"),
        ("multiple-choice", ["it"], {}, "needs choices"),
        ("multiple-choice", ["it"], {"choices": ["one"]}, "nothing to choose from"),
        pytest.param("masked-lm", ["it is"], {}, "nothing to guess", marks=pytest.mark.pt),
    ],
)
def test_what_cannot_be_predicted(folders, task, texts, given, problem):
    with pytest.raises(InputError, match=problem):
        distil.predict(folders(task), texts, framework="pt", **given)


@pytest.mark.pt
@pytest.mark.parametrize(
    ("saved", "asked"),
    [
        ("base", "sequence-classification"),
        ("sequence-classification", "token-classification"),
        ("sequence-classification", "masked-lm"),
    ],
)
def test_a_random_head_predicts_nothing(folders, saved, asked):
    with pytest.raises(WeightsError, match="no trained head"):
        distil.predict(folders(saved), "it is [MASK]", task=asked, framework="pt")
