"""Distillation by a recipe: who may teach whom, and what is refused."""

import warnings

import numpy as np
import pytest
import yaml

import distil
from distil.cli import main
from distil.common.steps.layers import matched_layers
from distil.common.steps.recipe_model import DistillationSection
from distil.common.steps.teaching_rules import check_alone, check_labels, check_pair
from distil.errors import ConfigError, InputError
from distil.training.log import read_log
from support.folders import VOCABULARY, make_folder
from support.models import config_for
from support.training import TASKS, make_recipe

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]

pytestmark = pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")


def taught(folder, task="sequence-classification", framework="pt", **assignments):
    """A recipe whose student is made of a teacher of two layers."""
    teacher = folder / "teacher"
    if not teacher.exists():
        labels = {} if task == "question-answering" else {"num_labels": 2}
        make_folder(teacher, task, **labels)
    made = {"model.name": None, "teacher.name": str(teacher), "schedule.steps": 2}
    return make_recipe(folder, task, framework, rows=16, **(made | assignments))


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("task", TASKS)
def test_every_head_is_taught(task, framework, tmp_path):
    recipe = taught(tmp_path, task, framework, **{"log.every": 1, "schedule.steps": 8})
    result = distil.distill(recipe)
    points = [record for record in read_log(result.folder) if "loss" in record]
    assert {"loss_ce", "loss_task", "loss_cos"} <= points[0].keys()
    model = distil.load(result.folder, framework=framework)
    assert (model.task, model.config.n_layers) == (task, 1)
    card = (result.folder / "README.md").read_text()
    assert f"and taught by `{tmp_path / 'teacher'}`" in card


@pytest.mark.pt
def test_a_student_that_is_loaded(tmp_path):
    recipe = taught(tmp_path, **{"model.name": str(tmp_path / "model"), "schedule.steps": 1})
    assert distil.load(distil.distill(recipe).folder, framework="pt").config.n_layers == 2


@pytest.mark.pt
def test_a_student_made_of_its_teacher_starts_with_its_weights(tmp_path):
    recipe = taught(
        tmp_path, **{"teacher.layers": [1], "optimizer.learning_rate": 1e-30, "schedule.steps": 1}
    )
    result = distil.distill(recipe)
    own = dict(distil.load(result.folder, framework="pt").named_arrays())
    theirs = dict(distil.load(tmp_path / "teacher", framework="pt").named_arrays())
    for name, array in own.items():
        origin = theirs[name.replace("layer.0.", "layer.1.")]
        assert array.dtype == origin.dtype == np.float32
        np.testing.assert_array_equal(array, origin, err_msg=name)


@pytest.mark.pt
def test_each_command_names_the_other(tmp_path, capsys):
    recipe = taught(tmp_path)
    with pytest.raises(ConfigError, match="distil distill"):
        distil.train(recipe)
    plain = make_recipe(tmp_path, "sequence-classification", "pt")
    with pytest.raises(ConfigError, match="distil train"):
        distil.distill(plain)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.to_table()))
    assert main(["train", str(path), "--framework", "pt"]) == 2
    assert "distil distill" in capsys.readouterr().err
    assert main(["distill", str(path), "--framework", "pt"]) == 0


@pytest.mark.pt
def test_another_teacher_is_another_training(tmp_path):
    recipe = taught(tmp_path)
    distil.distill(recipe)
    with pytest.raises(distil.TrainingError, match=r"distillation\.temperature was 2\.0"):
        distil.distill(recipe, **{"distillation.temperature": 3.0})
    make_folder(tmp_path / "other", "sequence-classification", num_labels=2)
    with pytest.raises(distil.TrainingError, match=r"teacher\.name was"):
        distil.distill(recipe, **{"teacher.name": str(tmp_path / "other")})


@pytest.mark.pt
def test_a_teacher_has_to_have_been_trained_for_the_task(tmp_path):
    make_folder(tmp_path / "base", "base", num_labels=2)
    recipe = taught(tmp_path, **{"teacher.name": str(tmp_path / "base")})
    with pytest.raises(ConfigError, match="not trained for sequence-classification") as caught:
        distil.distill(recipe)
    assert caught.value.where == "teacher.name"


@pytest.mark.pt
def test_a_teacher_of_another_task_is_refused(tmp_path):
    """Though a sequence classifier's weights are all that a token classifier needs."""
    other = make_folder(tmp_path / "other", "sequence-classification", num_labels=2)
    recipe = taught(tmp_path, "token-classification", **{"teacher.name": str(other)})
    with pytest.raises(ConfigError, match="not trained for token-classification") as caught:
        distil.distill(recipe)
    assert "head is for another task: pre_classifier" in caught.value.found


@pytest.mark.pt
def test_a_teacher_with_another_vocabulary_is_refused(tmp_path):
    other = make_folder(tmp_path / "other", "sequence-classification", num_labels=2)
    (other / "vocab.txt").write_text("".join(f"{token}\n" for token in reversed(VOCABULARY)))
    recipe = taught(tmp_path, **{"model.name": str(tmp_path / "model"), "teacher.name": str(other)})
    with pytest.raises(ConfigError, match="different vocabularies"):
        distil.distill(recipe)


@pytest.mark.pt
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teacher.layers": [0, 5]}, "no such layer"),
        ({"data.max_length": 41}, "longer than the model allows"),
        ({"data.labels": ["a", "bad", "good"]}, "has other classes"),
        ({"model.config": {"dim": 16}}, "differ in dim"),
        ({"model.config": {"n_heads": 2}, "distillation.alpha_attention": 1.0}, "n_heads"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words, tmp_path):
    with pytest.raises((ConfigError, InputError), match=words):
        distil.distill(taught(tmp_path, **changes))


@pytest.mark.pt
def test_a_student_of_another_width_learns_states_through_a_map(tmp_path):
    changes = {"model.config": {"dim": 16}, "distillation.linear_map": True}
    result = distil.distill(taught(tmp_path, **changes))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as of a weight that no model has
        model = distil.load(result.folder, framework="pt")
    assert model.config.dim == 16


def test_a_map_is_refused_where_nothing_goes_through_it():
    student, teacher = config_for("base", dim=16), config_for("base")
    mapped = {"alpha_cos": 1.0, "alpha_hidden": 1.0, "linear_map": True}
    check_pair(student, teacher, DistillationSection(**mapped))
    with pytest.raises(ConfigError, match="differ in dim") as caught:
        check_pair(student, teacher, DistillationSection(**mapped, alpha_vector=1.0))
    assert caught.value.where == "distillation.alpha_vector"
    with pytest.raises(ConfigError, match="alpha_cos nor alpha_hidden"):
        DistillationSection(alpha_cos=0.0, linear_map=True)


def test_another_width_can_learn_predictions():
    student, teacher = config_for("masked-lm", dim=16), config_for("masked-lm")
    check_pair(student, teacher, DistillationSection(alpha_cos=0.0))
    for name in ("alpha_cos", "alpha_hidden"):
        weights = {"alpha_cos": 0.0, "alpha_hidden": 0.0, name: 1.0}
        with pytest.raises(ConfigError, match="differ in dim") as caught:
            check_pair(student, teacher, DistillationSection(**weights))
        assert caught.value.where == f"distillation.{name}"
        assert "distillation.linear_map" in caught.value.fix
    with pytest.raises(ConfigError, match="differ in vocab_size"):
        check_pair(student.replace(vocab_size=9), teacher, DistillationSection())
    pruned = teacher.replace(pruned_heads={0: [1]})
    for name in ("alpha_attention", "alpha_relations"):
        with pytest.raises(ConfigError, match="pruned"):
            check_pair(pruned, teacher, DistillationSection(**{name: 1.0}))


def test_relations_need_a_layer_and_parts_of_one_size():
    student, teacher = config_for("base", dim=16), config_for("base")
    relations = {"alpha_relations": 1.0, "alpha_cos": 0.0}
    check_pair(student, teacher, DistillationSection(**relations, relation_layer=1))
    for wrong in ({"relation_layer": 2}, {"relation_heads": 3}, {"relation_heads": 32}):
        with pytest.raises(ConfigError) as caught:
            check_pair(student, teacher, DistillationSection(**relations, **wrong))
        assert caught.value.where == f"distillation.{next(iter(wrong))}"


def test_texts_of_a_batch_are_compared_by_one_worker():
    check_alone(DistillationSection(alpha_similarity=1.0), 1)
    check_alone(DistillationSection(), 2)
    with pytest.raises(ConfigError, match="several workers") as caught:
        check_alone(DistillationSection(alpha_similarity=1.0), 2)
    assert caught.value.where == "distillation.alpha_similarity"


def test_classes_have_to_be_in_the_same_order():
    named = config_for("token-classification", id2label={0: "a", 1: "b"}, label2id={"a": 0, "b": 1})
    check_labels(named, ("a", "b"), 2)
    check_labels(config_for("token-classification", num_labels=2), ("b", "a"), 2)
    for labels in (("b", "a"), ("a", "b", "c")):
        with pytest.raises(ConfigError, match="in another order"):
            check_labels(named, labels, len(labels))


@pytest.mark.parametrize(
    ("own", "theirs", "layers", "expected"),
    [
        (6, 12, None, (2, 4, 6, 8, 10, 12)),
        (6, 12, (0, 2, 4, 7, 9, 11), (2, 4, 7, 9, 11, 12)),
        (3, 5, None, (2, 4, 5)),
        (3, 5, (0, 2, 4), (2, 4, 5)),
        (2, 2, None, (1, 2)),
        (1, 4, (3,), (4,)),
    ],
)
def test_layers_are_compared_where_the_student_has_done_as_much(own, theirs, layers, expected):
    student, teacher = config_for("base", n_layers=own), config_for("base", n_layers=theirs)
    assert matched_layers(student, teacher, layers) == expected
