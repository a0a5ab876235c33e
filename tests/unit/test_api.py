"""`distil.load` and its relatives, from a name to a model, in both frameworks."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

import distil
from distil.common.measurement import differences
from distil.common.tasks import TASKS
from distil.errors import InputError
from hub_server import running_hub
from support.models import ALL_TASKS, batch_for, build, config_for, measure

BOTH = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pt", "tf")]
FORMATS = ("safetensors", "tf-safetensors", "h5", "bin")
both_frameworks = pytest.mark.parametrize("framework", BOTH)


def checkpoint(framework, task, folder, **options):
    """A tiny model of the task, saved; in float32, since that is what loading gives."""
    model = build(framework, config_for(task), task, dtype="float32")
    model.save_pretrained(folder, **options)
    return model


@both_frameworks
@pytest.mark.parametrize("task", ALL_TASKS)
def test_what_is_saved_is_loaded_for_the_task_it_was_saved_from(framework, task, tmp_path):
    saved = checkpoint(framework, task, tmp_path)
    loaded = distil.load(tmp_path, framework=framework)
    assert type(loaded) is type(saved)
    batch = batch_for(saved.config, task)
    one, other = measure(framework, saved, batch), measure(framework, loaded, batch)
    assert all(d.absolute == 0 for d in differences(one.outputs, other.outputs))


@pytest.mark.pt
@pytest.mark.tf
@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("shards", [None, "20KB"])
@pytest.mark.parametrize(("writer", "reader"), [("pt", "tf"), ("tf", "pt")])
def test_what_one_framework_saves_the_other_loads(writer, reader, format_name, shards, tmp_path):
    saved = checkpoint(writer, "masked-lm", tmp_path, format=format_name, max_shard_size=shards)
    loaded = distil.load(tmp_path, framework=reader)
    for (name, a), (other, b) in zip(saved.named_arrays(), loaded.named_arrays(), strict=True):
        assert name == other
        np.testing.assert_array_equal(a, b)


@both_frameworks
@pytest.mark.parametrize("device", ["cuda:99", "nonsense", ""])
def test_a_device_that_is_not_there(framework, device, tmp_path):
    checkpoint(framework, "base", tmp_path)
    with pytest.raises(InputError, match=r"unknown device[\s\S]*where: +device"):
        distil.load(tmp_path, framework=framework, device=device)
    distil.load(tmp_path, framework=framework, device="cpu")


@both_frameworks
def test_a_new_head_is_announced(framework, tmp_path):
    checkpoint(framework, "base", tmp_path)
    with pytest.warns(distil.CheckpointWarning, match="classifier"):
        model = distil.load(tmp_path, framework=framework, task="ner", seed=1)
    assert model.task == "token-classification"


@both_frameworks
def test_the_encoder_of_a_model_with_a_head(framework, tmp_path):
    saved = checkpoint(framework, "token-classification", tmp_path)
    with pytest.warns(distil.CheckpointWarning, match="classifier"):
        loaded = distil.load(tmp_path, framework=framework, task="base")
    kept = dict(saved.named_arrays())
    for name, array in loaded.named_arrays():
        np.testing.assert_array_equal(array, kept[f"distilbert.{name}"])


@both_frameworks
@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_dtype(framework, dtype, tmp_path):
    checkpoint(framework, "base", tmp_path)
    model = distil.load(tmp_path, framework=framework, dtype=dtype)
    assert {str(array.dtype) for _, array in model.named_arrays()} == {dtype}
    model.save_pretrained(tmp_path / "again")
    again = distil.load(tmp_path / "again", framework=framework, dtype="auto")
    assert {str(array.dtype) for _, array in again.named_arrays()} == {dtype}


@both_frameworks
def test_overrides_reach_the_configuration_and_unknown_names_are_refused(framework, tmp_path):
    checkpoint(framework, "base", tmp_path)
    model = distil.load(tmp_path, framework=framework, dropout=0.0, output_past=True)
    assert model.config.dropout == 0
    assert model.config.output_past
    with pytest.raises(distil.InputError, match="my_key"):
        distil.load(tmp_path, framework=framework, my_key="kept")
    assert distil.load(tmp_path, framework=framework, torch_dtype="float64").weights_dtype == (
        "float64"
    )


@both_frameworks
def test_other_numbers_of_labels_need_permission(framework, tmp_path):
    checkpoint(framework, "token-classification", tmp_path)
    with pytest.raises(distil.WeightsError, match="classifier"):
        distil.load(tmp_path, framework=framework, num_labels=7)
    with pytest.warns(distil.CheckpointWarning, match="classifier"):
        model = distil.load(
            tmp_path, framework=framework, num_labels=7, ignore_mismatched_sizes=True
        )
    assert model.config.num_labels == 7


@both_frameworks
def test_is_ready_for_inference(framework, tmp_path):
    saved = checkpoint(framework, "base", tmp_path)
    model = distil.load(tmp_path, framework=framework)
    batch = batch_for(saved.config, "base")
    one, other = (measure(framework, model, batch, gradients=False).outputs for _ in range(2))
    assert all(d.absolute == 0 for d in differences(one, other))


@both_frameworks
def test_classes_are_importable_from_distil(framework):
    prefix = "TF" if framework == "tf" else ""
    module = importlib.import_module(f"distil.{framework}")
    for task in TASKS.values():
        assert getattr(distil, prefix + task.class_name) is getattr(
            module, prefix + task.class_name
        )


@both_frameworks
def test_the_environment_chooses_the_framework(framework, tmp_path, monkeypatch):
    checkpoint(framework, "base", tmp_path)
    monkeypatch.setenv("DISTIL_FRAMEWORK", framework)
    assert distil.load(tmp_path).framework == framework


@both_frameworks
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"task": "summarisation"}, distil.InputError, "unknown task"),
        ({"framework": "jax"}, distil.FrameworkError, "unknown framework"),
        ({"name": "no/such/folder"}, distil.CheckpointNotFoundError, "no/such/folder"),
        ({"task": "question-answering"}, distil.ConfigError, "num_labels 2"),
        ({"n_heads": 5}, distil.ConfigError, "n_heads"),
        ({"dropout": "high"}, distil.ConfigError, "dropout"),
        ({"hidden_dim": 7}, distil.WeightsError, "ffn.lin1"),
        ({"dtype": "int4"}, distil.InputError, "dtype"),
    ],
)
def test_bad_arguments_get_one_clear_error(framework, change, error, words, tmp_path):
    checkpoint(framework, "token-classification", tmp_path)
    arguments = {"name": tmp_path, "framework": framework} | change
    with pytest.raises(error, match=words):
        distil.load(**arguments)


@both_frameworks
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_ids": np.full((3, 9), 61)}, "outside the vocabulary"),
        ({"input_ids": np.full((3, 9), -1)}, "outside the vocabulary"),
        ({"input_ids": np.full((3, 9), 0.5)}, "must be integers"),
        ({"input_ids": np.zeros(9, np.int64)}, "wrong shape"),
        ({"input_ids": np.zeros((3, 21), np.int64)}, "longer than the model can take"),
        ({"attention_mask": np.ones((3, 8), np.int64)}, "attention_mask has the wrong shape"),
        ({"attention_mask": np.ones((3, 9, 9), np.int64)}, "attention_mask has the wrong shape"),
        ({"inputs_embeds": np.zeros((3, 9, 32), np.float32)}, "either token ids or embeddings"),
        ({"input_ids": None}, "either token ids or embeddings"),
        ({"head_mask": np.ones(3, np.float32)}, "head_mask has the wrong shape"),
        ({"position_ids": np.full((3, 9), 20)}, "outside the position embeddings"),
        ({"position_ids": np.zeros((2, 9), np.int64)}, "position_ids has the wrong shape"),
        ({"labels": np.full((3, 9), 3)}, "outside the classes"),
        ({"labels": np.zeros((3, 8), np.int64)}, "wrong shape"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_bad_inputs_get_one_clear_error(framework, change, words):
    task = "token-classification"
    model = build(framework, config_for(task), task, dtype="float32")
    batch = batch_for(model.config, task) | {"attention_mask": None} | change
    if batch["input_ids"] is not None and "labels" not in change:
        del batch["labels"]
    batch = {name: array for name, array in batch.items() if array is not None}
    with pytest.raises(distil.InputError, match=words):
        measure(framework, model, batch, gradients=False)


def test_a_missing_framework_names_the_extra():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else real(name, *a)\n"
        "import distil\n"
        "try: distil.load('x', framework='pt')\n"
        "except distil.FrameworkError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch is not installed" in done.stdout
    assert 'pip install "distil[pt]"' in done.stdout


@both_frameworks
@pytest.mark.parametrize("format_name", ["safetensors", "h5"])
def test_a_name_on_the_hub_and_again_without_the_hub(framework, format_name, tmp_path, monkeypatch):
    saved = checkpoint(framework, "token-classification", tmp_path / "source", format=format_name)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "hub"]
    (tmp_path / "source" / "vocab.txt").write_text("\n".join(words) + "\n")
    options = {"cache_dir": tmp_path / "cache", "revision": "main"}
    batch = batch_for(saved.config, saved.task)
    expected = measure(framework, saved, batch, gradients=False).outputs

    def check(**more):
        model = distil.load("someone/tiny", framework=framework, **options, **more)
        found = measure(framework, model, batch, gradients=False).outputs
        assert all(d.absolute == 0 for d in differences(expected, found))
        tokenizer = distil.load_tokenizer("someone/tiny", **options, **more)
        assert tokenizer("hello hub")["input_ids"] == [2, 5, 6, 3]
        assert distil.DistilBertConfig.from_pretrained("someone/tiny", **options, **more).dim == 32

    with running_hub(monkeypatch) as server:
        files = {path.name: path.read_bytes() for path in (tmp_path / "source").iterdir()}
        server.add("someone/tiny", files)
        check()
        fetched = len(server.downloads())
        check()
        assert len(server.downloads()) == fetched
    check(local_files_only=True)
