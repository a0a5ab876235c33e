"""Texts with several labels each, or none: from rows to a model, and what is refused."""

import json
import logging

import numpy as np
import pytest

import distil
from distil.common.steps.recipe_model import DistillationSection
from distil.common.steps.teaching_rules import check_pair
from distil.errors import ConfigError, InputError, TrainingError
from distil.training.examples import Reader, read_split
from distil.training.features import classification
from distil.training.given import recipe_of
from distil.training.preparing import load_model, prepare
from distil.training.splitting import held_out
from support.folders import make_folder, make_tokenizer
from support.models import config_for
from support.training import recipe_for

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]
SEVERAL = {"problem_type": "multi_label_classification"}
NAMES = ("good", "film", "paris")

# A label is a word of the text.
ROWS = [
    {"text": text, "label": [name for name in NAMES if name in text.split()]}
    for text in (
        "the good film", "who was born", "a film", "good paris", "it is paris", "the good",
        "paris is in the good film", "is it bad",
    )
] * 5  # fmt: skip
MARKED = [
    {"text": row["text"], **{name: int(name in row["label"]) for name in NAMES}} for row in ROWS
]
MARKS = {"label": list(NAMES)}
NUMBERED = [{**row, "label": [NAMES.index(one) for one in row["label"]]} for row in ROWS]
QUICK = {"batch.examples": 8, "schedule.steps": 3, "data.max_length": 16}


def given(folder, data, assignments=None, **options):
    arguments = {"task": "text-classification", "model": "m"} | options
    return recipe_of(None, assignments or {}, data=data, output=folder / "out", **arguments)


def write(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    return path


class TestRecipes:
    @pytest.mark.parametrize(
        ("rows", "columns", "found"),
        [(ROWS, None, True), (MARKED, MARKS, True), (NUMBERED, None, True),
         ([{"text": "a", "label": "b"}], None, False)],
    )  # fmt: skip
    def test_rows_in_memory_say_what_they_are(self, tmp_path, rows, columns, found):
        recipe = given(tmp_path, rows, columns=columns).recipe
        assert recipe.has_several_labels is found
        assert (recipe.model.config == SEVERAL) is found

    def test_frames_and_data_sets(self, tmp_path):
        pandas, datasets = pytest.importorskip("pandas"), pytest.importorskip("datasets")
        features = datasets.Features({
            "text": datasets.Value("string"),
            "label": datasets.Sequence(datasets.ClassLabel(names=list(NAMES))),
        })  # fmt: skip
        for table in (pandas.DataFrame(ROWS), datasets.Dataset.from_list(NUMBERED, features)):
            assert given(tmp_path, table).recipe.has_several_labels
        assert given(tmp_path, table).recipe.data.labels == NAMES

    def test_files(self, tmp_path):
        several, one = tmp_path / "several.jsonl", tmp_path / "one.csv"
        write(several, ROWS)
        write(one, [{"text": "a", "label": "b"}])
        assert given(tmp_path, str(several)).recipe.has_several_labels
        assert not given(tmp_path, str(one)).recipe.has_several_labels
        assert given(tmp_path, str(one), columns=MARKS).recipe.has_several_labels
        assert not given(tmp_path, "missing.jsonl").recipe.has_several_labels

    def test_what_is_said_is_not_guessed(self, tmp_path):
        kinds = {"model.config": {"dropout": 0.0}}
        found = given(tmp_path, ROWS, kinds).recipe.model.config
        assert found == {"dropout": 0.0, **SEVERAL}
        regression = {"model.config": {"problem_type": "regression"}}
        assert not given(tmp_path, ROWS, regression).recipe.has_several_labels

    @pytest.mark.parametrize(
        ("task", "settings", "words"),
        [
            ("token-classification", {}, "only texts as a whole"),
            ("sequence-classification", {"loss.class_weights": "balanced"}, "no class_weights"),
            (
                "sequence-classification", {"loss.label_smoothing": 0.1},
                r"no label_smoothing[\s\S]*multi_label_classification",
            ),
            ("sequence-classification", {"evaluation.threshold": 1}, "threshold is not valid"),
        ],
    )  # fmt: skip
    def test_refused(self, task, settings, words):
        with pytest.raises(ConfigError, match=words):
            recipe_for(task, **{"model.config": SEVERAL, **settings})

    def test_a_threshold_without_use(self):
        from distil.training.metrics import check_metric

        check_metric(recipe_for("sequence-classification", **{
            "model.config": SEVERAL, "evaluation.threshold": 0.3,
        }))  # fmt: skip
        with pytest.raises(TrainingError, match="only several labels have a threshold"):
            check_metric(recipe_for("sequence-classification", **{"evaluation.threshold": 0.3}))


class TestRows:
    def reader(self, columns=None, **options):
        data = recipe_for("sequence-classification", **{"data.columns": columns or {}}).data
        return Reader(data=data, tokenizer=make_tokenizer(), **options)

    def targets(self, rows, folder, columns=None, **options):
        data = {"data.folder": str(folder), "data.train": write(folder / "r.jsonl", rows).name}
        options = {"labels": NAMES, "several": True} | options
        found = classification(
            read_split(recipe_for("masked-lm", **data).data, "train"),
            self.reader(columns, **options),
        )
        return found.features.targets["labels"]

    @pytest.mark.parametrize(("rows", "columns"), [(ROWS, None), (NUMBERED, None), (MARKED, MARKS)])
    def test_targets_are_1_where_a_label_applies(self, rows, columns, tmp_path):
        found = self.targets(rows, tmp_path, columns)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(
            found, [[name in row["label"] for name in NAMES] for row in ROWS]
        )

    @pytest.mark.parametrize("label", ["good", ["good", "good"], [0.0, 1.0, 0.0], ["chess"], None])
    def test_a_bad_label_names_its_row(self, label, tmp_path):
        with pytest.raises(InputError, match=r"r\.jsonl:2"):
            self.targets([ROWS[0], {"text": "a", "label": label}], tmp_path)

    def test_a_list_where_a_text_has_one_label(self, tmp_path):
        with pytest.raises(InputError, match=r"label is a list[\s\S]*multi_label_classification"):
            self.targets(ROWS, tmp_path, several=False)
        recipe = recipe_for(
            "sequence-classification",
            **{"data.folder": str(tmp_path), "data.train": "r.jsonl",
               "model.name": str(make_folder(tmp_path / "m", "sequence-classification"))},
        )  # fmt: skip
        with pytest.raises(InputError, match=r"label is a list[\s\S]*r\.jsonl:1"):
            prepare(recipe)

    def prepared(self, folder, rows, **settings):
        model = make_folder(folder / "m", "sequence-classification")
        return prepare(recipe_for(
            "sequence-classification",
            **{"data.folder": str(folder), "data.train": write(folder / "r.jsonl", rows).name,
               "model.name": str(model), "model.config": SEVERAL, **settings},
        ))  # fmt: skip

    def test_labels_are_counted(self, tmp_path):
        assert dict(self.prepared(tmp_path, ROWS).counts) == {"film": 15, "good": 20, "paris": 15}

    def test_columns_keep_their_order_and_one_may_be_empty(self, tmp_path):
        rows = [{**row, "war": 0} for row in MARKED]
        columns = {"label": ["paris", "war", "good"]}
        found = self.prepared(tmp_path, rows, **{"data.columns": columns}).counts
        assert list(found.items()) == [("paris", 15), ("war", 0), ("good", 20)]

    def test_one_label_is_enough_and_none_is_not(self, tmp_path):
        rows = [{"text": "a", "label": ["b"]}, {"text": "c", "label": []}]
        assert self.prepared(tmp_path, rows).labels == ("b",)
        with pytest.raises(InputError, match="no training row has a label"):
            self.prepared(tmp_path, rows[1:])


class TestHeldOut:
    def held(self, folder, labels, **changes):
        rows = [{"text": "t", "label": list(some)} for some in labels]
        write(folder / "rows.jsonl", rows)
        return held_out(recipe_for("sequence-classification", **{
            "data.train": "rows.jsonl", "data.folder": str(folder), "data.dev_share": 0.1,
            "model.config": SEVERAL, **changes,
        }))  # fmt: skip

    @pytest.mark.parametrize("seed", range(4))
    def test_the_rarest_label_keeps_its_share(self, tmp_path, seed):
        labels = ["ab"] * 20 + ["a"] * 70 + [""] * 10
        held = self.held(tmp_path, labels, seed=seed)
        assert [int(held[part].sum()) for part in (slice(20), slice(20, 90), slice(90, 100))] == [
            2, 7, 1,
        ]  # fmt: skip

    @pytest.mark.parametrize("seed", range(8))
    def test_every_label_keeps_a_row_to_learn_from(self, tmp_path, seed):
        """Also one that is the rarest of none of its rows."""
        labels = ["ac", "a", "bc", "b", "", ""]
        held = self.held(tmp_path, labels, **{"data.dev_share": 0.9, "seed": seed})
        kept = "".join(some for some, is_held in zip(labels, held, strict=True) if not is_held)
        assert {*kept} == {*"abc"}
        assert held.any()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_from_rows_to_a_judged_model(framework, tmp_path, caplog):
    caplog.set_level(logging.INFO, "distil.training")
    make_folder(tmp_path / "model", "sequence-classification", num_labels=3)
    settings = {**QUICK, "schedule.steps": 10, "optimizer.learning_rate": 3e-3}
    result = distil.train(
        task="sequence-classification", model=tmp_path / "model", data=ROWS, dev=ROWS[:8],
        output=tmp_path / "out", framework=framework, **settings,
    )  # fmt: skip
    assert "classes: film (15), good (20), paris (15)" in caplog.text
    assert result.metric == "f1_micro"
    assert result.metrics.keys() == {"loss", "f1_micro", "f1_macro", "exact_match"}
    assert result.intervals.keys() == result.metrics.keys() - {"loss"}
    config = json.loads((result.folder / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert config["id2label"] == {"0": "film", "1": "good", "2": "paris"}
    card = (result.folder / "README.md").read_text()
    assert "top_k=None" in card
    found = distil.evaluate(result.folder, ROWS[:8], framework=framework)
    assert {name: one.value for name, one in found.metrics.items()} == pytest.approx(
        {name: result.metrics[name] for name in found.metrics}, abs=1e-6
    )
    for name, ends in result.intervals.items():
        one = found.metrics[name]
        assert ends == pytest.approx((one.low, one.high), abs=1e-6)
    # Every label has its own probability.
    pipe = distil.pipeline("text-classification", result.folder, framework=framework)
    ranked = pipe("a film", top_k=None)
    assert {one["label"] for one in ranked} == {*NAMES}
    raw = {one["label"]: one["score"] for one in pipe("a film", top_k=None,
                                                       function_to_apply="none")}  # fmt: skip
    for one in ranked:
        assert one["score"] == pytest.approx(1 / (1 + np.exp(-raw[one["label"]])))
    predicted = distil.predict(result.folder, "a film", framework=framework).results[0]["result"]
    assert predicted == ranked
    parquet = pytest.importorskip("pyarrow.parquet")
    write(tmp_path / "in.jsonl", ROWS[:3])
    distil.predict(
        result.folder, file=tmp_path / "in.jsonl", output=tmp_path / "parts", framework=framework
    )
    (part,) = (tmp_path / "parts").glob("*.parquet")
    found = parquet.read_table(part).column("results").to_pylist()
    assert [{one["label"] for one in some} for some in found] == [{*NAMES}] * 3
    # Texts together are computed in another order of sums than one alone.
    for one, other in zip(found[2], ranked, strict=True):
        assert one["label"] == other["label"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)


class TestKinds:
    """A model of one kind of labels is not trained on another by accident."""

    def recipe(self, folder, **settings):
        return recipe_for(
            "sequence-classification",
            **{"data.folder": str(folder), "data.train": "r.csv", "data.max_length": 16},
            **settings,
        )

    @pytest.mark.pt
    def test_a_model_for_several_labels_on_rows_with_one(self, tmp_path):
        name = make_folder(tmp_path / "m", "sequence-classification", num_labels=2, **SEVERAL)
        write(tmp_path / "r.csv", [{"text": "a", "label": "b"}, {"text": "c", "label": "d"}] * 3)
        recipe = self.recipe(tmp_path, **{"model.name": str(name)})
        with pytest.raises(ConfigError, match=r"another kind of labels[\s\S]*single_label"):
            load_model(recipe, "pt", prepare(recipe))
        fixed = {"model.config": {"problem_type": "single_label_classification"}}
        recipe = recipe.replace(**fixed)
        assert load_model(recipe, "pt", prepare(recipe)).config.problem_type == (
            "single_label_classification"
        )

    @pytest.mark.parametrize("kinds", [(SEVERAL, {}), ({}, SEVERAL)])
    def test_a_teacher_of_another_kind(self, kinds):
        student, teacher = (config_for("sequence-classification", **kind) for kind in kinds)
        settings = DistillationSection(alpha_cos=0.0)
        check_pair(student, student, settings)
        with pytest.raises(ConfigError, match="differ in problem_type"):
            check_pair(student, teacher, settings)
        check_pair(student, teacher, DistillationSection(alpha_cos=0.0, alpha_ce=0.0))


@pytest.mark.tf
def test_keras_takes_the_loss_of_the_model():
    from distil.tf import TFDistilBertForSequenceClassification

    model = TFDistilBertForSequenceClassification(config_for("sequence-classification", **SEVERAL))
    ids = np.arange(12).reshape(3, 4)
    labels = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0]], np.float32)
    logits = model(ids).logits.numpy()
    model.compile()
    expected = (np.logaddexp(0, logits) - labels * logits).mean()
    assert model.evaluate(ids, labels, verbose=0) == pytest.approx(expected, rel=1e-5)
