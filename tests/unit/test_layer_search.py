"""`teacher.layers: auto`: which choices are tried, on what, and which of them is left."""

import logging
from collections import Counter

import numpy as np
import pytest

import distil
from distil.checkpoints import save_checkpoint
from distil.common.spec import parameters
from distil.common.steps.layers import default_layers
from distil.common.steps.recipe import read_recipe
from distil.common.steps.recipe_model import LayerSearchSection
from distil.errors import ConfigError, InputError, Interrupted
from distil.reading import Row
from distil.training import layer_search
from distil.training.layer_choices import candidates, plan
from distil.training.log import read_log
from distil.training.splitting import sample
from support.folders import make_folder
from support.models import config_for
from support.training import TASKS, make_recipe, write_rows

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]

pytestmark = pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")

SMALL = {"steps": 1, "rows": 24, "layers": 2, "choices": 3}


class TestChoices:
    def found(self, own, *, seed=0, **search):
        config = config_for("base", n_layers=own)
        return candidates(LayerSearchSection(**search), config, seed=seed)

    def test_all_that_keep_the_first_layer(self):
        found = self.found(6, layers=3)
        assert len(found) == len(set(found)) == 10
        assert all(one[0] == 0 and list(one) == sorted(set(one)) for one in found)

    @pytest.mark.parametrize("own", range(1, 25))
    def test_as_many_layers_as_without_a_search_and_those_first(self, own):
        assert self.found(own)[0] == default_layers(own)

    def test_some_are_drawn_where_there_are_too_many(self):
        found = self.found(12, layers=6)
        assert len(found) == len(set(found)) == 16
        assert all(one[0] == 0 and list(one) == sorted(set(one)) for one in found)
        assert found == self.found(12, layers=6)
        assert found != self.found(12, layers=6, seed=1)
        assert (0, 1, 2, 3, 4, 5) in found
        assert (0, 7, 8, 9, 10, 11) in found

    @pytest.mark.parametrize(("layers", "count"), [(4, 4), (4, 1), (1, 1)])
    def test_where_there_is_one_choice(self, layers, count):
        found = self.found(layers, layers=count)
        assert found == [tuple(range(count))]
        assert plan(len(found), 25) == []

    def test_more_layers_than_there_are(self):
        with pytest.raises(InputError, match=r"teacher.search.layers"):
            self.found(4, layers=5)

    def test_halves_for_twice_as_long(self):
        assert plan(10, 25) == [(10, 25), (5, 50), (3, 100), (2, 200)]
        assert plan(2, 7) == [(2, 7)]

    def test_a_sample_is_fair_whatever_the_order(self):
        rows = [Row(number=n, values={}, place=str(n)) for n in range(20)]
        drawn = Counter(row.number for seed in range(2000) for row in sample(rows, 5, seed=seed))
        assert set(drawn) == set(range(20))
        # 500 each are expected; five standard deviations are 97.
        assert all(abs(count - 500) < 100 for count in drawn.values())
        # 5,000 of the last ten rows, with a standard deviation of 44.
        assert abs(sum(drawn[number] for number in range(10, 20)) - 5000) < 150
        assert sample(rows, 20, seed=0) == rows
        assert sample(rows, 30, seed=0) == rows
        assert len({row.number for row in sample(rows, 5, seed=3)}) == 5


def searching(folder, task="sequence-classification", framework="pt", **assignments):
    """A recipe that looks for two of a teacher's four layers."""
    teacher = folder / "teacher"
    if not teacher.exists():
        labels = {} if task in ("question-answering", "base") else {"num_labels": 2}
        make_folder(teacher, task, n_layers=4, **labels)
    made = {
        "model.name": None, "teacher.name": str(teacher), "teacher.layers": "auto",
        "teacher.search": SMALL, "schedule.steps": 2, "log.every": 1,
    }  # fmt: skip
    return make_recipe(folder, task, framework, rows=32, **(made | assignments))


def embedding(folder, framework="pt", **assignments):
    make_folder(folder / "teacher", "base", n_layers=4) if not (folder / "teacher").exists() else 0
    table = {
        "task": "sentence-embeddings", "output": str(folder / f"taught-{framework}"),
        "model": {"framework": framework},
        "teacher": {"name": str(folder / "teacher"), "layers": "auto", "search": SMALL},
        "distillation": {
            "alpha_ce": 0, "alpha_task": 0, "alpha_cos": 0, "alpha_vector": 1, "dropout": 0,
        },
        "data": {
            "folder": str(folder), "train": write_rows(folder, "base", "train", 40),
            "dev_share": None, "max_length": 24,
        },
        "batch": {"examples": 8}, "schedule": {"steps": 2}, "optimizer": {"learning_rate": 1e-3},
    }  # fmt: skip
    return read_recipe(table, assignments)


def trials(folder):
    return [
        (tuple(one["tried_layers"]), one["tried_steps"], one["tried_score"])
        for one in read_log(folder)
        if "search" in one
    ]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("task", TASKS)
def test_every_task(task, framework, tmp_path):
    result = distil.distill(searching(tmp_path, task, framework, **{"teacher.search.choices": 2}))
    tried = trials(result.folder)
    assert [(len(layers), steps) for layers, steps, _ in tried] == [(2, 1)] * 2
    assert all(np.isfinite(score) for *_, score in tried)
    model = distil.load(result.folder, framework=framework)
    assert (model.task, model.config.n_layers) == (task, 2)
    card = (result.folder / "README.md").read_text()
    less = task == "masked-lm"
    best = max(tried, key=lambda one: -one[2] if less else one[2])[0]
    assert f"layers of the teacher: {best[0]}, {best[1]}, found by trial" in card
    assert "layers: auto" in card


@pytest.mark.pt
class TestSearch:
    def test_the_same_twice_and_said_before_it_starts(self, tmp_path, caplog):
        with caplog.at_level(logging.INFO, "distil.training"):
            first = distil.distill(searching(tmp_path, output=str(tmp_path / "one")))
        (said,) = (one for one in caplog.messages if one.startswith("teacher.layers: auto"))
        assert "3 choices of 2 layers in 2 rounds: 7 steps in all, beside 2 of the training" in said
        assert "18 examples to learn from, 6 to judge by" in said
        assert any(one.startswith("round 1 of 2") for one in caplog.messages)
        second = distil.distill(searching(tmp_path, output=str(tmp_path / "two")))
        assert trials(first.folder) == trials(second.folder)
        name = "model.safetensors"
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()

    def test_the_layers_that_do_the_teachers_work_are_found(self, tmp_path):
        """Layers 1 and 2 of the teacher hardly change anything; 0 and 3 do its work."""
        folder = make_folder(tmp_path / "teacher", "base", n_layers=4)
        config = distil.DistilBertConfig.from_pretrained(folder)
        random = np.random.default_rng(1)
        arrays = {}
        for weight in parameters(config, "base"):
            array = random.standard_normal(weight.shape).astype(np.float32) * 0.3
            if weight.row.kind == "norm":
                array = np.full(weight.shape, float(weight.leaf == "weight"), np.float32)
            elif weight.layer in (1, 2) and ("out_lin" in weight.name or "lin2" in weight.name):
                array = array * 1e-3
            arrays[weight.name] = array
        save_checkpoint(folder, iter(arrays.items()), config=config, task="base")
        recipe = embedding(
            tmp_path, **{"optimizer.learning_rate": 1e-6, "teacher.search.choices": 16}
        )
        result = distil.distill(recipe)
        tried = trials(result.folder)
        assert [layers for layers, steps, _ in tried if steps == 1].count((0, 3)) == 1
        assert tried[-1][1] == 2
        best = max((one for one in tried if one[1] == 2), key=lambda one: one[2])
        assert best[0] == (0, 3)
        assert "layers of the teacher: 0, 3" in (result.folder / "README.md").read_text()
        assert best[2] > 0.99

    def test_judged_on_rows_that_no_trial_learns_from(self, tmp_path, monkeypatch):
        seen = []
        run = layer_search.LayerSearch._data

        def look(self):
            seen.append((self, run(self)))
            return seen[-1][1]

        monkeypatch.setattr(layer_search.LayerSearch, "_data", look)
        recipe = searching(
            tmp_path, **{"data.dev": None, "data.dev_share": 0.25, "teacher.search.rows": 100}
        )
        distil.distill(recipe)
        ((search, data),) = seen

        def texts(features):
            ends = zip(features.starts, features.starts[1:], strict=False)
            return Counter(tuple(features.ids[begin:end].tolist()) for begin, end in ends)

        train, apart = texts(data.train.features), texts(data.dev.features)
        whole, dev = texts(search.prepared.train.features), texts(search.prepared.dev.features)
        assert train + apart == whole
        assert sum(apart.values()) == 6
        assert not (train + apart) - whole
        assert sum(dev.values()) == 8

    def test_a_search_that_was_interrupted_goes_on(self, tmp_path, monkeypatch):
        whole = distil.distill(searching(tmp_path, output=str(tmp_path / "whole")))
        recipe = searching(tmp_path, output=str(tmp_path / "cut"))
        score, scored, stops = layer_search.LayerSearch._score, [], [True]

        def stop(self, layers, steps, *rest):
            if stops and len(scored) == 2:
                self.stop.number = 15
            scored.append((layers, steps))
            return score(self, layers, steps, *rest)

        monkeypatch.setattr(layer_search.LayerSearch, "_score", stop)
        with pytest.raises(Interrupted, match="the scores so far"):
            distil.distill(recipe)
        left = len(trials(tmp_path / "cut"))
        assert left == len(scored) == 3
        with (tmp_path / "cut" / "log.jsonl").open("a") as file:
            file.write('{"step": 0, "search"')  # as a kill may leave it
        scored.clear()
        stops.clear()
        result = distil.distill(recipe)
        assert len(scored) == 5 - left
        assert trials(result.folder) == trials(whole.folder)
        name = "model.safetensors"
        assert (result.folder / name).read_bytes() == (whole.folder / name).read_bytes()

    def test_trials_of_another_training_do_not_count(self, tmp_path):
        first = distil.distill(searching(tmp_path, output=str(tmp_path / "one")))
        again = tmp_path / "two"
        again.mkdir()
        (again / "log.jsonl").write_bytes((first.folder / "log.jsonl").read_bytes())
        recipe = searching(tmp_path, output=str(again), seed=1)
        result = distil.distill(recipe)
        assert len(trials(result.folder)) == 5
        assert trials(result.folder) != trials(first.folder)

    def test_training_that_was_interrupted_keeps_its_layers_and_its_log(self, tmp_path):
        recipe = searching(tmp_path, **{"schedule.steps": 6, "checkpoints.every": 2})
        whole = distil.distill(recipe, **{"output": str(tmp_path / "whole")})

        class EnoughError(Exception):
            pass

        def stop(progress):
            if progress.step == 4:
                raise EnoughError

        with pytest.raises(EnoughError):
            distil.distill(recipe, listener=stop)
        result = distil.distill(recipe)
        name = "model.safetensors"
        assert (result.folder / name).read_bytes() == (whole.folder / name).read_bytes()
        steps = [one["step"] for one in read_log(result.folder) if "loss" in one]
        assert steps == [1, 2, 3, 4, 5, 6]
        assert trials(result.folder) == trials(whole.folder)

    def test_a_choice_that_diverges_is_not_chosen(self, tmp_path, monkeypatch):
        run = layer_search.Loop.run

        def diverge(self):
            if self.folder is None and self.recipe.teacher.layers == (0, 1):
                raise distil.TrainingError("loss is not finite")
            return run(self)

        monkeypatch.setattr(layer_search.Loop, "run", diverge)
        result = distil.distill(searching(tmp_path))
        tried = trials(result.folder)
        assert ((0, 1), 1, None) in tried
        assert all(layers != (0, 1) for layers, steps, _ in tried if steps == 2)

    def test_too_few_rows(self, tmp_path):
        with pytest.raises(InputError, match=r"teacher.layers"):
            distil.distill(
                searching(tmp_path, **{"data.max_train_rows": 1, "data.labels": ["bad", "good"]})
            )


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_vectors_are_judged_by_the_cosine(framework, tmp_path):
    recipe = embedding(tmp_path, framework, **{"evaluation.metric": None})
    result = distil.distill(recipe)
    metrics = {one["tried_metric"] for one in read_log(result.folder) if "search" in one}
    assert metrics == {"cosine"}
    assert all(-1.01 < score < 1.01 for *_, score in trials(result.folder))


@pytest.mark.pt
def test_a_smaller_vocabulary_reads_the_teachers_tokens_too(tmp_path):
    result = distil.distill(embedding(tmp_path, **{"model.vocabulary": 64}))
    assert len(trials(result.folder)) == 5


@pytest.mark.parametrize(
    ("assignments", "problem"),
    [
        ({"model.name": "x"}, "made from layers"),
        ({"model.new_weights": True}, "random weights"),
        ({"teacher.layers": [0, 1]}, "search has no effect"),
        ({"teacher.layers": "every"}, '"auto", or a list'),
        ({"teacher.search.steps": 0}, "steps"),
    ],
)
def test_what_is_refused(assignments, problem, tmp_path):
    with pytest.raises(ConfigError, match=problem):
        searching(tmp_path, **assignments)
