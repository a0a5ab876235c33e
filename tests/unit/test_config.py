"""The configuration: every field typed and in range, read and written as transformers does."""

import json
import pickle

import pytest

from distil.common.config import DistilBertConfig
from distil.errors import CheckpointError, ConfigError, InputError

# What config.json of distilbert-base-uncased on the hub says.
HUB = {
    "activation": "gelu", "architectures": ["DistilBertForMaskedLM"], "attention_dropout": 0.1,
    "dim": 768, "dropout": 0.1, "hidden_dim": 3072, "initializer_range": 0.02,
    "max_position_embeddings": 512, "model_type": "distilbert", "n_heads": 12, "n_layers": 6,
    "pad_token_id": 0, "qa_dropout": 0.1, "seq_classif_dropout": 0.2,
    "sinusoidal_pos_embds": False, "tie_weights_": True, "transformers_version": "4.10.0.dev0",
    "vocab_size": 30522,
}  # fmt: skip

DEFAULTS = {
    "vocab_size": 30522, "max_position_embeddings": 512, "sinusoidal_pos_embds": False,
    "n_layers": 6, "n_heads": 12, "dim": 768, "hidden_dim": 3072, "dropout": 0.1,
    "attention_dropout": 0.1, "activation": "gelu", "initializer_range": 0.02, "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2, "pad_token_id": 0, "num_labels": 2, "problem_type": None,
    "output_hidden_states": False, "output_attentions": False, "return_dict": True,
    "tie_word_embeddings": True, "pruned_heads": {}, "architectures": None, "dtype": None,
}  # fmt: skip


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults(name):
    assert getattr(DistilBertConfig(), name) == DEFAULTS[name]


def test_a_file_of_the_hub_is_read_and_written_back():
    config = DistilBertConfig.from_dict(HUB)
    assert config.architectures == ["DistilBertForMaskedLM"]
    assert config.extra == {"tie_weights_": True, "transformers_version": "4.10.0.dev0"}
    assert config.to_dict() == HUB | {"tie_word_embeddings": True}


# name: (fields, words in the message)
REFUSED = {
    "no words": ({"vocab_size": 0}, "integer from 1"),
    "too many words": ({"vocab_size": 2**31}, "integer from 1"),
    "a number that is a truth value": ({"n_layers": True}, "integer from 1"),
    "a number that is a float": ({"n_layers": 2.0}, "integer from 1"),
    "a number that is a text": ({"dim": "768"}, "integer from 1"),
    "a width the heads do not divide": ({"dim": 770}, r"multiple of n_heads \(12\)"),
    "a rate of 1": ({"dropout": 1}, "from 0 to below 1"),
    "a negative rate": ({"attention_dropout": -0.1}, "from 0 to below 1"),
    "a rate that is no number": ({"qa_dropout": float("nan")}, "from 0 to below 1"),
    "an unknown activation": ({"activation": "gelu2"}, "one of gelu"),
    "an activation that is no name": ({"activation": ["gelu"]}, "one of gelu"),
    "an infinite spread": ({"initializer_range": float("inf")}, "finite"),
    "a flag that is a number": ({"tie_word_embeddings": 1}, "true or false"),
    "an unknown problem": ({"problem_type": "classification"}, "one of regression"),
    "an unknown dtype": ({"dtype": "float8"}, "one of float32"),
    "padding outside the vocabulary": ({"vocab_size": 10, "pad_token_id": 10}, "below vocab_size"),
    "negative padding": ({"pad_token_id": -1}, "integer from 0"),
    "no labels": ({"num_labels": 0}, "integer from 1"),
    "labels that skip a number": ({"id2label": {0: "a", 2: "b"}}, "every number"),
    "labels that are numbers": ({"id2label": {0: 1}}, "every number"),
    "labels with keys that are no numbers": ({"id2label": {"a": "b"}}, "integers as keys"),
    "labels of two counts": ({"id2label": {0: "a"}, "num_labels": 2}, "length of id2label"),
    "a layer that is not there": ({"pruned_heads": {6: [0]}}, "layers below n_layers"),
    "heads that are not numbers": ({"pruned_heads": {0: ["1"]}}, "from layers to lists of heads"),
    "more layers than there can be": ({"n_layers": 257}, "integer from 1 to 256"),
    "a head that is not there": ({"pruned_heads": {0: [12]}}, "heads below n_heads"),
    "no head left": ({"pruned_heads": {0: list(range(12))}}, "at least one head"),
    "architectures in one text": ({"architectures": "DistilBertModel"}, "list of class names"),
    "a field by two names": ({"dim": 768, "hidden_size": 384}, "given twice"),
    "a number twice": ({"id2label": {"0": "a", "00": "b"}}, "each number once"),
    "a layer twice": ({"pruned_heads": {"1": [0], 1: [1]}}, "each number once"),
    "another model": ({"model_type": "gpt2"}, "not a DistilBERT"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_values_are_refused(case):
    fields, words = REFUSED[case]
    with pytest.raises(ConfigError) as caught:
        DistilBertConfig(**fields)
    assert next(iter(fields)) in str(caught.value) or "dim" in str(caught.value)
    caught.match(words)


ALIASES = [
    ("hidden_size", "dim", 384),
    ("num_attention_heads", "n_heads", 6),
    ("num_hidden_layers", "n_layers", 3),
    ("use_return_dict", "return_dict", False),
]


@pytest.mark.parametrize(("alias", "name", "value"), ALIASES)
def test_aliases(alias, name, value):
    config = DistilBertConfig(**{alias: value})
    assert getattr(config, name) == getattr(config, alias) == value
    assert alias not in config.to_dict()
    other = DistilBertConfig()
    setattr(other, alias, value)
    assert other == config


def test_torch_dtypes_are_known_by_their_names():
    assert DistilBertConfig(torch_dtype="torch.float16").dtype == "float16"


def test_labels_are_made_up_from_their_number():
    config = DistilBertConfig(num_labels=3)
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert config.label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
    assert "num_labels" not in config.to_dict()


def test_label_names_decide_their_number():
    config = DistilBertConfig(id2label={"0": "no", "1": "perhaps", "2": "yes"})
    assert config.num_labels == 3
    assert config.label2id == {"no": 0, "perhaps": 1, "yes": 2}
    assert DistilBertConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_assigning_a_field_checks_it():
    config = DistilBertConfig()
    config.num_labels = 5
    assert len(config.label2id) == 5
    with pytest.raises(ConfigError):
        config.n_heads = 7
    assert config.n_heads == 12  # nothing is half done
    config.anything = "else"
    assert config.extra == {"anything": "else"}
    assert config.anything == "else"
    with pytest.raises(AttributeError, match="no field 'something'"):
        _ = config.something


def test_replace_makes_a_copy():
    config = DistilBertConfig(id2label={0: "no", 1: "yes"}, note=["kept"])
    other = config.replace(n_layers=2)
    other.extra["note"].append("changed")
    other.id2label[0] = "never"
    assert config.n_layers == 6
    assert config.note == ["kept"]
    assert config.id2label[0] == "no"
    assert config.replace(num_labels=2).id2label == {0: "no", 1: "yes"}
    assert config.replace(num_labels=3).id2label[2] == "LABEL_2"
    with pytest.raises(ConfigError):
        config.replace(n_layers=0)


def test_pruned_heads_come_back_from_json():
    config = DistilBertConfig(pruned_heads={0: {3, 1}, "2": (5,)})
    assert config.pruned_heads == {0: [1, 3], 2: [5]}
    again = DistilBertConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert config.attention_width(0) == 10 * 64
    assert config.attention_width(1) == 768
    assert config.head_dim == 64


def test_saving_and_loading(tmp_path):
    config = DistilBertConfig(n_layers=3, num_labels=4, note="kept", dtype="float64")
    config.save_pretrained(tmp_path / "new")
    assert DistilBertConfig.from_pretrained(tmp_path / "new") == config
    assert DistilBertConfig.from_pretrained(tmp_path / "new" / "config.json") == config
    assert DistilBertConfig.from_pretrained(tmp_path / "new", n_layers=2).n_layers == 2
    assert pickle.loads(pickle.dumps(config)) == config


def test_errors_name_the_file(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "distilbert", "dim": -1}')
    with pytest.raises(ConfigError, match="dim is not valid") as caught:
        DistilBertConfig.from_pretrained(tmp_path)
    assert str(tmp_path) in str(caught.value)


# A BERT's configuration is read as that of the DistilBERT with the same encoder.

BERT = {
    "model_type": "bert", "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 128, "hidden_act": "gelu", "hidden_dropout_prob": 0.2,
    "attention_probs_dropout_prob": 0.3, "classifier_dropout": None, "layer_norm_eps": 1e-12,
    "type_vocab_size": 2, "vocab_size": 99, "position_embedding_type": "absolute",
}  # fmt: skip


def test_a_bert_is_read():
    config = DistilBertConfig.from_dict(BERT)
    assert (config.dim, config.n_layers, config.n_heads, config.hidden_dim) == (64, 3, 4, 128)
    assert (config.dropout, config.attention_dropout) == (0.2, 0.3)
    assert config.seq_classif_dropout == 0.2
    assert config.to_dict()["model_type"] == "distilbert"
    assert DistilBertConfig.from_dict({"model_type": "bert"}).n_layers == 12


@pytest.mark.parametrize(
    "difference",
    [{"layer_norm_eps": 1e-5}, {"position_embedding_type": "relative_key"}, {"is_decoder": True}],
)
def test_a_bert_that_does_something_else_is_refused(difference):
    with pytest.raises(ConfigError, match="no DistilBERT computes the same"):
        DistilBertConfig.from_dict(BERT | difference)


def test_other_models_are_refused():
    with pytest.raises(ConfigError, match="distilbert or bert"):
        DistilBertConfig.from_dict({"model_type": "roberta"})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have(tmp_path, number):
    (tmp_path / "config.json").write_text(f'{{"more": [{{"threshold": {number}}}]}}')
    with pytest.raises(ConfigError, match="not a JSON number"):
        DistilBertConfig.from_pretrained(tmp_path)
    config = DistilBertConfig(more=[float(number)])
    with pytest.raises(ConfigError, match="not a JSON number"):
        config.save_pretrained(tmp_path / "target")


def test_one_argument_by_two_names(tmp_path):
    DistilBertConfig().save_pretrained(tmp_path)
    same = DistilBertConfig.from_pretrained(tmp_path, dtype="float16", torch_dtype="float16")
    assert same.dtype == "float16"
    for options in (
        {"dtype": "float32", "torch_dtype": "float16"},
        {"token": "hf_SECRET", "use_auth_token": "hf_OTHER"},
    ):
        with pytest.raises(InputError, match="two names for one argument") as caught:
            DistilBertConfig.from_pretrained(tmp_path, **options)
        assert caught.value.where in options
        assert "hf_" not in str(caught.value)


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="configuration cannot be written"):
        DistilBertConfig().save_pretrained(tmp_path / "file")
    with pytest.raises(CheckpointError, match="configuration cannot be written"):
        DistilBertConfig().save_pretrained(tmp_path / ("long" * 100))
    (tmp_path / "folder" / "config.json").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="cannot be saved"):
        DistilBertConfig().save_pretrained(tmp_path / "folder")
    with pytest.raises(CheckpointError, match="cannot be written"):
        DistilBertConfig(more="\ud800").save_pretrained(tmp_path)
