"""Sentence encoders taught by a recipe: their data, how they are judged, and what is refused."""

import importlib
import json
import random

import numpy as np
import pytest

import distil
from distil.common.spec import parameters
from distil.common.steps.batching import Features, collate, for_each
from distil.common.steps.recipe import read_recipe
from distil.errors import ConfigError, InputError
from distil.training.log import read_log
from distil.training.vectors import with_vectors
from support.folders import VOCABULARY, WORDS, make_folder
from support.training import sentence, write, write_rows

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]

pytestmark = pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")


def write_pairs(folder, rows=10):
    draw = random.Random(3)
    lines = ["sentence1,sentence2,score"]
    for _ in range(rows):
        first, second = sentence(draw), sentence(draw)
        lines.append(f"{' '.join(first)},{' '.join(second)},{len({*first} & {*second})}")
    return write(folder / "pairs.csv", "\n".join(lines) + "\n")


def recipe_in(folder, framework="pt", **assignments):
    """A recipe that teaches one layer of two."""
    if not (folder / "teacher").exists():
        make_folder(folder / "teacher", "base")
    table = {
        "task": "sentence-embeddings",
        "output": str(folder / f"taught-{framework}"),
        "model": {"framework": framework},
        "teacher": {"name": str(folder / "teacher")},
        "distillation": {
            "alpha_ce": 0, "alpha_task": 0, "alpha_cos": 0, "alpha_vector": 1, "dropout": 0,
        },
        "data": {
            "folder": str(folder), "train": write_rows(folder, "base", "train", 40),
            "dev": write_pairs(folder), "max_length": 24,
        },
        "batch": {"tokens": 128},
        "optimizer": {"learning_rate": 1e-3},
        "schedule": {"epochs": 2},
        "log": {"every": 1},
    }  # fmt: skip
    return read_recipe(table, assignments)


def vectors_of(folder, texts, framework):
    pipe = distil.pipeline("sentence-embeddings", str(folder), framework=framework)
    return pipe(texts, as_array=True)


def correlation(folder, pairs, framework):
    rows = [line.split(",") for line in pairs.read_text().splitlines()[1:]]
    first, second = (vectors_of(folder, [row[n] for row in rows], framework) for n in (0, 1))
    return np.corrcoef((first * second).sum(-1), [float(row[2]) for row in rows])[0, 1]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_student_learns_its_teachers_vectors(framework, tmp_path):
    recipe = recipe_in(tmp_path, framework, **{
        "distillation.alpha_cos": 1.0, "schedule.epochs": 6, "checkpoints.model": "last",
    })  # fmt: skip
    result = distil.distill(recipe)
    points = [record for record in read_log(result.folder) if "loss" in record]
    assert points[0].keys() >= {"loss", "loss_vector", "loss_cos"}
    assert points[-1]["loss_vector"] < 0.7 * points[0]["loss_vector"]
    assert result.metric == "spearman"
    assert result.metrics.keys() == {"loss", "cosine", "pearson", "spearman"}
    assert result.metrics["cosine"] == pytest.approx(1 - result.metrics["loss"])
    # What the judge says is what users get.
    found = correlation(result.folder, tmp_path / "pairs.csv", framework)
    assert result.metrics["pearson"] == pytest.approx(found, abs=1e-5)
    texts = [
        text for line in (tmp_path / "pairs.csv").read_text().splitlines()[1:]
        for text in line.split(",")[:2]
    ]  # fmt: skip
    own, theirs = (vectors_of(f, texts, framework) for f in (result.folder, tmp_path / "teacher"))
    assert result.metrics["cosine"] == pytest.approx((own * theirs).sum(-1).mean(), abs=1e-5)


@pytest.mark.pt
def test_held_out_texts_are_judged_by_the_cosine_to_the_teacher(tmp_path):
    dev = write_rows(tmp_path, "base", "dev", 10)
    recipe = recipe_in(tmp_path, **{"data.dev": dev})
    result = distil.distill(recipe)
    assert result.metric == "cosine"
    assert result.metrics.keys() == {"loss", "cosine"}
    with pytest.raises(distil.TrainingError, match="no scores"):
        distil.distill(recipe, **{"evaluation.metric": "pearson", "output": f"{tmp_path}/x"})
    result = distil.distill(recipe, **{"data.dev": None, "output": f"{tmp_path}/y"})
    assert result.metrics == {}


@pytest.mark.pt
def test_texts_come_from_files_of_several_kinds_and_from_several_columns(tmp_path):
    write(tmp_path / "a.txt", "the good film\n\nit is bad\n")
    write(tmp_path / "b.jsonl", json.dumps({"text": "who was born"}) + "\n")
    write(tmp_path / "c.tsv", "text\tlabel\nin paris\t1\n")
    result = distil.distill(recipe_in(tmp_path, **{"data.train": ["a.txt", "b.jsonl", "c.tsv"]}))
    assert result.examples == 4
    pairs = recipe_in(tmp_path, **{
        "data.train": "pairs.csv", "data.columns": {"text": ["sentence1", "sentence2"]},
        "output": str(tmp_path / "both"),
    })  # fmt: skip
    result = distil.distill(pairs)
    assert result.examples == 20
    assert result.metric == "spearman"


@pytest.mark.pt
@pytest.mark.parametrize(
    ("split", "lines", "words"),
    [
        ("train", '{"text": 3}\n', "text is not a text"),
        ("train", '{"sentence": "the film"}\n', "row has no 'text'"),
        ("dev", '{"sentence1": "a", "sentence2": "b", "score": "much"}\n', "score is not a number"),
        ("dev", '{"sentence1": "a", "score": 1}\n', "row has no 'sentence2'"),
        (
            "dev",
            '{"sentence1": "a", "sentence2": "b", "score": 1}\n{"text": "c"}\n',
            "row has no 'sentence1'",
        ),
    ],
)
def test_rows_that_cannot_be_read_are_named(split, lines, words, tmp_path):
    write(tmp_path / "rows.jsonl", lines)
    with pytest.raises(InputError, match=words) as caught:
        distil.distill(recipe_in(tmp_path, **{f"data.{split}": "rows.jsonl"}))
    assert "rows.jsonl:" in str(caught.value.where)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_student_may_have_fewer_words_than_its_teacher(framework, tmp_path):
    size = len(VOCABULARY) - 5  # "paris" and "born" are in no text
    write(tmp_path / "few.txt", "the good film\nit is bad in it\nwho was it the\n" * 9)
    recipe = recipe_in(tmp_path, framework, **{
        "data.train": "few.txt", "model.vocabulary": size, "data.cache": str(tmp_path / "cache"),
        "schedule.epochs": 4, "checkpoints.model": "last", "data.max_length": 40,
    })  # fmt: skip
    result = distil.distill(recipe)
    model = distil.load(result.folder, framework=framework)
    tokenizer = distil.load_tokenizer(result.folder)
    assert model.config.vocab_size == len(tokenizer) == size
    assert not {"paris", "born"} & tokenizer.get_vocab().keys()
    own = dict(distil.load(result.folder, framework=framework).named_arrays())
    texts = (tmp_path / "pairs.csv").read_text().splitlines()[1:]
    texts = [text for line in texts for text in line.split(",")[:2]]
    ours, theirs = (vectors_of(f, texts, framework) for f in (result.folder, tmp_path / "teacher"))
    # The teacher reads the texts in its own tokens.
    assert result.metrics["cosine"] == pytest.approx((ours * theirs).sum(-1).mean(), abs=1e-5)
    assert own["embeddings.word_embeddings.weight"].shape[0] == size


@pytest.mark.filterwarnings("ignore:.*longer than the 24 tokens")
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("words", [None, len(VOCABULARY) - 3])
def test_a_teachers_vectors_are_computed_once(words, framework, tmp_path, monkeypatch):
    changes = {
        "model.vocabulary": words, "distillation.alpha_similarity": 0.5, "data.dev": None,
        "schedule.steps": 4,
    }  # fmt: skip
    recipe = recipe_in(tmp_path, framework, **changes)
    cache = tmp_path / "vectors"
    kept = {"teacher.cache": str(cache), "output": str(tmp_path / "kept")}
    logs = [
        [point["loss"] for point in read_log(distil.distill(recipe, **changed).folder)]
        for changed in ({}, kept)
    ]
    assert logs[1] == pytest.approx(logs[0], rel=1e-3)
    assert logs[1] != logs[0]  # float16
    (path,) = cache.glob("*.npy")
    vectors = np.load(path)
    assert (vectors.dtype, vectors.shape) == (np.float16, (40, 32))
    texts = (tmp_path / "train.txt").read_text().splitlines()
    pipe = distil.pipeline(
        "sentence-embeddings", str(tmp_path / "teacher"), framework=framework, normalize=False
    )
    expected = pipe(texts, as_array=True, max_length=24)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=2e-3)

    step = importlib.import_module(f"distil.{framework}.training.teaching").TeachingStep
    asked = []
    real = step.teacher_vectors
    monkeypatch.setattr(
        step, "teacher_vectors", lambda self, inputs: asked.append(1) or real(self, inputs)
    )
    seen = step._seen
    monkeypatch.setattr(
        step, "_seen", lambda self, model, *given: seen(self, model, *given)
        if model is not self.teacher else pytest.fail("the teacher was asked"),
    )  # fmt: skip
    again = distil.distill(recipe, **kept | {"output": str(tmp_path / "again"), "seed": 1})
    assert not asked
    path.write_bytes(path.read_bytes()[:-2] + b"!!")  # damaged
    distil.distill(recipe, **kept | {"output": str(tmp_path / "damaged"), "seed": 1})
    assert asked
    assert read_log(again.folder)[0]["loss"] == read_log(tmp_path / "damaged")[0]["loss"]
    other = make_folder(tmp_path / "other", "base", n_heads=2)
    distil.distill(recipe, **kept | {
        "teacher.name": str(other), "output": str(tmp_path / "of another"),
    })  # fmt: skip
    assert len([*cache.glob("*.npy")]) == 2


@pytest.mark.pt
def test_vectors_that_cannot_be_kept_are_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    recipe = recipe_in(tmp_path, **{"teacher.cache": str(tmp_path / "file")})
    with pytest.raises(InputError, match="cannot be kept") as caught:
        distil.distill(recipe)
    assert "vectors-" in str(caught.value.where)


class Overflowing:
    """Gives vectors that float16 cannot hold."""

    def teacher_vectors(self, inputs):
        return np.full((len(inputs["input_ids"]), 2), 1e5, np.float32)


def test_vectors_that_float16_cannot_hold_are_an_error(tmp_path):
    features = Features(ids=np.arange(6, dtype=np.int32), starts=np.array([0, 1, 3, 6]))
    with pytest.raises(distil.TrainingError, match="not finite"):
        with_vectors(features, Overflowing(), folder=tmp_path, known_by=[], width=2, tokens=9)
    assert not [*tmp_path.iterdir()]


@pytest.mark.pt
def test_words_that_stay_begin_as_the_teachers(tmp_path):
    recipe = recipe_in(tmp_path, **{
        "model.vocabulary": len(VOCABULARY) - 3, "model.freeze": ["embeddings"],
        "schedule.steps": 1, "data.dev": None,
    })  # fmt: skip
    folder = distil.distill(recipe).folder
    name = "embeddings.word_embeddings.weight"
    own, theirs = (
        dict(distil.load(f, framework="pt").named_arrays())[name]
        for f in (folder, tmp_path / "teacher")
    )
    before, after = (distil.load_tokenizer(f).get_vocab() for f in (tmp_path / "teacher", folder))
    assert len(after) == len(VOCABULARY) - 3
    for token, number in after.items():
        np.testing.assert_array_equal(own[number], theirs[before[token]])


@pytest.mark.pt
def test_a_loaded_student_may_have_other_words(tmp_path):
    other = make_folder(tmp_path / "other", "base", n_layers=1)
    (other / "vocab.txt").write_text("".join(f"{token}\n" for token in reversed(VOCABULARY)))
    recipe = recipe_in(tmp_path, **{"model.name": str(other)})
    result = distil.distill(recipe)
    texts = ["the good film", " ".join(WORDS)]
    assert vectors_of(result.folder, texts, "pt").shape == (2, 32)
    assert distil.load_tokenizer(result.folder).get_vocab()["[PAD]"] == len(VOCABULARY) - 1
    with pytest.raises(ConfigError, match="different vocabularies"):
        distil.distill(recipe, **{"distillation.alpha_cos": 1, "output": f"{tmp_path}/x"})


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("freeze", [["embeddings"], [0], ["embeddings", 1]])
def test_what_is_frozen_stays(freeze, framework, tmp_path):
    recipe = recipe_in(
        tmp_path, framework,
        **{
            "model.freeze": freeze, "teacher.layers": [0, 1], "distillation.dropout": 0.5,
            "data.dev": None, "checkpoints.every": 1, "schedule.steps": 2,
        },
    )  # fmt: skip
    folder = distil.distill(recipe).folder
    own, theirs = (
        dict(distil.load(f, framework=framework).named_arrays())
        for f in (folder, tmp_path / "teacher")
    )
    config = distil.DistilBertConfig.from_pretrained(folder)
    for weight in parameters(config, "base"):
        part = "embeddings" if weight.layer is None else weight.layer
        # Keys' biases change nothing, and get no gradient but rounding errors.
        if not weight.name.endswith("k_lin.bias"):
            same = np.array_equal(own[weight.name], theirs[weight.name])
            assert same == (part in freeze), weight.name


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_dropout_is_the_recipes_and_the_configuration_keeps_its_own(framework, tmp_path):
    """The same layers with dropout 0 are their teacher from the start."""
    first = []
    for rate in (0.0, 0.5):
        recipe = recipe_in(
            tmp_path, framework,
            **{
                "teacher.layers": [0, 1], "distillation.dropout": rate, "schedule.steps": 1,
                "data.dev": None, "output": str(tmp_path / f"{rate}"),
            },
        )  # fmt: skip
        result = distil.distill(recipe)
        first.append(read_log(result.folder)[0]["loss_vector"])
        config = distil.DistilBertConfig.from_pretrained(result.folder)
        assert (config.dropout, config.attention_dropout) == (0.1, 0.1)
    assert abs(first[0]) < 1e-6
    assert first[1] > 1e-3


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"teacher": None}, "task"),
        ({"distillation.alpha_ce": 1.0}, "distillation.alpha_ce"),
        ({"distillation.alpha_task": 1.0}, "distillation.alpha_task"),
        ({"distillation.alpha_vector": 0.0}, "distillation.alpha_ce"),
        ({"distillation.vector_distance": "euclid"}, "distillation.vector_distance"),
        ({"distillation.dropout": 1.0}, "distillation.dropout"),
        ({"distillation.alpha_cos": 1.0, "model.vocabulary": 70}, "model.vocabulary"),
        ({"distillation.alpha_cos": 1.0, "teacher.cache": "x"}, "teacher.cache"),
        ({"model.freeze": ["words"]}, "model.freeze"),
        ({"model.freeze": [0, 0]}, "model.freeze"),
        ({"model.freeze": []}, "model.freeze"),
    ],
)
def test_recipes_that_cannot_be_are_refused(changes, where, tmp_path):
    with pytest.raises(ConfigError) as caught:
        recipe_in(tmp_path, **changes)
    assert caught.value.where == where


@pytest.mark.pt
@pytest.mark.parametrize("freeze", [[1], ["embeddings", 0]])
def test_layers_that_are_not_there_cannot_be_frozen_nor_all_that_is(freeze, tmp_path):
    with pytest.raises(ConfigError, match=r"no such layer|nothing is left") as caught:
        distil.distill(recipe_in(tmp_path, **{"model.freeze": freeze}))
    assert caught.value.where == "model.freeze"


@pytest.mark.pt
def test_a_teacher_whose_vectors_are_no_means_is_refused(tmp_path):
    recipe = recipe_in(tmp_path, **{"distillation.alpha_cos": 1.0})
    model = distil.load(tmp_path / "teacher", framework="pt")
    encoding = distil.SentenceEncoding(pooling="cls")
    distil.save(model, tmp_path / "teacher", encoding=encoding)
    with pytest.raises(ConfigError, match="does not pool by the mean") as caught:
        distil.distill(recipe)
    assert caught.value.found == "pooling cls"
    assert distil.distill(recipe, **{"distillation.alpha_vector": 0.0}).steps  # of states alone


@pytest.mark.pt
def test_what_comes_of_it_is_a_folder_of_sentence_transformers(tmp_path):
    folder = distil.distill(recipe_in(tmp_path)).folder
    kinds = [
        one["type"].rpartition(".")[2] for one in json.loads((folder / "modules.json").read_text())
    ]
    assert kinds == ["Transformer", "Pooling", "Normalize"]
    longest = json.loads((folder / "sentence_bert_config.json").read_text())
    assert longest["max_seq_length"] == 24


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_loss_of_an_encoder_at_once_in_bfloat16(framework, tmp_path):
    names = ("cos", "hidden", "attention", "relations", "vector", "similarity")
    weights = {f"distillation.alpha_{name}": 1.0 for name in names}
    losses = {}
    for precision in ("float32", "bfloat16"):
        recipe = recipe_in(
            tmp_path, framework, precision=precision, output=str(tmp_path / precision), **weights
        )
        points = read_log(distil.distill(recipe).folder)
        points = [point for point in points if "loss" in point]
        assert {f"loss_{name}" for name in names} <= points[0].keys()
        losses[precision] = np.array([point["loss"] for point in points])
    assert np.abs(losses["bfloat16"] / losses["float32"] - 1).max() < 0.05
    assert (losses["bfloat16"] != losses["float32"]).any()


@pytest.mark.pt
def test_vectors_of_other_widths_cannot_be_compared(tmp_path):
    with pytest.raises(ConfigError, match="differ in dim") as caught:
        distil.distill(recipe_in(tmp_path, **{"model.config": {"dim": 16}}))
    assert caught.value.where == "distillation.alpha_vector"


def test_a_batch_has_the_teachers_tokens_beside_the_students():
    theirs = Features(ids=np.arange(6, dtype=np.int32), starts=np.array([0, 1, 3, 6]))
    own = Features(
        ids=np.arange(10, 22, dtype=np.int32), starts=np.array([0, 4, 8, 12]), teacher=theirs
    )
    batch = collate(own, np.array([2, 0]), pad=7)
    student, teacher = for_each(batch.inputs)
    np.testing.assert_array_equal(student["input_ids"], [[18, 19, 20, 21], [10, 11, 12, 13]])
    np.testing.assert_array_equal(teacher["input_ids"], [[3, 4, 5], [0, 0, 0]])
    np.testing.assert_array_equal(teacher["attention_mask"], [[1, 1, 1], [1, 0, 0]])
    assert student.keys() == {"input_ids"}
    assert (batch.tokens, batch.size, batch.counted) == (8, 8, 2)
    alone, same = for_each({"input_ids": 1})
    assert alone == same == {"input_ids": 1}


@pytest.mark.pt
def test_no_recipe_is_needed(tmp_path):
    """A teacher without a head, and texts in memory, of which some are held out."""
    make_folder(tmp_path / "teacher", "base")
    draw = random.Random(5)
    result = distil.distill(
        teacher=tmp_path / "teacher", data=[{"text": " ".join(sentence(draw))} for _ in range(40)],
        output=tmp_path / "taught", model={"framework": "pt"}, **{"data.max_length": 40},
    )  # fmt: skip
    assert result.metric == "cosine"
    assert distil.load(result.folder, framework="pt").task == "base"
