"""Options of training, around the step: schedules, early stopping, weights of classes, seeds."""

import json
from statistics import fmean, stdev

import numpy as np
import pytest

from distil.common.steps.recipe_course import ScheduleSection
from distil.errors import ConfigError
from distil.training import train, train_seeds
from distil.training.evaluation import Judge
from distil.training.log import read_log
from distil.training.preparing import class_weights, prepare
from distil.training.schedule import rate_factor
from support.training import make_recipe, recipe_for

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]

pytestmark = pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")


class TestSchedules:
    @pytest.mark.parametrize(
        ("settings", "rates"),
        [
            ({"kind": "polynomial", "power": 2.0}, [1, 0.5625, 0.25, 0.0625]),
            ({"kind": "linear", "floor": 0.5}, [1, 0.875, 0.75, 0.625]),
            ({"kind": "cosine-restarts", "cycles": 2}, [1, 0.5, 1, 0.5]),
            ({"kind": "inverse-sqrt"}, [(10_000 / (10_000 + n)) ** 0.5 for n in range(4)]),
            ({"kind": "warmup-stable-decay", "decay": 0.5}, [1, 1, 1, 0.5]),
            ({"kind": "warmup-stable-decay", "decay": 0.0}, [1, 1, 1, 1]),
        ],
    )
    def test_without_warmup(self, settings, rates):
        schedule = ScheduleSection(**{"warmup": 0.0} | settings)
        assert [rate_factor(schedule, n, 4) for n in range(4)] == pytest.approx(rates)

    def test_the_root_begins_at_the_end_of_the_warmup(self):
        schedule = ScheduleSection(kind="inverse-sqrt", warmup=0.1)
        assert [rate_factor(schedule, n, 1000) for n in (50, 100, 400)] == [0.5, 1, 0.5]

    @pytest.mark.parametrize("kind", ["linear", "cosine", "polynomial", "cosine-restarts"])
    def test_nothing_falls_below_the_floor(self, kind):
        schedule = ScheduleSection(kind=kind, floor=0.25)
        assert rate_factor(schedule, 100, 100) == 0.25

    @pytest.mark.parametrize(
        "settings",
        [
            {"power": 3.0},
            {"kind": "cosine", "cycles": 2},
            {"kind": "polynomial", "decay": 0.5},
            {"kind": "constant", "floor": 0.5},
            {"kind": "warmup-stable-decay", "warmup": 0.6, "decay": 0.5},
        ],
    )
    def test_what_has_no_effect_is_refused(self, settings):
        with pytest.raises(ConfigError):
            ScheduleSection(**settings)


@pytest.mark.parametrize(
    ("task", "settings", "words"),
    [
        ("question-answering", {"loss.label_smoothing": 0.1}, "no label_smoothing"),
        ("masked-lm", {"loss.class_weights": "balanced"}, "no class_weights"),
        ("multiple-choice", {"loss.class_weights": "balanced"}, "no class_weights"),
        (
            "sequence-classification",
            {"loss.label_smoothing": 0.1, "model.config": {"problem_type": "regression"}},
            "no label_smoothing",
        ),
        (
            "sequence-classification",
            {"loss.label_smoothing": 0.1, "teacher.name": "t", "distillation.alpha_task": 0},
            "learns from its teacher alone",
        ),
        ("sequence-classification", {"loss.class_weights": {"a": -1}}, "class_weights is not"),
        ("sequence-classification", {"evaluation.patience": 2}, "without dev rows"),
        ("sequence-classification", {"optimizer.layer_decay": 0}, "layer_decay is not valid"),
    ],
)
def test_options_that_a_task_has_not(task, settings, words):
    with pytest.raises(ConfigError, match=words):
        recipe_for(task, **settings)


class TestClassWeights:
    def weights(self, folder, given):
        recipe = make_recipe(folder, "sequence-classification", None)
        recipe = recipe.replace(**{"loss.class_weights": given})
        prepared = prepare(recipe)
        return class_weights(recipe, prepared), prepared

    def test_balanced_classes_count_alike(self, tmp_path):
        weights, prepared = self.weights(tmp_path, "balanced")
        counts = np.array(list(prepared.counts.values()))
        assert counts[0] != counts[1]
        np.testing.assert_allclose(weights * counts, counts.sum() / 2)

    def test_by_name(self, tmp_path):
        weights, _ = self.weights(tmp_path, {"good": 3.0, "bad": 0.0})
        assert weights.tolist() == [0.0, 3.0]

    @pytest.mark.parametrize("given", [{"good": 1.0}, {"good": 0, "bad": 0}, {"g": 1, "bad": 1}])
    def test_every_class_needs_one(self, tmp_path, given):
        with pytest.raises(ConfigError, match="every class needs a weight"):
            self.weights(tmp_path, given)

    def test_none(self, tmp_path):
        assert self.weights(tmp_path, None)[0] is None


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_training_stops_early_and_says_so(framework, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "distil.training")
    monkeypatch.setattr(Judge, "is_better", lambda self, found, best: best is None)
    recipe = make_recipe(
        tmp_path, "sequence-classification", framework,
        **{"evaluation.every": 2, "evaluation.patience": 2, "schedule.epochs": 4},
    )  # fmt: skip
    result = train(recipe)
    assert (result.steps, result.best_step) == (6, 2)
    assert "stopped early after step 6: no better accuracy in 2 evaluations" in caplog.text
    points = [record["step"] for record in read_log(result.folder) if "dev_loss" in record]
    assert points == [2, 4, 6]


@pytest.mark.pt
def test_a_better_model_starts_patience_anew(tmp_path, monkeypatch):
    steps = iter([True, False, True, False, False])
    monkeypatch.setattr(Judge, "is_better", lambda *_: next(steps))
    recipe = make_recipe(
        tmp_path, "sequence-classification", "pt",
        **{"evaluation.every": 2, "evaluation.patience": 2, "schedule.epochs": 4},
    )  # fmt: skip
    assert train(recipe).steps == 10


@pytest.mark.pt
def test_a_listener_is_told_of_every_step_and_of_dev_metrics(tmp_path):
    recipe = make_recipe(
        tmp_path, "sequence-classification", "pt", **{"evaluation.every": 3, "schedule.steps": 7}
    )
    steps, judged = [], []

    class Listener:
        def __call__(self, now):
            steps.append(now)

        def judged(self, now):
            judged.append(now)

    train(recipe, listener=Listener())
    assert [one.step for one in steps] == [*range(1, 8)]
    assert not any(one.metrics for one in steps)
    assert [one.step for one in judged] == [3, 6, 7]
    assert judged[0].metrics.keys() == {"loss", "accuracy", "f1", "matthews"}
    assert steps[3].learning_rate == pytest.approx(1e-3 * rate_factor(recipe.schedule, 3, 7))


@pytest.mark.pt
def test_several_seeds(tmp_path, capsys, monkeypatch):
    from distil.cli import main

    recipe = make_recipe(
        tmp_path, "sequence-classification", "pt", **{"schedule.steps": 2, "seed": 5}
    )
    with pytest.raises(ConfigError, match="2 or more"):
        train_seeds(train, recipe, 1)
    found = train_seeds(train, recipe, 3)
    folders = [f"seed-{seed}" for seed in (5, 6, 7)]
    assert sorted(path.name for path in found.folder.glob("seed-*")) == folders
    losses = [one.metrics["loss"] for one in found.results.values()]
    assert len(set(losses)) == 3
    assert found.mean["loss"] == fmean(losses)
    assert found.deviation["loss"] == stdev(losses)
    kept = json.loads((found.folder / "seeds.json").read_text())
    assert (kept["mean"], kept["deviation"]) == (found.mean, found.deviation)
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe.to_table()))
    assert main(["train", str(path), "--seeds", "3"]) == 0
    shown = capsys.readouterr().out
    assert f"{found.mean['loss']:.4f}" in shown
    assert "seed 7" in shown
    assert main(["train", str(path), "--seeds", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean"] == found.to_dict()["mean"]
