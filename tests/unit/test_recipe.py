"""Recipes: read, checked, overridden; every file in configs."""

import shlex
from pathlib import Path

import pytest

from distil.common.steps.recipe import Recipe, read_recipe
from distil.common.steps.recipe_course import ScheduleSection
from distil.common.steps.recipe_model import DistillationSection
from distil.common.steps.recipe_rules import differences, override, read_assignments
from distil.errors import CheckpointNotFoundError, ConfigError
from distil.training.schedule import rate_factor

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted((CONFIGS / "finetune").glob("*.yaml"))
DISTILLATION = sorted((CONFIGS / "distill").glob("*.yaml"))

TABLE = {
    "task": "sequence-classification",
    "output": "trained",
    "model": {"name": "a-model"},
    "data": {"train": "train.tsv"},
    "batch": {"examples": 8},
}


def command_and_result(path):
    """The second and the third line; a command may go on in lines of its own."""
    _, command, result, *_ = path.read_text(encoding="utf-8").replace("\\\n#", "").splitlines()
    return command, result


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_recipe_is_one_and_says_its_command_and_its_result(path):
    recipe = read_recipe(path)
    assert recipe.output == f"trained/{path.stem}"
    command, result = command_and_result(path)
    assert command.startswith(f"#   distil train configs/finetune/{path.name} ")
    assert result.startswith("# Result: ")
    read_recipe(path, read_assignments(shlex.split(command)[4:]))


@pytest.mark.parametrize("path", DISTILLATION, ids=lambda path: path.stem)
def test_every_recipe_of_distillation_is_one_and_says_the_same(path):
    recipe = read_recipe(path)
    assert recipe.teacher is not None
    assert recipe.output == f"distilled/{path.stem}"
    command, result = command_and_result(path)
    assert command.startswith(f"#   distil distill configs/distill/{path.name} ")
    assert result.startswith("# Result: ")


def test_distillation_has_the_weights_of_the_paper():
    (path,) = (path for path in DISTILLATION if path.stem == "mlm")
    recipe = read_recipe(path)
    assert recipe.distillation == DistillationSection()
    assert (recipe.model.name, recipe.teacher.layers) == (None, (0, 2, 4, 7, 9, 11))


def test_there_is_a_recipe_for_every_head():
    assert {read_recipe(path).task for path in FILES} == {
        "masked-lm", "sequence-classification", "multiple-choice", "token-classification",
        "question-answering",
    }  # fmt: skip


def test_defaults_and_values():
    recipe = read_recipe(TABLE)
    assert isinstance(recipe, Recipe)
    assert recipe.data.train == ("train.tsv",)
    assert recipe.optimizer.learning_rate == 5e-5
    assert recipe.precision == "float32"
    with pytest.raises(AttributeError):
        recipe.seed = 1


def test_to_table_and_back():
    recipe = read_recipe(TABLE, {"data.labels": ["a", "b"], "data.columns": {"text": "x"}})
    assert read_recipe(recipe.to_table()) == recipe
    assert recipe.replace(seed=3).seed == 3
    taught = recipe.replace(**{"model.name": None, "teacher.name": "t", "teacher.layers": [0, 2]})
    assert taught.teacher.layers == (0, 2)
    assert read_recipe(taught.to_table()) == taught
    assert (recipe.origin, taught.origin) == (recipe.model, taught.teacher)


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        ({"optimizer.learning_rat": 1}, "did you mean optimizer.learning_rate"),
        ({"optimiser": {}}, "did you mean optimizer"),
        ({"optimizer.learning_rate": 0}, "a number above 0"),
        ({"schedule.warmup": -0.5}, "a number from 0 to 1"),
        ({"schedule.warmup": 1.5}, "a number from 0 to 1"),
        ({"optimizer.learning_rate": "fast"}, "'fast'"),
        ({"optimizer.learning_rate": float("inf")}, "a number above 0"),
        ({"optimizer.beta_1": 1}, "from 0 to below 1"),
        ({"optimizer": 3}, "optimizer is not a section"),
        ({"batch.tokens": 100}, "either examples or tokens"),
        ({"batch.examples": None}, "either examples or tokens"),
        ({"batch.examples": 8.5}, "an integer from 1"),
        ({"batch.examples": True}, "an integer from 1"),
        ({"task": "base"}, "one of masked-lm"),
        ({"precision": "float16"}, "bfloat16"),
        ({"data.train": None}, "files to train on"),
        ({"data.hub": "glue"}, "files to train on"),
        ({"data.train": []}, "a file, or a list"),
        ({"data.labels": ["a", "a"]}, "list of different ones"),
        ({"data.columns": {"text": 3}}, "name of a column"),
        ({"masking.word_mask": 0.5}, "= 1"),
        ({"schedule.kind": "step"}, "linear, cosine, constant"),
        ({"model.name": ""}, "a text"),
        ({"seed.x": 1}, "seed is unknown|not a section"),
        ({"model.name": None}, r"model\.name is missing"),
        ({"teacher": {}}, r"teacher\.name is missing"),
        ({"teacher.name": "t", "teacher.layer": [0]}, "did you mean teacher.layers"),
        ({"teacher.name": "t", "teacher.layers": []}, "a list of integers"),
        ({"teacher.name": "t", "teacher.layers": [-1]}, "a list of integers"),
        ({"teacher.name": "t", "teacher.layers": [0]}, "made from layers of its teacher"),
        ({"teacher.name": "t", "model.vocabulary": 9}, "the vocabulary of its teacher"),
        ({"teacher.name": "t", "distillation.temperature": 0}, "a number above 0"),
        ({"teacher.name": "t", "distillation.alpha_ce": -1}, "a finite number, at least 0"),
        (
            {"teacher.name": "t"}
            | {f"distillation.alpha_{name}": 0 for name in ("ce", "task", "cos")},
            "one of the weights above 0",
        ),
        ({"distillation.alpha_ce": 1}, "needs a teacher"),
    ],
)
def test_what_is_wrong_is_named(assignments, words):
    with pytest.raises(ConfigError, match=words):
        read_recipe(TABLE | {"seed": 1}, assignments)


def test_what_is_missing_is_named():
    with pytest.raises(ConfigError, match=r"model\.name is missing"):
        read_recipe(TABLE | {"model": {}})
    with pytest.raises(ConfigError, match="task is missing"):
        read_recipe({})


def test_a_value_is_checked_wherever_the_section_comes_from():
    with pytest.raises(ConfigError, match="warmup"):
        ScheduleSection(warmup=2)


def test_numbers_as_yaml_does_not_read_them(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "task: masked-lm\noutput: x\nmodel: {name: m}\ndata: {train: a.txt}\n"
        "batch: {tokens: 10}\noptimizer: {learning_rate: 5e-5}\n"
    )
    assert read_recipe(path).optimizer.learning_rate == 5e-5
    assert read_recipe(path, read_assignments(["optimizer.epsilon=1e-6"])).optimizer.epsilon == 1e-6


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("task: nonsense\noutput: x\nmodel: {name: m}\ndata: {train: a}\nbatch: {}\n")
    with pytest.raises(ConfigError) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value.where)
    with pytest.raises(ConfigError) as caught:
        read_recipe(path, {"batch.examples": 0})
    assert caught.value.where == "batch.examples"
    with pytest.raises(CheckpointNotFoundError):
        read_recipe(tmp_path / "nothing.yaml")


def test_assignments():
    assert read_assignments(["a.b=1", "c=[x, y]", "d=", "e=f=g", "h=null"]) == {
        "a.b": 1, "c": ["x", "y"], "d": None, "e": "f=g", "h": None,
    }  # fmt: skip
    for wrong in ("nonsense", "=1"):
        with pytest.raises(ConfigError, match="key=value"):
            read_assignments([wrong])
    with pytest.raises(ConfigError, match="not YAML"):
        read_assignments(["a=[1"])


def test_an_override_does_not_change_its_source():
    read_recipe(TABLE, {"batch.examples": 3})
    assert TABLE["batch"] == {"examples": 8}


def test_differences():
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == {
        "a.c": (2, 3), "d": (None, 4),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "steps", "factors"),
    [
        ("linear", (0, 5, 10, 55, 99), (0, 0.5, 1, 0.5, 1 / 90)),
        ("cosine", (0, 5, 10, 32.5, 55, 77.5), (0, 0.5, 1, 0.8535534, 0.5, 0.1464466)),
        ("constant", (0, 5, 10, 99), (0, 0.5, 1, 1)),
    ],
)
def test_schedules(kind, steps, factors):
    schedule = ScheduleSection(kind=kind, warmup=0.1)
    assert [rate_factor(schedule, step, 100) for step in steps] == pytest.approx(factors)


def test_no_warmup_begins_at_the_top():
    assert rate_factor(ScheduleSection(warmup=0.0), 0, 10) == 1


def test_a_section_that_is_passed_stays_as_it_is():
    section = {"steps": 5}
    given = {"teacher": {"search": section}}
    changed = override({}, {**given, "teacher.search.steps": 7})
    assert changed == {"teacher": {"search": {"steps": 7}}}
    assert section == {"steps": 5}
