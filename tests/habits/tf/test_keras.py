"""What Keras does with a model besides computing: saved, compiled, adapted, exported."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from distil.errors import InputError
from distil.tf import TFDistilBertForSequenceClassification
from support.models import ALL_TASKS, batch_for, build, config_for

pytestmark = pytest.mark.tf
CLASSIFIER = "sequence-classification"


def made(task=CLASSIFIER, **changes):
    return build("tf", config_for(task, **changes), task, dtype="float32")


def batch_of(model, **options):
    return batch_for(model.config, model.task, **options)


def values(model):
    return [np.array(variable) for variable in model.weights]


def assert_same(one, other, **tolerance):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, **({"rtol": 0} | tolerance))


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize("loss", [None, LOSS], ids=["own loss", "Keras's loss"])
def test_a_compiled_file_goes_on_as_if_never_interrupted(loss, tmp_path):
    """With dropout, and in a process that has imported `distil` alone."""
    model = made()
    x = batch_of(model, labels=False, rows=4)
    y = np.array([0, 1, 2, 1])
    model.compile(keras.optimizers.Adam(0.01), loss=loss)
    model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    np.savez(tmp_path / "batch.npz", y=y, **x)
    code = """
import sys, warnings, distil
warnings.filterwarnings("error", "compile|Skipping")
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
import keras, numpy as np
model = keras.saving.load_model("model.keras")
batch = dict(np.load("batch.npz"))
model.fit(batch, batch.pop("y"), epochs=2, shuffle=False, verbose=0)
np.savez("after.npz", *[np.array(variable) for variable in model.weights])
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    after = np.load(tmp_path / "after.npz")
    assert_same(values(model), [after[name] for name in after.files])


def test_a_file_without_the_state_of_dropout(tmp_path, monkeypatch):
    """As they were written before it was kept."""
    model = made()
    monkeypatch.setattr(type(model), "save_own_variables", keras.Model.save_own_variables)
    model.save(tmp_path / "model.keras")
    monkeypatch.undo()
    again = keras.saving.load_model(tmp_path / "model.keras")
    state = model.dropout_seeds.state
    assert_same(values(again), values(model))
    assert not np.array_equal(np.array(again.dropout_seeds.state), np.array(state))


def test_compiled_anew_without_a_loss_it_has_its_own():
    model = made(dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
    batch = batch_of(model)
    own = float(model(batch).loss)
    model.compile("sgd", loss=LOSS, metrics=["accuracy"])
    model.compile("sgd")
    history = model.fit(batch, verbose=0).history
    assert list(history) == ["loss"]
    assert history["loss"][0] == pytest.approx(own, rel=1e-5)


def test_a_loss_of_keras_on_two_devices_needs_the_ids(monkeypatch):
    """One batch of the replicas is taken, where Keras takes the mean of them."""
    model = made()
    ids = tf.constant([[5, 6, 7]])

    class Strategy:
        def experimental_local_results(self, x):
            return (x, x)

    given = []
    monkeypatch.setattr(model, "_distribute_strategy", Strategy())
    monkeypatch.setattr(
        keras.Model, "_maybe_symbolic_build",
        lambda self, iterator=None, data_batch=None: given.append((iterator, data_batch)),
    )  # fmt: skip
    model._maybe_symbolic_build(iterator=[(0, 1, iter([{"input_ids": ids}]))])
    ((iterator, batch),) = given
    assert iterator is None
    assert batch["input_ids"].dtype == tf.int32


class TestLora:
    @pytest.fixture
    def model(self):
        model = made()
        attention = model.distilbert.transformer.layer[0].attention
        for layer in (attention.q_lin, attention.v_lin, model.get_input_embeddings()):
            layer.enable_lora(2)
        for variable in model.weights:
            if variable.name.startswith("lora_"):
                variable.assign(tf.random.stateless_normal(variable.shape, (1, 2)))
        return model

    def test_a_checkpoint_has_the_sum(self, model, tmp_path):
        batch = batch_of(model, labels=False)
        model.save_pretrained(tmp_path)
        plain = type(model).from_pretrained(tmp_path)
        expected = model(batch).logits
        assert_same([plain(batch).logits], [expected], rtol=1e-4, atol=1e-4)
        assert not np.allclose(expected, made()(batch).logits, atol=0.01)

    def test_so_has_a_keras_file(self, model, tmp_path):
        batch = batch_of(model, labels=False)
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert_same([again(batch).logits], [model(batch).logits], rtol=1e-4, atol=1e-4)

    def test_and_what_is_exported(self, model, tmp_path):
        batch = batch_of(model, labels=False)
        model.export(tmp_path / "saved")
        serve = tf.saved_model.load(tmp_path / "saved").signatures["serve"]
        ids = {name: tf.constant(array, tf.int32) for name, array in batch.items()}
        assert_same([serve(**ids)["logits"]], [model(batch).logits], rtol=1e-4, atol=1e-4)

    def test_only_the_adapters_learn(self, model):
        before = {v.path: np.array(v) for v in model.weights}
        model.distilbert.get_position_embeddings().trainable = False
        model.compile("sgd")
        model.fit(batch_of(model), verbose=0)
        q_lin = model.distilbert.transformer.layer[0].attention.q_lin
        np.testing.assert_array_equal(before[q_lin._kernel.path], np.array(q_lin._kernel))
        assert not np.array_equal(before[q_lin.lora_kernel_b.path], np.array(q_lin.lora_kernel_b))

    def test_it_is_not_resized(self, model):
        with pytest.raises(InputError, match="enable_lora"):
            model.resize_token_embeddings(70)


class TestQuantized:
    @pytest.fixture
    def model(self):
        model = made()
        model.quantize("int8", filters=lambda layer: isinstance(layer, keras.layers.Dense))
        return model

    def test_kept_by_keras(self, model, tmp_path):
        batch = batch_of(model, labels=False)
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert again.classifier.quantization_mode == "int8"
        assert again.distilbert.transformer.layer[1].ffn.lin1._kernel.dtype == "int8"
        assert_same([again(batch).logits], [model(batch).logits])

    def test_exported(self, model, tmp_path):
        batch = batch_of(model, labels=False)
        model.export(tmp_path / "saved")
        serve = tf.saved_model.load(tmp_path / "saved").signatures["serve"]
        ids = {name: tf.constant(array, tf.int32) for name, array in batch.items()}
        assert_same([serve(**ids)["logits"]], [model(batch).logits], rtol=1e-4, atol=1e-4)

    def test_no_checkpoint_is_made_of_it(self, model, tmp_path):
        with pytest.raises(InputError, match=r'model\.save\("model\.keras"\)'):
            model.save_pretrained(tmp_path)
        assert not list(tmp_path.iterdir())
        with pytest.raises(InputError, match="quantized"):
            dict(model.named_arrays())

    def test_a_mode_that_needs_samples(self, model, tmp_path, monkeypatch):
        monkeypatch.setattr("distil.tf.keras_state._MODES", ())
        with pytest.raises(InputError, match=r"found: +int8"):
            model.save(tmp_path / "model.keras")


class TestRagged:
    def test_ids(self):
        for task in ALL_TASKS:
            model = made(task)
            rows = [[5, 6, 7], [8], [9, 1]]
            if task == "multiple-choice":
                rows = [[row, row[:1]] for row in rows]
            ids = tf.ragged.constant(rows, dtype=tf.int64)
            mask = tf.ones_like(ids).to_tensor()
            found, expected = model(ids), model(ids.to_tensor(), mask)
            assert_same(found.to_tuple(), expected.to_tuple())
            assert_same(model(input_ids=ids, attention_mask=mask)[0], expected[0])

    def test_labels_of_tokens_in_a_data_set(self):
        model = made("token-classification")
        ids = tf.ragged.constant([[5, 6, 7], [8]], dtype=tf.int32)
        labels = tf.ragged.constant([[0, 1, 2], [1]], dtype=tf.int32)
        data = tf.data.Dataset.from_tensor_slices({"input_ids": ids, "labels": labels}).batch(2)
        model.compile(keras.optimizers.SGD(0.0))
        history = model.evaluate(data, verbose=0)
        expected = model(ids.to_tensor(), tf.ones_like(ids).to_tensor(),
                         labels=labels.to_tensor(-100)).loss  # fmt: skip
        assert history == pytest.approx(float(expected), rel=1e-5)

    def test_embeddings_are_refused(self):
        embeddings = tf.RaggedTensor.from_row_lengths(tf.zeros((4, 32)), [3, 1])
        with pytest.raises(InputError, match=r"inputs_embeds\.to_tensor"):
            made()(inputs_embeds=embeddings)


class TestSavedModel:
    def inputs(self, model):
        batch = batch_of(model, labels=False)
        return {name: tf.constant(array, tf.int32) for name, array in batch.items()}

    @pytest.mark.parametrize("with_signatures", [True, False])
    def test_by_tensorflow(self, with_signatures, tmp_path):
        model = made("question-answering")
        options = {"signatures": model.serving} if with_signatures else {}
        tf.saved_model.save(model, tmp_path, **options)
        serve = tf.saved_model.load(tmp_path).signatures["serving_default"]
        inputs = self.inputs(model)
        found, expected = serve(**inputs), model(**inputs)
        assert sorted(found) == ["end_logits", "start_logits"]
        for name, value in found.items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5)

    def test_as_a_layer(self, tmp_path):
        model = made()
        model.export(tmp_path)
        layer = keras.layers.TFSMLayer(str(tmp_path), call_endpoint="serve")
        inputs = self.inputs(model)
        found = layer(inputs["input_ids"], attention_mask=inputs["attention_mask"])
        np.testing.assert_allclose(found["logits"], model(**inputs).logits, rtol=1e-4, atol=1e-5)


class TestNames:
    def test_layers(self):
        names = {
            "masked-lm": ["vocab_transform", "vocab_layer_norm", "vocab_projector"],
            "sequence-classification": ["pre_classifier", "classifier"],
            "multiple-choice": ["pre_classifier", "classifier"],
            "token-classification": ["classifier"],
            "question-answering": ["qa_outputs"],
        }
        for task, heads in names.items():
            model = made(task)
            for name in ("distilbert", *heads):
                assert model.get_layer(name) is getattr(model, name)
            assert model.layers[0].name == "distilbert"

    def test_the_encoder_is_its_own(self, tmp_path):
        model = made("base")
        assert model.distilbert is model
        with pytest.raises(AttributeError, match="no attribute 'classifier'"):
            _ = model.classifier
        model.save(tmp_path / "model.keras")
        assert_same(values(keras.saving.load_model(tmp_path / "model.keras")), values(model))


class WithHead(TFDistilBertForSequenceClassification):
    """A subclass with weights of its own."""

    def __init__(self, config, **options):
        super().__init__(config, **options)
        self.extra = keras.layers.Dense(3)
        self.extra.build((None, config.dim))


def test_weights_of_a_subclass_are_kept_by_keras_only(tmp_path):
    model = WithHead(config_for(CLASSIFIER))
    with pytest.raises(InputError, match=r"extra|dense"):
        model.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"WithHead": WithHead})
    assert_same(values(again), values(model))


def test_one_label_for_one_text():
    """As transformers' own examples write it."""
    model = made()
    ids = tf.constant([[5, 6, 7]])
    alone, listed = model(ids, labels=tf.constant(1)), model(ids, labels=tf.constant([1]))
    assert_same([alone.loss], [listed.loss])
    with pytest.raises(InputError, match="wrong shape"):
        model(tf.constant([[5], [6]]), labels=tf.constant(1))
