"""The table of weights: names, shapes, counts, and what each file format calls them."""

import pytest

from distil.common import spec
from distil.common.config import DistilBertConfig
from distil.common.tasks import TASKS, find_task, task_of_class

SIZES = {
    "vocab_size": 31, "max_position_embeddings": 13, "dim": 8, "n_heads": 2, "n_layers": 2,
    "hidden_dim": 20, "num_labels": 3,
}  # fmt: skip
TINY = DistilBertConfig(**SIZES)

# Source: transformers 4.57 and the hub's checkpoints.
COUNTS = {
    "base": 66_362_880,
    "masked-lm": 66_985_530,
    "sequence-classification": 66_955_010,
    "multiple-choice": 66_954_241,
    "token-classification": 66_364_418,
    "question-answering": 66_364_418,
}
TENSORS = {
    "base": 100, "masked-lm": 106, "sequence-classification": 104, "multiple-choice": 104,
    "token-classification": 102, "question-answering": 102,
}  # fmt: skip


@pytest.mark.parametrize("task", spec.HEADS)
def test_numbers_of_distilbert_base_uncased(task):
    config = DistilBertConfig()
    assert spec.count_parameters(config, task) == COUNTS[task]
    assert len(spec.weights(config, task)) == TENSORS[task]
    assert len(spec.weights(config, task)) == TENSORS[task]
    tied = [weight for weight in spec.weights(config, task).values() if weight.tied_to]
    assert len(tied) == (task == "masked-lm")


@pytest.mark.parametrize(("vocabulary", "count"), [(28_996, 65_190_912), (119_547, 134_734_080)])
def test_numbers_of_other_vocabularies(vocabulary, count):
    """distilbert-base-cased and -multilingual-cased."""
    assert spec.count_parameters(DistilBertConfig(vocab_size=vocabulary), "base") == count


def test_every_task_has_a_head_and_every_head_a_task():
    assert list(TASKS) == list(spec.HEADS)


# Some rows in full: (task, name, shape, name in a TensorFlow file, shape there).
ROWS = [
    ("base", "embeddings.word_embeddings.weight", (31, 8),
     "distilbert/embeddings/word_embeddings/weight:0", (31, 8)),
    ("base", "embeddings.position_embeddings.weight", (13, 8),
     "distilbert/embeddings/position_embeddings/embeddings:0", (13, 8)),
    ("base", "embeddings.LayerNorm.weight", (8,), "distilbert/embeddings/LayerNorm/gamma:0", (8,)),
    ("masked-lm", "distilbert.embeddings.LayerNorm.bias", (8,),
     "distilbert/embeddings/LayerNorm/beta:0", (8,)),
    ("masked-lm", "distilbert.transformer.layer.1.ffn.lin1.weight", (20, 8),
     "distilbert/transformer/layer_._1/ffn/lin1/kernel:0", (8, 20)),
    ("masked-lm", "distilbert.transformer.layer.0.attention.q_lin.bias", (8,),
     "distilbert/transformer/layer_._0/attention/q_lin/bias:0", (8,)),
    ("masked-lm", "vocab_projector.bias", (31,), "vocab_projector/bias:0", (31,)),
    ("sequence-classification", "classifier.weight", (3, 8), "classifier/kernel:0", (8, 3)),
    ("multiple-choice", "classifier.weight", (1, 8), "classifier/kernel:0", (8, 1)),
    ("token-classification", "classifier.bias", (3,), "classifier/bias:0", (3,)),
]  # fmt: skip


@pytest.mark.parametrize(("task", "name", "shape", "tf_name", "tf_shape"), ROWS)
def test_rows(task, name, shape, tf_name, tf_shape):
    weight = spec.weights(TINY, task)[name]
    assert weight.name == name
    assert weight.shape == shape
    assert weight.tf_name() == tf_name
    assert weight.stored_shape("pt") == shape
    assert weight.stored_shape("tf") == tf_shape
    assert f"{weight.module}.{weight.leaf}" == name


@pytest.mark.parametrize("task", spec.HEADS)
def test_names_are_unique_in_every_format(task):
    table = spec.weights(TINY, task).values()
    assert len({weight.tf_name() for weight in table}) == len(table)


@pytest.mark.parametrize("task", spec.HEADS)
def test_the_encoder_is_the_same_under_every_head(task):
    def encoder(task):
        prefix = "distilbert." if spec.HEADS[task] else ""
        table = spec.weights(TINY, task).values()
        return [(w.name.removeprefix(prefix), w.shape, w.tf_name()) for w in table if w.in_encoder]

    assert encoder(task) == encoder("base")


def test_pruned_heads_make_attention_narrower():
    pruned = spec.weights(TINY.replace(pruned_heads={1: [0]}), "base")
    layer = "transformer.layer.{}.attention.{}"
    assert pruned[layer.format(0, "q_lin.weight")].shape == (8, 8)
    assert pruned[layer.format(1, "q_lin.weight")].shape == (4, 8)
    assert pruned[layer.format(1, "v_lin.bias")].shape == (4,)
    assert pruned[layer.format(1, "out_lin.weight")].shape == (8, 4)
    assert pruned[layer.format(1, "out_lin.bias")].shape == (8,)


def test_the_decoder_is_tied_unless_the_configuration_says_otherwise():
    name, words = "vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight"
    assert spec.weights(TINY, "masked-lm")[name].tied_to == words
    assert name not in [weight.name for weight in spec.parameters(TINY, "masked-lm")]
    untied = TINY.replace(tie_word_embeddings=False)
    assert spec.weights(untied, "masked-lm")[name].tied_to is None
    more = spec.count_parameters(untied, "masked-lm") - spec.count_parameters(TINY, "masked-lm")
    assert more == 31 * 8


OTHER_NAMES = {
    "base": ("feature-extraction", "embeddings", "sentence-embeddings", "sentence-similarity"),
    "masked-lm": ("fill-mask", "mlm"),
    "sequence-classification": ("text-classification", "sentiment-analysis"),
    "multiple-choice": (),
    "token-classification": ("ner", "named-entity-recognition"),
    "question-answering": ("qa", "extractive-question-answering"),
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_other_names_of_tasks(task):
    assert {name: find_task(name).name for name in OTHER_NAMES[task]} == dict.fromkeys(
        OTHER_NAMES[task], task
    )


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_tasks_are_found_by_any_of_their_names(task):
    for name in (task.name, *task.aliases, task.name.upper(), task.name.replace("-", "_")):
        assert find_task(name) is task
    for name in (task.class_name, f"TF{task.class_name}", *task.bert_classes):
        assert task_of_class(name) is task


def test_an_unknown_task_is_refused_with_the_nearest_one():
    with pytest.raises(ValueError, match="did you mean 'masked-lm'"):
        find_task("maskd-lm")
    with pytest.raises(ValueError, match="unknown task"):
        find_task(None)
    assert task_of_class("GPT2LMHeadModel") is None


@pytest.mark.parametrize("task", spec.HEADS)
def test_parts_blocks_and_other_layers(task):
    table = spec.weights(TINY, task)
    prefix = "" if task == "base" else "distilbert."
    for weight in table.values():
        assert table[prefix + weight.inner_name if weight.in_encoder else weight.inner_name]
        if weight.layer is not None:
            other = weight.in_layer(1 - weight.layer)
            assert other == weight.name.replace(f".{weight.layer}.", f".{1 - weight.layer}.")
            assert weight.in_layer(weight.layer) == weight.name
    parts = list(dict.fromkeys(weight.part for weight in table.values()))
    assert parts == ["embeddings", "layer 0", "layer 1", *["head"] * (task != "base")]
    layer = f"{prefix}transformer.layer.0."
    assert list(dict.fromkeys(one.block for one in table.values() if one.layer == 0)) == [
        layer + name
        for name in ("attention", "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm")
    ]


@pytest.mark.parametrize(
    ("task", "width"),
    [
        ("base", 8), ("masked-lm", 31), ("sequence-classification", 3), ("multiple-choice", 1),
        ("token-classification", 3), ("question-answering", 3),
    ],
)  # fmt: skip
def test_width(task, width):
    assert spec.width(TINY, task) == width


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("distilbert.transformer.layer.11.ffn.lin1.bias",
         ("distilbert.transformer.layer.", 11, ".ffn.lin1.bias")),
        ("bert/encoder/layer_._3/output/dense/bias:0",
         ("bert/encoder/layer_._", 3, "/output/dense/bias:0")),
        ("a.layer.07.b", ("a.layer.07.b", None, "")),
        ("a.layer.x.b", ("a.layer.x.b", None, "")),
        ("classifier.bias", ("classifier.bias", None, "")),
    ],
)  # fmt: skip
def test_names_are_split_at_the_layer(name, parts):
    assert spec.split_at_layer(name) == parts
