"""Training by a recipe, from rows to a folder, for all heads and in each framework."""

import json
from pathlib import Path

import numpy as np
import pytest

import distil
from distil.errors import CheckpointError, InputError, TrainingError
from distil.measures.answers import OF_IMPOSSIBLE
from distil.training import metrics, session, train
from distil.training.log import read_log
from support.training import TASKS, make_recipe

FRAMEWORKS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]

pytestmark = pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")

METRICS = {
    "masked-lm": {"loss", "perplexity", "accuracy", "unigram_loss"},
    "sequence-classification": {"loss", "accuracy", "f1", "matthews"},
    "multiple-choice": {"loss", "accuracy"},
    "token-classification": {"loss", "precision", "recall", "f1", "accuracy"},
    "question-answering": {"loss", "exact_match", "f1"},
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("task", TASKS)
def test_every_head_learns(task, framework, tmp_path):
    recipe = make_recipe(tmp_path, task, framework, **{"schedule.epochs": 6})
    result = train(recipe)
    points = [record for record in read_log(result.folder) if "loss" in record]
    assert result.metrics.keys() == METRICS[task]
    # Some that questions without an answer would add.
    more = {*metrics.names_of(recipe)} - METRICS[task]
    assert more == ({*OF_IMPOSSIBLE} if task == "question-answering" else set())
    assert result.steps == points[-1]["step"]
    assert points[-1]["loss"] < points[0]["loss"]
    model = distil.load(result.folder, framework=framework)
    assert model.task == task
    assert {"README.md", "curves.png", "training.json", "vocab.txt"} <= {
        path.name for path in result.folder.iterdir()
    }
    assert not (result.folder / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_labels_go_into_the_model(framework, tmp_path):
    recipe = make_recipe(tmp_path, "sequence-classification", framework)
    result = train(recipe, **{"schedule.steps": 1})
    config = distil.DistilBertConfig.from_pretrained(result.folder)
    assert config.id2label == {0: "bad", 1: "good"}
    assert config.dtype == "float32"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_smaller_vocabulary(framework, tmp_path):
    recipe = make_recipe(tmp_path, "sequence-classification", framework)
    whole = distil.load_tokenizer(recipe.model.name)
    size = len(whole) - 2
    result = train(recipe, **{"schedule.steps": 1, "model.vocabulary": size})
    tokenizer = distil.load_tokenizer(result.folder)
    assert tokenizer.get_vocab().keys() < whole.get_vocab().keys()
    tokens = whole.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(range(size)))
    words = "distilbert.embeddings.word_embeddings.weight"
    kept, given = (
        dict(distil.load(name, framework=framework).named_arrays())[words]
        for name in (result.folder, recipe.model.name)
    )
    assert kept.shape == (size, given.shape[1])
    # The rate of the only step is 0: the rows are those of the same tokens.
    np.testing.assert_array_equal(kept, given[tokens])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_new_weights_need_a_configuration_alone(framework, tmp_path):
    recipe = make_recipe(tmp_path, "sequence-classification", framework)
    trained = dict(distil.load(recipe.model.name, framework=framework).named_arrays())
    for path in Path(recipe.model.name).glob("*.safetensors"):
        path.unlink()
    result = train(recipe, **{"schedule.steps": 1, "model.new_weights": True, "seed": 5})
    drawn = dict(distil.load(result.folder, framework=framework).named_arrays())
    words = "distilbert.embeddings.word_embeddings.weight"
    assert drawn[words].shape == trained[words].shape
    assert np.corrcoef(drawn[words].ravel(), trained[words].ravel())[0, 1] < 0.5


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_is_done_is_not_done_again(framework, tmp_path):
    recipe = make_recipe(tmp_path, "sequence-classification", framework)
    steps = []
    first = train(recipe, listener=steps.append)
    assert len(steps) == first.steps == 10
    assert steps[-1].total == 10
    assert train(recipe, listener=steps.append) == first
    assert len(steps) == 10
    with pytest.raises(TrainingError, match=r"optimizer.learning_rate was 0.001, is 0.01"):
        train(recipe, **{"optimizer.learning_rate": 0.01})


@pytest.mark.pt
def test_accumulation_is_the_mean_over_all_labels(tmp_path):
    """Four batches of two make the step of one batch of eight, however many labels each has."""
    weights = []
    for number, (examples, accumulation) in enumerate([(8, 1), (2, 4)]):
        changes = {
            "output": str(tmp_path / str(number)), "model.config": dict.fromkeys(
                ("dropout", "attention_dropout", "seq_classif_dropout"), 0.0
            ), "precision": "float64", "batch.examples": examples,
            "batch.accumulation": accumulation, "schedule.steps": 1, "schedule.warmup": 0.0,
        }  # fmt: skip
        recipe = make_recipe(tmp_path, "token-classification", "pt", rows=8, **changes)
        result = train(recipe)
        model = distil.load(result.folder, framework="pt", dtype="float64")
        weights.append(dict(model.named_arrays()))
    for name, array in weights[0].items():
        np.testing.assert_allclose(array, weights[1][name], rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_loss_that_is_not_finite_stops_and_says_where(framework, tmp_path):
    recipe = make_recipe(
        tmp_path, "sequence-classification", framework,
        **{"optimizer.learning_rate": 1e30, "schedule.warmup": 0.0, "checkpoints.every": 1},
    )  # fmt: skip
    with pytest.raises(TrainingError, match="not finite") as caught:
        train(recipe)
    assert "step 2, examples" in caught.value.where
    rows = caught.value.where.split("examples ")[1].split(" of")[0].split(", ")
    assert len(rows) == 8
    assert {int(row) for row in rows} <= set(range(40))
    assert (tmp_path / f"trained-{framework}" / "checkpoint.safetensors").exists()


@pytest.mark.pt
def test_a_full_disk_is_said_and_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    recipe = make_recipe(tmp_path, "sequence-classification", "pt", **{"checkpoints.every": 2})
    writer = "distil.training.checkpoints.SafetensorsWriter.add"
    from distil.storage.safetensors_file import SafetensorsWriter

    written = []
    add = SafetensorsWriter.add

    def full(self, name, array):
        written.append(name)
        if len(written) > 150:
            raise OSError(28, "No space left on device")
        add(self, name, array)

    monkeypatch.setattr(writer, full)
    with pytest.raises(CheckpointError, match="No space left") as caught:
        train(recipe)
    assert "free some space" in str(caught.value)
    folder = tmp_path / "trained-pt"
    assert (folder / "checkpoint.safetensors").exists()
    assert not list(folder.glob(".*"))
    monkeypatch.undo()
    assert train(recipe).steps == 10


@pytest.mark.pt
def test_other_data_is_not_gone_on_with(tmp_path):
    recipe = make_recipe(
        tmp_path, "sequence-classification", "pt",
        **{"optimizer.learning_rate": 1e30, "schedule.warmup": 0.0, "checkpoints.every": 1},
    )  # fmt: skip
    with pytest.raises(TrainingError):
        train(recipe)
    path = tmp_path / "train.tsv"
    path.write_text(path.read_text().replace("good", "paris", 3), encoding="utf-8")
    with pytest.raises(TrainingError, match=r"data\.checksum was"):
        train(recipe)


@pytest.mark.pt
def test_the_last_model_and_the_best(tmp_path):
    recipe = make_recipe(tmp_path, "sequence-classification", "pt", **{"schedule.epochs": 4})
    best = train(recipe)
    last = train(recipe, **{"checkpoints.model": "last", "output": str(tmp_path / "last")})
    values = [record["dev_accuracy"] for record in read_log(best.folder) if "dev_loss" in record]
    assert len(values) == 4
    assert best.metrics["accuracy"] == max(values)
    assert best.best_step == 5 * (1 + values.index(max(values)))
    assert last.metrics["accuracy"] == values[-1]
    assert last.best_step == last.steps == 20


@pytest.mark.pt
def test_too_long_for_the_model_is_an_error(tmp_path):
    recipe = make_recipe(tmp_path, "sequence-classification", "pt")
    with pytest.raises(distil.ConfigError, match="at most 40"):
        train(recipe, **{"data.max_length": 41})


@pytest.mark.pt
def test_an_unknown_metric_is_an_error_before_anything_is_read(tmp_path, monkeypatch):
    recipe = make_recipe(tmp_path, "sequence-classification", "pt")
    monkeypatch.setattr(session, "prepare", None)
    with pytest.raises(TrainingError, match=r"accuracy, f1[\s\S]*did you mean accuracy"):
        train(recipe, **{"evaluation.metric": "acuracy", "schedule.steps": 1})
    regression = {"model.config": {"problem_type": "regression"}}
    with pytest.raises(TrainingError, match="loss, pearson, spearman"):
        train(recipe, **{"evaluation.metric": "accuracy"}, **regression)


@pytest.mark.pt
def test_no_rows_is_an_error(tmp_path):
    recipe = make_recipe(tmp_path, "sequence-classification", "pt")
    (tmp_path / "train.tsv").write_text("sentence\tlabel\n")
    with pytest.raises(InputError, match="no examples"):
        train(recipe, **{"data.labels": ["bad", "good"]})


@pytest.mark.pt
def test_the_result_is_plain_data(tmp_path):
    result = train(make_recipe(tmp_path, "sequence-classification", "pt", **{"schedule.steps": 1}))
    assert json.loads(json.dumps(result.to_dict()))["steps"] == 1


@pytest.mark.pt
def test_dev_rows_are_masked_by_settings_of_their_own(tmp_path):
    """The same model, so that only what is hidden differs."""
    still = {"schedule.steps": 1, "optimizer.learning_rate": 1e-30, "schedule.warmup": 0}
    found = []
    for number, section in enumerate([None, {"smoothing": 0.0}, {"share": 1.0, "smoothing": 0.0}]):
        recipe = make_recipe(
            tmp_path, "masked-lm", "pt",
            **{"output": str(tmp_path / str(number)), "evaluation.masking": section, **still},
        )  # fmt: skip
        found.append(train(recipe).metrics)
    assert found[0]["unigram_loss"] > found[1]["unigram_loss"]  # rare words are hidden more often
    assert found[2]["loss"] not in (found[0]["loss"], found[1]["loss"])
    assert all(metrics["unigram_loss"] < np.log(69) + 1 for metrics in found)


def test_only_masked_words_are_masked(tmp_path):
    with pytest.raises(distil.ConfigError, match=r"evaluation.masking"):
        make_recipe(tmp_path, "sequence-classification", "pt", **{"evaluation.masking": {}})
