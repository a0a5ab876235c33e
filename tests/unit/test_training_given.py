"""Training without a recipe, on whatever people have rows in; and rows held out to judge by."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import yaml

import distil
from distil.common.steps.recipe import read_recipe
from distil.errors import ConfigError, InputError, TrainingError, WeightsError
from distil.training.examples import read_split
from distil.training.given import recipe_of
from distil.training.splitting import held_out
from support.folders import make_folder
from support.training import recipe_for

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]

ROWS = [
    {"review": f"the {'good' if number % 4 else 'bad'} capital", "stars": number % 4 and 1, "n": 7}
    for number in range(40)
]
COLUMNS = {"text": "review", "label": "stars"}
QUICK = {"batch.examples": 8, "schedule.steps": 2, "data.max_length": 16}


class PolarsFrame:
    """As much of one as is used, where it is not installed."""

    __module__ = "polars.dataframe.frame"

    def iter_rows(self, *, named):
        assert named
        return iter(ROWS)


def tables():
    """The same rows in every kind of table."""
    return {
        "list": lambda: list(ROWS),
        "generator": lambda: iter(ROWS),
        "pandas": lambda: pytest.importorskip("pandas").DataFrame(ROWS),
        "polars": PolarsFrame,
        "arrow": lambda: pytest.importorskip("pyarrow").Table.from_pylist(ROWS),
        "datasets": lambda: pytest.importorskip("datasets").Dataset.from_list(ROWS),
    }


def given(folder, data, **options):
    arguments = {"task": "text-classification", "model": "m", "columns": COLUMNS} | options
    assignments = arguments.pop("assignments", {})
    return recipe_of(None, assignments, data=data, output=folder / "out", **arguments)


@pytest.mark.parametrize("kind", tables())
def test_every_kind_of_table_comes_to_the_same_file(kind, tmp_path):
    found = given(tmp_path, tables()[kind]())
    found.keep_rows(tmp_path / "out")
    (path,) = found.tables
    assert path.name == next(iter(given(tmp_path, ROWS).tables)).name
    rows = [dict(row.values) for row in read_split(found.recipe.data, "train")]
    assert rows == [{"review": row["review"], "stars": row["stars"]} for row in ROWS]
    assert found.recipe.task == "sequence-classification"
    assert found.recipe.data.dev_share == 0.1


def test_dev_rows_of_a_sentence_encoder_have_columns_of_their_own(tmp_path):
    pairs = [{"first": "a good film", "sentence2": "it is", "score": 0.5}] * 3
    found = given(
        tmp_path, {"train": ROWS, "dev": pairs}, task="sentence-embeddings", teacher="t",
        columns={"text": "review", "sentence1": "first"},
    )  # fmt: skip
    found.keep_rows(tmp_path / "out")
    splits = [list(read_split(found.recipe.data, split)) for split in ("train", "dev")]
    assert [dict(split[0].values) for split in splits] == [{"review": ROWS[0]["review"]}, pairs[0]]


def test_splits_of_a_mapping(tmp_path):
    found = given(tmp_path, {"train": ROWS[:30], "validation": ROWS[30:], "test": ROWS})
    found.keep_rows(tmp_path / "out")
    assert found.recipe.data.dev_share is None
    counts = [len(list(read_split(found.recipe.data, split))) for split in ("train", "dev")]
    assert counts == [30, 10]


def test_a_data_set_names_its_classes(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"review": datasets.Value("string"), "stars": datasets.ClassLabel(names=["low", "high"])}
    )
    rows = [{name: row[name] for name in features} for row in ROWS]
    found = given(tmp_path, datasets.Dataset.from_list(rows, features=features))
    assert found.recipe.data.labels == ("low", "high")
    words = datasets.Features(
        {
            "words": datasets.Sequence(datasets.Value("string")),
            "tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-LOC"])),
        }
    )
    tagged = datasets.Dataset.from_list([{"words": ["a"], "tags": [0]}], features=words)
    found = given(tmp_path, tagged, task="ner", columns=None)
    assert found.recipe.data.labels == ("O", "B-LOC")


def test_files_are_read_where_they_are(tmp_path):
    found = given(tmp_path, "own.csv", dev=["a.csv", "b.csv"])
    assert found.tables == {}
    assert found.recipe.data.train == ("own.csv",)
    assert found.recipe.data.dev == ("a.csv", "b.csv")


def test_a_recipe_on_other_data(tmp_path):
    recipe = recipe_for("masked-lm", **{"data.folder": "elsewhere", "data.dev": "x", "seed": 4})
    found = recipe_of(recipe, {"data.dev_share": 0.5}, data="own.txt", output=tmp_path)
    data = found.recipe.data
    assert (data.folder, data.train, data.dev, data.dev_share) == (".", ("own.txt",), None, 0.5)
    assert found.recipe.seed == 4


def test_sections_are_still_sections(tmp_path):
    recipe = recipe_for("masked-lm")
    found = recipe_of(recipe, {}, model={"name": "other"}, data={"train": "own.txt"})
    assert (found.recipe.model.name, found.recipe.data.train) == ("other", ("own.txt",))
    assert found.recipe.data.dev_share is None


def test_missing_values_are_missing_and_others_refused(tmp_path):
    rows = [{"text": "one", "label": float("nan")}, {"text": np.str_("two"), "label": np.int64(1)}]
    found = given(tmp_path, rows, columns=None)
    found.keep_rows(tmp_path / "out")
    (path,) = found.tables
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"text": "one", "label": None}, {"text": "two", "label": 1}]
    for value in (b"bytes", float("inf"), "\ud800"):
        with pytest.raises(InputError, match=r"row cannot be kept[\s\S]*row 2"):
            given(tmp_path, [{"text": "one"}, {"text": value}], columns=None)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (None, r"no 'text'[\s\S]*'review', 'stars', 'n'"),
        ({"text": "revue"}, "no 'revue'"),
        ({"label": "n"}, "no 'text'"),
        ({"label": ["stars", "n"]}, "no 'text'"),
    ],
)
def test_columns_that_are_missing_are_named_beside_those_that_are_there(columns, words, tmp_path):
    with pytest.raises(InputError, match=words):
        given(tmp_path, ROWS, columns=columns)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, ConfigError, "nothing to train"),
        ({"task": "ner", "model": "m", "data": "a.csv"}, ConfigError, "output is missing"),
        ({"model": "m", "data": "a.csv", "output": "o"}, ConfigError, "task is missing"),
        ({"task": "ner", "data": "a.csv", "output": "o"}, ConfigError, "model.name is missing"),
        ({"task": "ner", "model": "m", "output": "o"}, ConfigError, "data is missing"),
        (
            {"task": "ner", "model": "m", "dev": "a.csv", "output": "o"},
            ConfigError,
            "no training data",
        ),
        ({"task": "ner", "model": "m", "data": 5, "output": "o"}, InputError, "holds no rows"),
        (
            {"task": "ner", "model": "m", "data": "a", "output": "o", "columns": {"txt": "a"}},
            ConfigError, "did you mean text",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_or_unknown_is_named(arguments, error, words):
    with pytest.raises(error, match=words):
        recipe_of(None, {}, **arguments)


class TestHeldOut:
    def recipe(self, folder, labels, task="sequence-classification", **changes):
        rows = [{"text": f"t{n}", "context": label, "label": label} for n, label in labels]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        changes = {"data.train": "rows.jsonl", "data.folder": str(folder)} | changes
        return recipe_for(task, **{"data.dev_share": 0.1} | changes)

    def test_classes_keep_their_shares_and_the_seed_decides(self, tmp_path):
        labels = list(enumerate("a" * 70 + "b" * 25 + "c" * 4 + "d"))
        recipe = self.recipe(tmp_path, labels)
        held = held_out(recipe)
        kinds = np.array([label for _, label in labels])
        assert Counter(kinds[held].tolist()) in ({"a": 7, "b": 3}, {"a": 7, "b": 2, "c": 1})
        assert np.array_equal(held, held_out(recipe))
        assert not np.array_equal(held, held_out(recipe.replace(seed=1)))

    def test_a_file_without_rows(self, tmp_path):
        with pytest.raises(InputError, match="no training rows"):
            held_out(self.recipe(tmp_path, []))

    def test_a_class_keeps_a_row_to_learn_from(self, tmp_path):
        labels = [(1, "a"), (2, "b"), (3, "b"), (4, "b")]
        held = held_out(self.recipe(tmp_path, labels, **{"data.dev_share": 0.9}))
        assert not held[0]
        assert held[1:].sum() == 2

    def test_the_two_parts_are_all_rows_each_once(self, tmp_path):
        recipe = self.recipe(tmp_path, [(n, "ab"[n % 2]) for n in range(30)])
        held = held_out(recipe)
        parts = [
            [row.values["text"] for row in read_split(recipe.data, split, held)]
            for split in ("train", "dev")
        ]
        assert [len(part) for part in parts] == [27, 3]
        assert {*parts[0]} | {*parts[1]} == {f"t{n}" for n in range(30)}

    def test_questions_on_a_context_stay_together(self, tmp_path):
        labels = [(n, f"context {n // 5}") for n in range(50)]
        held = held_out(self.recipe(tmp_path, labels, "question-answering"))
        assert held.sum() == 5
        assert sum(before != after for before, after in pairwise(held)) <= 2

    def test_a_context_is_kept_to_learn_from(self, tmp_path):
        labels = [(1, "a"), (2, "b"), (3, "b")]
        share = {"data.dev_share": 0.9}
        assert held_out(self.recipe(tmp_path, labels, "question-answering", **share)).sum() in (
            1,
            2,
        )
        with pytest.raises(InputError, match="two contexts"):
            held_out(self.recipe(tmp_path, labels[1:], "question-answering", **share))

    def test_numbers_to_be_learned_are_no_classes(self, tmp_path):
        kind = {"model.config": {"problem_type": "regression"}}
        held = held_out(self.recipe(tmp_path, [(n, n / 7) for n in range(20)], **kind))
        assert held.sum() == 2

    @pytest.mark.parametrize("labels", [[(1, "a")], [(1, "a"), (2, "b")]])
    def test_too_few_rows(self, tmp_path, labels):
        with pytest.raises(InputError, match="too few training rows"):
            held_out(self.recipe(tmp_path, labels))

    def test_dev_rows_are_not_held_out_beside_others(self):
        with pytest.raises(ConfigError, match="as there are dev rows"):
            recipe_for("masked-lm", **{"data.dev": "x", "data.dev_share": 0.1})


@pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")
@pytest.mark.pt
def test_what_stops_a_call_does_not_stop_the_next(tmp_path):
    model = make_folder(tmp_path / "model", "sequence-classification", num_labels=2)
    arguments = {
        "task": "text-classification", "model": model, "data": ROWS, "columns": COLUMNS,
        "output": tmp_path / "out", "framework": "pt", "model.new_head": True, **QUICK,
    }  # fmt: skip
    for _ in range(2):
        with pytest.raises(TrainingError, match="unknown metric"):
            distil.train(**arguments, **{"evaluation.metric": "beauty"})
    assert distil.train(**arguments).framework == "pt"


def test_a_framework_is_named_as_elsewhere(tmp_path):
    assert given(tmp_path, ROWS, framework="tf").recipe.model.framework == "tf"
    section = {"name": "m", "new_head": True}
    found = given(tmp_path, ROWS, model=section, framework="tf").recipe.model
    assert (found.framework, found.new_head) == ("tf", True)
    with pytest.raises(ConfigError, match=r"model\.framework"):
        given(tmp_path, ROWS, framework="jax")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_from_rows_to_a_model_and_from_its_recipe_again(framework, tmp_path, capsys, caplog):
    caplog.set_level("INFO", "distil.training")
    make_folder(tmp_path / "model", "sequence-classification", num_labels=2)
    output = tmp_path / "out"

    def train(rows, **changes):
        return distil.train(
            task="sequence-classification", model=tmp_path / "model", data=rows, columns=COLUMNS,
            output=output, **QUICK, **{"model.framework": framework, **changes},
        )  # fmt: skip

    result = train(ROWS)
    assert "no dev rows: 4 of the training rows are held out" in caplog.text
    assert "classes: 0 (9), 1 (27)" in caplog.text
    assert result.labels == ("0", "1")
    assert result.metrics.keys() >= {"accuracy"}
    assert not train(ROWS).trained
    weights = (output / "model.safetensors").read_bytes()
    table = yaml.safe_load((output / "recipe.yaml").read_text())
    again = distil.train(output / "recipe.yaml", output=tmp_path / "again")
    assert (tmp_path / "again/model.safetensors").read_bytes() == weights
    assert again.metrics == result.metrics
    assert read_recipe(table).data.train == (f"{output}/data/{next(output.glob('data/*')).name}",)
    # The same folder is not for other rows, and keeps what it has.
    with pytest.raises(TrainingError, match="on other data"):
        train(ROWS[1:])
    assert len(list(output.glob("data/*"))) == 1


@pytest.mark.pt
def test_a_head_for_other_labels_is_replaced_when_told(tmp_path):
    make_folder(tmp_path / "model", "sequence-classification", num_labels=3)
    with pytest.raises(WeightsError, match=r"set model\.new_head=true"):
        distil.train(
            task="sequence-classification", model=tmp_path / "model", data=ROWS, columns=COLUMNS,
            output=tmp_path / "out", **QUICK, **{"model.framework": "pt"},
        )  # fmt: skip


@pytest.mark.pt
@pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")
def test_a_student_of_a_teacher_that_has_its_task(tmp_path):
    make_folder(tmp_path / "teacher", "sequence-classification", num_labels=2)
    result = distil.distill(
        teacher=tmp_path / "teacher", data=ROWS, columns=COLUMNS, output=tmp_path / "student",
        **QUICK, **{"model.framework": "pt", "distillation.alpha_cos": 0.0},
    )  # fmt: skip
    assert distil.DistilBertConfig.from_pretrained(result.folder).n_layers == 1


@pytest.mark.pt
@pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")
def test_the_command_without_a_recipe(tmp_path, capsys, monkeypatch):
    from distil.cli import main

    make_folder(tmp_path / "model", "sequence-classification", num_labels=2)
    lines = ["review,stars", *(f"{row['review']},{row['stars']}" for row in ROWS)]
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    options = "--task sequence-classification --model model --data own.csv --output out --json"
    columns = "--text-column review --label-column stars --framework pt"
    line = f"train {options} {columns} schedule.steps=2 data.max_length=16".split()
    assert main(line) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == ["0", "1"]
    assert main(["train", "out/recipe.yaml", "--json"]) == 0
    assert not json.loads(capsys.readouterr().out)["trained"]
