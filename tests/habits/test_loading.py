"""What transformers' from_pretrained and save_pretrained take: each is honoured or refused."""

import json

import numpy as np
import pytest

import distil
from distil.common.spec import parameters
from distil.errors import ConfigError, InputError, WeightsError
from support.models import build, config_for, spread

FRAMEWORKS = [pytest.param("pt", marks=pytest.mark.pt), pytest.param("tf", marks=pytest.mark.tf)]
both_frameworks = pytest.mark.parametrize("framework", FRAMEWORKS)
CLASSIFIER = "sequence-classification"


def saved(framework, folder, task=CLASSIFIER, seed=0, **changes):
    config = config_for(task, **changes)
    model = build(framework, config, task, spread(config, task, seed), dtype="float32")
    model.save_pretrained(folder)
    return model


def arrays(model):
    return dict(model.named_arrays())


def assert_same(one, other):
    one, other = arrays(one), arrays(other)
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@both_frameworks
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proxies", {"https": "http://user:SECRET@host"}),
        ("force_download", True),
        ("max_memory", {0: "1GB"}),
        ("quantization_config", {"load_in_8bit": True}),
        ("load_in_8bit", True),
        ("attn_implementation", "flash_attention_2"),
        ("offload_folder", "somewhere"),
        ("tp_plan", "auto"),
        ("gguf_file", "x.gguf"),
        ("key_mapping", {"a": "b"}),
        ("weights_only", False),
        ("device_map", {"distilbert": 0, "classifier": 1}),
        ("use_auth_tokn", "SECRET"),
        ("something_else", "SECRET"),
        ("state_dict", {}),
    ],
)
def test_what_has_no_meaning_is_refused_by_name(framework, name, value, tmp_path):
    cls = type(saved(framework, tmp_path))
    with pytest.raises(InputError, match=name) as error:
        cls.from_pretrained(tmp_path, **{name: value})
    assert "SECRET" not in str(error.value)


@both_frameworks
def test_the_nearest_name_is_told(framework, tmp_path):
    cls = type(saved(framework, tmp_path))
    with pytest.raises(InputError, match="did you mean attention_dropout"):
        cls.from_pretrained(tmp_path, attention_dropuot=0.1)
    with pytest.raises(InputError, match="did you mean device_map"):
        cls.from_pretrained(tmp_path, devic_map="cpu")
    with pytest.raises(InputError, match="did you mean max_shard_size"):
        cls.from_pretrained(tmp_path).save_pretrained(tmp_path / "new", max_shard_siz="1GB")
    with pytest.raises(InputError, match="did you mean dropout"):
        distil.load(tmp_path, framework=framework, dropot=0.1)
    with pytest.raises(InputError, match="subfolder"):
        distil.load(tmp_path, framework=framework, subfolder="x")
    assert not (tmp_path / "new").exists()


@both_frameworks
def test_what_loads_alike_is_accepted_and_never_saved(framework, tmp_path):
    model = saved(framework, tmp_path / "one")
    again = type(model).from_pretrained(
        pretrained_model_name_or_path=tmp_path / "one", use_auth_token="hf_SECRET", proxies=None,
        low_cpu_mem_usage=True, torch_dtype="auto", attn_implementation="eager", from_pt=True,
        trust_remote_code=True, use_safetensors=True, force_download=False, resume_download=True,
        _fast_init=True, device_map="cpu", token=None, max_memory=None, output_past=True,
    )  # fmt: skip
    assert_same(again, model)
    again.save_pretrained(save_directory=tmp_path / "two", save_function=print, push_to_hub=False)
    text = (tmp_path / "two" / "config.json").read_text()
    assert "SECRET" not in text
    assert json.loads(text) == {
        **json.loads((tmp_path / "one" / "config.json").read_text()), "output_past": True
    }  # fmt: skip


@both_frameworks
def test_a_subfolder(framework, tmp_path):
    saved(framework, tmp_path, seed=1)
    inner = saved(framework, tmp_path / "sub", seed=2, dropout=0.3)
    model = type(inner).from_pretrained(tmp_path, subfolder="sub")
    assert_same(model, inner)
    assert model.config.dropout == 0.3
    assert distil.DistilBertConfig.from_pretrained(tmp_path, subfolder="sub").dropout == 0.3
    with pytest.raises(InputError, match="not inside"):
        type(inner).from_pretrained(tmp_path / "sub", subfolder="..")
    with pytest.raises(InputError, match="subfolder"):
        type(inner).from_pretrained("someone/model", subfolder="sub")


@both_frameworks
def test_the_report(framework, tmp_path):
    encoder = saved(framework, tmp_path, "base")
    cls = type(build(framework, config_for(CLASSIFIER), CLASSIFIER))
    with pytest.warns(distil.CheckpointWarning, match="classifier"):
        model, info = cls.from_pretrained(tmp_path, output_loading_info=True)
    assert sorted(info["missing_keys"]) == [
        "classifier.bias", "classifier.weight", "pre_classifier.bias", "pre_classifier.weight",
    ]  # fmt: skip
    assert info["unexpected_keys"] == info["mismatched_keys"] == info["error_msgs"] == []
    own = arrays(encoder)
    assert all((arrays(model)[f"distilbert.{name}"] == own[name]).all() for name in own)


@both_frameworks
def test_a_configuration_from_elsewhere(framework, tmp_path):
    model = saved(framework, tmp_path / "one")
    other = model.config.replace(dropout=0.4)
    other.save_pretrained(tmp_path / "two")
    again = type(model).from_pretrained(tmp_path / "one", config=tmp_path / "two")
    assert again.config.dropout == 0.4
    with pytest.raises(ConfigError, match="not a configuration"):
        type(model).from_pretrained(tmp_path / "one", config=3)


def test_a_configuration_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.DistilBertConfig(n_layers=2, num_labels=5, attention_dropout=0.3)
    ours = distil.DistilBertConfig.of(theirs)
    assert (ours.n_layers, ours.num_labels, ours.attention_dropout) == (2, 5, 0.3)
    again = transformers.DistilBertConfig.from_dict(ours.to_dict())
    assert again.to_dict() == theirs.to_dict()


@both_frameworks
def test_a_state_dict_in_place_of_a_checkpoint(framework, tmp_path):
    model = saved(framework, tmp_path)
    again = type(model).from_pretrained(None, config=model.config, state_dict=arrays(model))
    assert_same(again, model)
    with pytest.raises(InputError, match="state_dict"):
        type(model).from_pretrained(None, state_dict=arrays(model))
    less = arrays(model)
    del less["distilbert.embeddings.LayerNorm.weight"]
    with pytest.raises(WeightsError, match="LayerNorm"):
        type(model).from_pretrained(None, config=model.config, state_dict=less)


@both_frameworks
def test_a_state_dict_is_what_is_saved(framework, tmp_path):
    model = saved(framework, tmp_path / "one")
    other = {name: array + 1 for name, array in arrays(model).items()}
    model.save_pretrained(tmp_path / "two", state_dict=other)
    again = type(model).from_pretrained(tmp_path / "two")
    for name, array in arrays(again).items():
        np.testing.assert_array_equal(array, other[name])
    del other["classifier.weight"]
    with pytest.raises(InputError, match=r"classifier\.weight"):
        model.save_pretrained(tmp_path / "three", state_dict=other)
    assert not list((tmp_path / "three").glob("*"))


@both_frameworks
def test_another_process_saves(framework, tmp_path):
    model = saved(framework, tmp_path / "one")
    model.save_pretrained(tmp_path / "two", is_main_process=False)
    assert not (tmp_path / "two").exists()


@both_frameworks
@pytest.mark.parametrize("name", ["push_to_hub", "variant", "repo_id", "signatures", "unknown"])
def test_what_cannot_be_saved_is_refused_by_name(framework, name, tmp_path):
    model = saved(framework, tmp_path / "one")
    with pytest.raises(InputError, match=name):
        model.save_pretrained(tmp_path / "two", **{name: "x"})
    assert not (tmp_path / "two").exists()
    for refused in (model.push_to_hub, model.config.push_to_hub):
        with pytest.raises(InputError, match="push_to_hub"):
            refused("someone/model")


@pytest.mark.pt
def test_devices(tmp_path):
    model = saved("pt", tmp_path)
    for device_map in ("meta", {"": "meta"}):
        assert type(model).from_pretrained(tmp_path, device_map=device_map).device.type == "meta"
    assert type(model).from_pretrained(tmp_path, device_map="auto").device.type in ("cpu", "cuda")


@pytest.mark.tf
def test_a_saved_model(tmp_path):
    import tensorflow as tf

    model = saved("tf", tmp_path / "one")
    model.save_pretrained(tmp_path / "two", saved_model=True)
    loaded = tf.saved_model.load(tmp_path / "two" / "saved_model" / "1")
    ids = tf.constant([[5, 6, 7]])
    found = loaded.signatures["serving_default"](input_ids=ids, attention_mask=tf.ones_like(ids))
    np.testing.assert_allclose(found["logits"], model(ids).logits, atol=1e-5)


@pytest.mark.pt
def test_a_saved_model_of_pytorch_is_refused(tmp_path):
    model = saved("pt", tmp_path / "one")
    with pytest.raises(InputError, match="saved_model"):
        model.save_pretrained(tmp_path / "two", saved_model=True)


@both_frameworks
def test_names_of_a_model(framework, tmp_path):
    model = saved(framework, tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert again.name_or_path == again.config.name_or_path == str(tmp_path)
    assert model.name_or_path == ""
    assert (again.num_labels, again.main_input_name) == (3, "input_ids")
    assert again(**again.dummy_inputs).logits.shape == (3, 3)
    assert "name_or_path" not in again.config.to_json_string()
    assert again.get_output_embeddings() is None
    assert len(arrays(again)) == len(list(parameters(again.config, CLASSIFIER)))
