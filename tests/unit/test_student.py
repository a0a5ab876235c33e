"""Students made of their teachers."""

import importlib

import numpy as np
import pytest

import distil
from distil.errors import InputError
from distil.training.student import (
    chosen_layers,
    make_student,
    smaller_vocabulary,
    student_config,
    student_weights,
)
from support.models import ALL_TASKS, CONFIGS, build, config_for, spread

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]


@pytest.mark.parametrize("task", ALL_TASKS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_student_with_all_layers_is_its_teacher(framework, task):
    config = config_for(task)
    teacher = build(framework, config, task, dtype="float32")
    student = make_student(teacher, layers=range(config.n_layers))
    assert type(student) is type(teacher)
    theirs, own = dict(teacher.named_arrays()), dict(student.named_arrays())
    assert theirs.keys() == own.keys()
    for name, array in theirs.items():
        assert own[name].dtype == np.float32
        np.testing.assert_array_equal(own[name], array)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_student_has_the_layers_that_were_chosen_and_shares_no_memory(framework):
    config = config_for("masked-lm", n_layers=3, pruned_heads={2: [1]})
    teacher = build(framework, config, "masked-lm", dtype="float32")
    student = make_student(teacher, layers=[2, 0], dropout=0.3)
    assert (student.config.n_layers, student.config.dropout) == (2, 0.3)
    assert student.config.pruned_heads == {0: [1]}
    theirs, own = dict(teacher.named_arrays()), dict(student.named_arrays())
    for name, array in own.items():
        origin = (
            name.replace("layer.0.", "layer.2.")
            if "layer.0." in name
            else name.replace("layer.1.", "layer.0.")
        )
        np.testing.assert_array_equal(array, theirs[origin])
        assert not np.shares_memory(array, theirs[origin])


@pytest.mark.parametrize("config", CONFIGS)
def test_tokens_of_a_smaller_vocabulary_mean_what_they_meant(config):
    config = config_for("masked-lm", **CONFIGS[config])
    padding = config.pad_token_id or 0
    tokens = [padding, *(i for i in (40, 7, 33, 60, 2) if i != padding)]
    read = spread(config, "masked-lm")
    layers = range(config.n_layers)
    smaller = student_config(config, layers, tokens)
    found = student_weights(read, smaller, "masked-lm", layers, tokens)
    assert smaller.vocab_size == len(tokens)
    assert smaller.pad_token_id == (None if config.pad_token_id is None else 0)
    words = "distilbert.embeddings.word_embeddings.weight"
    np.testing.assert_array_equal(found[words](), read[words][tokens])
    bias = "vocab_projector.bias"
    np.testing.assert_array_equal(found[bias](), read[bias][tokens])


@pytest.mark.pt
def test_a_model_with_a_smaller_vocabulary_computes_the_same():
    config = config_for("sequence-classification")
    teacher = build("pt", config, "sequence-classification", dtype="float64")
    tokens = [0, 40, 7, 33, 60, 2]
    student = make_student(teacher, layers=range(config.n_layers), tokens=tokens).double()
    torch = importlib.import_module("torch")
    ids = torch.tensor([[1, 2, 5, 3], [4, 4, 1, 2]])
    logits = teacher(input_ids=torch.tensor(tokens)[ids]).logits
    torch.testing.assert_close(student(input_ids=ids).logits, logits, rtol=1e-5, atol=1e-5)


@pytest.mark.pt
def test_what_has_another_shape_is_made_anew():
    teacher = build("pt", config_for("sequence-classification"), "sequence-classification")
    student = make_student(teacher, seed=3, num_labels=5)
    assert student.config.n_layers == 1
    assert student.classifier.weight.shape == (5, 32)


@pytest.mark.parametrize(
    ("layers", "chosen"),
    [
        (1, (0,)), (2, (0,)), (3, (0, 2)), (4, (0, 3)), (5, (0, 2, 4)), (6, (0, 2, 5)),
        (12, (0, 2, 4, 7, 9, 11)),
    ],
)  # fmt: skip
def test_the_first_and_the_last_layer_are_kept_unless_told_otherwise(layers, chosen):
    config = config_for("base", n_layers=layers)
    assert chosen_layers(config, None) == chosen
    assert chosen_layers(config, [layers - 1, 0]) == (layers - 1, 0)


def test_making_a_student_is_public():
    assert distil.make_student is make_student


@pytest.mark.parametrize("layers", [[], [2], [-1], [0, 9]])
def test_layers_that_the_teacher_does_not_have_are_refused(layers):
    with pytest.raises(InputError, match="no such layer") as caught:
        chosen_layers(config_for("base"), layers)
    assert caught.value.where == "layers"


@pytest.mark.parametrize("tokens", [[0, 0, 1], [0, 61], [-1, 0], [1, 2]])
def test_tokens_that_are_no_part_of_the_vocabulary_are_refused(tokens):
    with pytest.raises(InputError, match="not a part of the teacher's vocabulary"):
        student_config(config_for("base", pad_token_id=0), [0], tokens)


VOCABULARY = {
    token: number
    for number, token in enumerate(
        ["[PAD]", "[UNK]", "a", "##a", "the", "cat", "##ing", "dog", "é", "##é"]
    )
}


def test_a_smaller_vocabulary_keeps_characters_and_what_occurs_most():
    counts = np.bincount([5, 5, 7, 7, 7, 6], minlength=len(VOCABULARY))
    kept = smaller_vocabulary(VOCABULARY, [0, 1], counts, 8)
    assert kept == [0, 1, 2, 3, 5, 7, 8, 9]


def test_among_equals_the_first_stays():
    assert smaller_vocabulary(VOCABULARY, [0, 1], np.zeros(10, int), 7) == [0, 1, 2, 3, 4, 8, 9]


def test_a_vocabulary_too_small_for_its_characters_is_refused():
    with pytest.raises(InputError, match="would be too small") as caught:
        smaller_vocabulary(VOCABULARY, [0, 1], np.zeros(10, int), 5)
    assert caught.value.found == 5


@pytest.mark.pt
def test_new_weights_have_the_size_alone_from_the_teacher():
    teacher = build("pt", config_for("sequence-classification"), "sequence-classification")
    made, again, drawn = (
        dict(make_student(teacher, seed=3, new_weights=new).named_arrays())
        for new in (False, True, True)
    )
    assert {name: array.shape for name, array in drawn.items()} == {
        name: array.shape for name, array in made.items()
    }
    words = "distilbert.embeddings.word_embeddings.weight"
    assert not np.allclose(drawn[words], made[words], atol=1e-3)
    np.testing.assert_array_equal(drawn[words], again[words])
