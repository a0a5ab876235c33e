"""What training writes down: its log, its curves, its card; and the command line."""

import json
import sys

import pytest
import yaml
from huggingface_hub import ModelCard

from distil.cli import train as command
from distil.common.steps.recipe import read_recipe
from distil.errors import FrameworkError
from distil.training import TrainingResult, train
from distil.training.card import write_card
from distil.training.log import Log, read_log
from distil.training.report import draw_curves
from support.training import TASKS, make_recipe, recipe_for

PNG = b"\x89PNG\r\n"


def test_a_log_is_gone_on_with_from_a_step(tmp_path):
    log = Log(tmp_path, step=0, judged=True, tensorboard=False)
    for step in (1, 2, 3):
        log.write({"step": step, "loss": step / 3})
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # a kill came in between
    assert [record["step"] for record in read_log(tmp_path)] == [1, 2, 3]
    log = Log(tmp_path, step=2, judged=True, tensorboard=False)
    log.write({"step": 3, "loss": 0.5})
    assert read_log(tmp_path) == [
        {"step": 1, "loss": 1 / 3}, {"step": 2, "loss": 2 / 3}, {"step": 3, "loss": 0.5},
    ]  # fmt: skip


@pytest.mark.pt
@pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")
def test_tensorboard_gets_every_point(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    settings = {"log.tensorboard": True, "log.every": 1, "schedule.steps": 3}
    recipe = make_recipe(tmp_path, "sequence-classification", "pt")
    folder = train(recipe, **settings).folder
    (path,) = (folder / "tensorboard").iterdir()
    found = {}
    for event in LegacyEventFileLoader(str(path)).Load():
        for value in event.summary.value:
            found[event.step, value.tag] = value.simple_value
    points = [(point.pop("step"), point) for point in read_log(folder)]
    expected = {(step, name): number for step, one in points for name, number in one.items()}
    assert {step for step, _ in expected} == {1, 2, 3}
    assert (3, "dev_accuracy") in expected
    assert found == pytest.approx(expected)


def test_curves_of_two_trainings(tmp_path):
    points = [{"step": n, "loss": 1 / (n + 1), "learning_rate": 1e-4} for n in range(5)]
    points.append({"step": 4, "dev_loss": 0.2, "dev_accuracy": 0.9})
    path = tmp_path / "curves.png"
    draw_curves({"pt": points, "tf": points}, path, metric="accuracy")
    assert path.read_bytes().startswith(PNG)


def test_curves_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(FrameworkError, match="matplotlib is not installed"):
        draw_curves({"pt": [{"step": 1, "loss": 1.0}]}, tmp_path / "curves.png", metric=None)


def result_in(folder, **fields):
    given = {
        "framework": "tf", "steps": 3, "metrics": {}, "metric": None, "best_step": 3,
        "examples": 3, "tokens": 3, "seconds": 1.0,
    }  # fmt: skip
    return TrainingResult(folder=folder, **given | fields)


def metadata_of(folder):
    """As the hub's own library reads it."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    return ModelCard(text).data


def test_the_card_says_to_the_hub_what_it_reads(tmp_path):
    recipe = recipe_for(
        "sequence-classification",
        **{
            "model.name": "distilbert-base-uncased", "card.license": "apache-2.0",
            "card.language": "en", "card.datasets": ["stanfordnlp/sst2"],
        },
    )  # fmt: skip
    result = result_in(
        tmp_path,
        metrics={"loss": float("nan"), "accuracy": 0.75, "matthews": 0.5},
        intervals={"accuracy": (0.5, 0.875)},
    )
    write_card(result, recipe, facts={}, version="1.2")
    data = metadata_of(tmp_path)
    assert (data.pipeline_tag, data.license, data.language) == (
        "text-classification", "apache-2.0", ["en"],
    )  # fmt: skip
    assert (data.base_model, data.datasets) == ("distilbert-base-uncased", ["stanfordnlp/sst2"])
    first, second = data.eval_results
    assert (first.metric_type, first.metric_value) == ("accuracy", 0.75)
    assert first.metric_args == {"confidence_interval_95": [0.5, 0.875]}
    assert (second.metric_type, second.dataset_type) == ("matthews_correlation", "stanfordnlp/sst2")


@pytest.mark.parametrize("name", ["folder", "sst2-small"])
def test_a_base_model_that_the_hub_has_not_is_none(name, tmp_path):
    (tmp_path / "folder").mkdir()
    name = str(tmp_path / name) if name == "folder" else name
    recipe = recipe_for("masked-lm", **{"model.name": name})
    write_card(result_in(tmp_path), recipe, facts={}, version="1.2")
    assert metadata_of(tmp_path).base_model is None


@pytest.mark.pt
@pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")
@pytest.mark.parametrize("task", TASKS)
def test_the_snippet_of_a_card_runs_as_it_is(task, tmp_path, capsys):
    result = train(make_recipe(tmp_path, task, "pt", **{"schedule.steps": 1}))
    text = (result.folder / "README.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()
    assert set(result.intervals) == set(result.metrics) - {"loss"} - (
        {*result.metrics} if task == "masked-lm" else set()
    )
    for metric, (low, high) in result.intervals.items():
        assert low <= result.metrics[metric] <= high or result.metrics[metric] == 0
        assert f"{low:.4f} to {high:.4f}" in text
    assert not (result.folder / "dev_rows.npz").exists()


def test_the_card_holds_the_recipe(tmp_path):
    recipe = read_recipe(
        {
            "task": "masked-lm", "output": str(tmp_path), "model": {"name": "some-model"},
            "data": {"train": "a.txt"}, "batch": {"examples": 3},
        }
    )  # fmt: skip
    write_card(
        result_in(tmp_path, metrics={"loss": 1.5}), recipe, facts={"steps": 3}, version="1.2"
    )
    text = (tmp_path / "README.md").read_text()
    assert yaml.safe_load(text.split("---")[1])["base_model"] == "some-model"
    assert "| loss | 1.5000 |  |" in text
    assert "in TensorFlow by distil 1.2" in text
    inside = text.split("```yaml\n")[1].split("```")[0]
    assert read_recipe(yaml.safe_load(inside)) == recipe


@pytest.mark.pt
@pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")
def test_the_command(tmp_path, capsys):
    import argparse

    recipe = make_recipe(tmp_path, "sequence-classification", None)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.to_table()))
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    line = [str(path), "schedule.steps=2", f"output={tmp_path / 'x'}", "--framework", "pt"]
    assert command.run(parser.parse_args(line)) == 0
    shown = capsys.readouterr().out
    assert "pt" in shown
    assert "accuracy" in shown
    assert command.run(parser.parse_args([*line, "--json"])) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 2
