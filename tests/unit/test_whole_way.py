"""From a checkpoint to answers, one step of training, and back, in each framework.

Everything here is tested more closely elsewhere.  This is the way that most users go, whole, for
versions of dependencies that nothing else is run with (`tox -e lowest,newest`).
"""

import importlib

import numpy as np
import pytest

import distil
from support.folders import make_folder
from support.training import make_recipe

TASK = "sequence-classification"
TEXTS = ["A good film!", "Who was born in Paris, the good one or the bad one?"]
BOTH = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]


def scores(folder, framework):
    found = distil.pipeline(model=folder, framework=framework)(TEXTS, top_k=None)
    return {(number, one["label"]): one["score"] for number, row in enumerate(found) for one in row}


def fit(model, framework, batch, labels):
    """One step of an optimizer of the framework itself."""
    if framework == "tf":
        keras = importlib.import_module("keras")
        model.compile(optimizer=keras.optimizers.Adam(1e-2))
        model.fit({**batch, "labels": labels}, epochs=1, batch_size=2, verbose=0)
        return
    torch = importlib.import_module("torch")
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    tensors = {name: torch.tensor(array) for name, array in batch.items()}
    model(**tensors, labels=torch.tensor(labels)).loss.backward()
    optimizer.step()
    model.eval()


@pytest.mark.parametrize("framework", BOTH)
@pytest.mark.parametrize("format", ["safetensors", "h5", "tf-safetensors"])
def test_load_predict_fit_save_convert(tmp_path, framework, format):  # noqa: A002
    make_folder(tmp_path / "start", TASK, format=format)
    before = scores(tmp_path / "start", framework)
    model = distil.load(tmp_path / "start", framework=framework)
    tokenizer = distil.load_tokenizer(tmp_path / "start")
    batch = {n: np.array(x) for n, x in tokenizer(TEXTS, padding=True).items()}
    fit(model, framework, batch, np.array([0, 1]))
    model.save_pretrained(tmp_path / "fitted")
    tokenizer.save_pretrained(tmp_path / "fitted")
    after = scores(tmp_path / "fitted", framework)
    assert before.keys() == after.keys()
    assert max(abs(after[key] - before[key]) for key in after) > 1e-3
    distil.convert(tmp_path / "fitted", tmp_path / "other", "pt" if framework == "tf" else "tf")
    found = scores(tmp_path / "other", framework)
    assert found == pytest.approx(after, abs=1e-6)


@pytest.mark.parametrize("framework", BOTH)
def test_bfloat16(tmp_path, framework):
    make_folder(tmp_path, TASK)
    whole = scores(tmp_path, framework)
    model = distil.load(tmp_path, framework=framework, dtype="bfloat16")
    rounded = distil.pipeline(model=model, tokenizer=distil.load_tokenizer(tmp_path))
    found = rounded(TEXTS, top_k=None)
    assert {one["label"] for one in found[0]} == {label for _, label in whole}
    for number, row in enumerate(found):
        assert {(number, one["label"]): one["score"] for one in row} == pytest.approx(
            {key: x for key, x in whole.items() if key[0] == number}, abs=0.05
        )


@pytest.mark.filterwarnings("ignore::distil.CheckpointWarning")  # two labels, where three were
@pytest.mark.parametrize("framework", BOTH)
def test_train_by_a_recipe(tmp_path, framework):
    recipe = make_recipe(tmp_path, TASK, framework, rows=16, **{"schedule.epochs": 1})
    result = distil.train(recipe)
    assert result.steps == 2
    assert len(scores(result.folder, framework)) == 2 * 2
