import importlib

import numpy as np
import pytest

import distil
from distil import parity
from distil.cli import main
from distil.common import spec
from distil.common.config import DistilBertConfig
from distil.common.measurement import Measurement
from distil.common.tasks import TASKS
from distil.errors import InputError
from distil.parity import judging
from support.folders import make_folder
from support.models import ALL_TASKS

both = [pytest.mark.pt, pytest.mark.tf]
TEXTS = ["A good film!", "It is.", "Who was born in Paris, the good one or the bad one?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("tiny"), "sequence-classification")


class TestAgreement:
    pytestmark = both

    @pytest.mark.parametrize("task", ALL_TASKS)
    def test_every_task_agrees_in_float64(self, tmp_path, task):
        comparison = distil.compare(
            make_folder(tmp_path / "model", task), dtype="float64", texts=TEXTS
        )
        assert comparison.agrees, comparison.first_disagreement
        assert comparison.shown < comparison.rows * comparison.length  # padded: masks matter
        head = "output" if task == "base" else "head"
        assert comparison.parts == ("embeddings", "layer 0", "layer 1", head)
        assert (comparison.loss is None) == (task == "base")
        assert {one.kind for one in comparison.findings} == {"output", "padding", "gradient"}

    def test_float32_and_built_in_texts(self, folder):
        comparison = distil.compare(folder)
        assert comparison.agrees, comparison.first_disagreement
        assert comparison.rows == len(parity.TEXTS)

    @pytest.mark.parametrize(("options", "count"), [({}, 3), ({"rows": 2}, 2)])
    def test_the_texts_that_are_given_are_compared(self, folder, monkeypatch, options, count):
        seen, measure = [], parity._measure

        def watched(form, found, task, batch, **rest):
            seen.append((form.framework, batch["input_ids"].tolist()))
            return measure(form, found, task, batch, **rest)

        monkeypatch.setattr(parity, "_measure", watched)
        distil.compare(folder, texts=TEXTS, **options)
        ids = distil.load_tokenizer(folder)(TEXTS[:count], padding=True)["input_ids"]
        assert seen == [("pt", ids), ("tf", ids)]

    @pytest.mark.parametrize("task", ["token-classification", "multiple-choice", "masked-lm"])
    def test_a_head_that_is_not_there_is_the_same_in_both(self, folder, task):
        with pytest.warns(distil.CheckpointWarning) as said:
            comparison = distil.compare(folder, task=task, dtype="float64", texts=TEXTS)
        assert comparison.agrees, comparison.first_disagreement
        assert len(said) == 1

    @pytest.mark.parametrize("kind", ["regression", "multi_label_classification"])
    def test_labels_fit_the_problem(self, tmp_path, kind):
        folder = make_folder(tmp_path, "sequence-classification", problem_type=kind)
        comparison = distil.compare(folder, dtype="float64", texts=TEXTS)
        assert comparison.agrees, comparison.first_disagreement
        assert comparison.loss > 0

    def test_one_text_has_no_padding(self, folder):
        comparison = distil.compare(folder, texts=TEXTS, rows=1)
        assert comparison.agrees
        assert comparison.worst("padding") is None
        assert comparison.rows == 1


def tanh_gelu(framework):
    activations = importlib.import_module(f"distil.{framework}.activations").ACTIVATIONS
    return {**activations, "gelu": activations["gelu_new"]}


def stopped_gelu(framework):
    """Right forwards; backwards half of the gradient is lost."""
    gelu = importlib.import_module(f"distil.{framework}.activations").ACTIVATIONS["gelu"]
    if framework == "pt":
        return {"gelu": lambda x: (gelu(x) + gelu(x).detach()) / 2}
    stop = importlib.import_module("tensorflow").stop_gradient
    return {"gelu": lambda x: (gelu(x) + stop(gelu(x))) / 2}


MUTANTS = {
    "epsilon": ("NORM_EPSILON", lambda _: 1e-5, ("embeddings", "output", "hidden_states.0")),
    "tanh GELU": ("ACTIVATIONS", tanh_gelu, ("layer 0", "output", "hidden_states.1")),
    "lost gradient": ("ACTIVATIONS", stopped_gelu, ("layer 1", "gradient", None)),
}


class TestMutants:
    """A break in one framework is seen, and where it begins is named."""

    pytestmark = both

    @pytest.mark.parametrize("framework", ["pt", "tf"])
    @pytest.mark.parametrize("mutant", MUTANTS)
    def test_is_caught(self, folder, monkeypatch, capsys, framework, mutant):
        attribute, broken, (part, kind, name) = MUTANTS[mutant]
        encoder = importlib.import_module(f"distil.{framework}.encoder")
        monkeypatch.setattr(encoder, attribute, broken(framework))
        comparison = distil.compare(folder, texts=TEXTS)
        assert not comparison.agrees
        first = comparison.first_disagreement
        assert (first.part, first.kind) == (part, kind)
        assert name is None or first.name == name
        assert main(["parity", str(folder), "--rows", "3"]) == 1
        assert "do NOT agree" in capsys.readouterr().out

    def test_a_true_error_cannot_hide_where_gradients_are_rounding(self, folder, monkeypatch):
        measure = importlib.import_module("distil.tf.measure").measure
        name = "distilbert.transformer.layer.0.attention.k_lin.{}"

        def broken(*arguments, **options):
            measured = measure(*arguments, **options)
            if measured.gradients:
                size = np.abs(measured.gradients[name.format("weight")]).max()
                measured.gradients[name.format("bias")] += 1e-2 * size
            return measured

        monkeypatch.setattr("distil.tf.measure.measure", broken)
        comparison = distil.compare(folder, texts=TEXTS)
        wrong = [finding.name for finding in comparison.findings if not finding.agrees]
        assert wrong == [name.format("bias")]


class TestJudging:
    """What is a difference, without any framework."""

    TOLERANCES = judging.Tolerances(output=1e-5, padding=1e-2, gradient=1e-5)
    NAME = "distilbert.transformer.layer.0.attention.k_lin."

    def findings(self, change):
        def measurement():
            random = np.random.default_rng(0)
            outputs = {"loss": np.array(1.0), "logits": random.standard_normal((2, 3))}
            for suffix in ("", " (with attention weights)"):
                outputs["hidden_states.0" + suffix] = random.standard_normal((2, 4, 5))
            outputs["attentions.0"] = random.standard_normal((2, 2, 4, 4))
            gradients = {
                self.NAME + "weight": random.standard_normal((5, 5)),
                self.NAME + "bias": 1e-9 * random.standard_normal(5),
            }
            return Measurement(outputs, gradients)

        self.one = one = measurement()
        other = measurement()
        change(other)
        mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]]) == 1
        task = TASKS["sequence-classification"]
        weights = spec.weights(DistilBertConfig(n_layers=1), task.name)
        found = judging.judge(one, other, mask, task, weights, self.TOLERANCES)
        return [(one.kind, one.name) for one in found if not one.agrees]

    def test_nothing(self):
        assert self.findings(lambda other: None) == []

    def test_padding_is_judged_apart(self):
        def change(other):
            other.outputs["hidden_states.0"][1, 2:] += 1e-3

        assert self.findings(change) == []

        def change_more(other):
            other.outputs["hidden_states.0"][1, 2:] += 1

        assert self.findings(change_more) == [("padding", "hidden_states.0")]

    def test_attention_is_by_the_token_that_attends(self):
        def change(other):
            other.outputs["attentions.0"][1, :, 1, :] += 1e-3

        assert self.findings(change) == [("output", "attentions.0")]

        def change_padding(other):
            other.outputs["attentions.0"][1, :, 3, :] += 1e-3

        assert self.findings(change_padding) == []

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_not_finite_never_agree(self, value):
        def change(other):
            other.outputs["loss"] = np.array(value)
            other.gradients[self.NAME + "weight"][0, 0] = value

        assert self.findings(change) == [("gradient", self.NAME + "weight"), ("output", "loss")]

    def test_another_type_shape_or_name(self):
        def change(other):
            other.outputs["logits"] = other.outputs["logits"].astype(np.float32)
            other.outputs["attentions.0"] = other.outputs["attentions.0"][:, :1]
            del other.gradients[self.NAME + "bias"]

        assert {name for _, name in self.findings(change)} == {
            "logits", "attentions.0", self.NAME + "bias"
        }  # fmt: skip

    def test_a_gradient_that_only_one_has_and_nothing_to_scale_it_by(self):
        name = "distilbert.embeddings.position_embeddings.weight"

        def change(other):
            other.gradients[name] = np.ones((2, 2))

        assert self.findings(change) == [("gradient", name)]

    def test_rounding_in_a_gradient_that_is_zero(self):
        def change(other):
            other.gradients[self.NAME + "bias"] *= -3

        assert self.findings(change) == []

    def test_rounding_where_attention_rests_on_one_token(self):
        values = self.NAME.replace("k_lin", "v_lin") + "weight"

        def change(other):
            other.gradients[values] = self.one.gradients[values] = np.full((5, 5), 1e6)
            other.gradients[self.NAME + "weight"] *= -3

        assert self.findings(change) == []

        def change_more(other):
            change(other)
            other.gradients[self.NAME + "weight"] += 100

        assert self.findings(change_more) == [("gradient", self.NAME + "weight")]

    def test_a_module_outside_attention_has_its_own_scale(self):
        name = "distilbert.transformer.layer.0.ffn.lin1."

        def change(other):
            for measured, value in ((self.one, 1e-3), (other, 2e-3)):
                measured.gradients[name + "weight"] = np.array([[value]])

        assert self.findings(change) == [("gradient", name + "weight")]

    def test_nothing_to_compare_is_no_agreement(self):
        empty = parity.Comparison(
            name="", task="", dtype="", rows=0, length=0, shown=0, loss=None, findings=()
        )
        assert not empty.agrees


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"dtype": "bfloat16"}, "cannot compare in this type"),
        ({"texts": []}, "nothing to compare"),
        ({"texts": [" "]}, "nothing to compare"),
        ({"texts": "one"}, "not a list"),
        ({"rows": 0}, "impossible number of texts"),
        ({"tolerance": -1.0}, "impossible tolerance"),
        ({"tolerance": float("nan")}, "impossible tolerance"),
    ],
)
def test_impossible_arguments(folder, options, problem):
    with pytest.raises(InputError, match=problem):
        distil.compare(folder, **options)
