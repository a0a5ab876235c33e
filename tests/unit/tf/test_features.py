"""What people do with a keras.Model, done with each model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from distil.errors import InputError
from support.models import ALL_TASKS, NO_DROPOUT, batch_for, build, config_for

pytestmark = pytest.mark.tf

HEADS = [task for task in ALL_TASKS if task != "base"]
CLASSIFIER = "sequence-classification"


@pytest.fixture(params=ALL_TASKS)
def task(request):
    return request.param


@pytest.fixture
def model(task):
    return build("tf", config_for(task), task, dtype="float32")


@pytest.fixture
def batch(model):
    return batch_for(model.config, model.task)


def classifier(**changes):
    return build("tf", config_for(CLASSIFIER, **changes), CLASSIFIER, dtype="float32")


def same(one, other, **tolerance):
    assert list(one.keys()) == list(other.keys())
    for a, b in zip(one.values(), other.values(), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), **({"rtol": 1e-5} | tolerance))


def test_inputs_by_name_by_position_in_a_dict_and_in_a_list(model):
    batch = batch_for(model.config, model.task, labels=False)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    expected = model(input_ids=ids, attention_mask=mask)
    same(model(ids, mask), expected)
    same(model({"input_ids": ids, "attention_mask": mask}), expected)
    same(model([tf.constant(ids), tf.constant(mask)]), expected)
    same(model(ids.tolist(), attention_mask=mask.tolist()), expected)


def test_one_graph_for_all_lengths(model, batch):
    traces = []

    @tf.function(reduce_retracing=True)
    def run(batch):
        traces.append(1)
        return model(batch)

    shapes = [(3, 9), (2, 12), (5, 4), (1, 1)]
    for rows, length in shapes:
        other = batch_for(model.config, model.task, rows=rows, length=length)
        other = {name: tf.constant(array) for name, array in other.items()}
        same(run(other), model(other), atol=1e-5)
    assert len(traces) <= 2


def test_runs_under_xla(model):
    batch = batch_for(model.config, model.task, labels=False)
    batch = {name: tf.constant(array) for name, array in batch.items()}
    same(tf.function(model, jit_compile=True)(**batch), model(**batch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_runs_in_other_types(task, dtype):
    model = build("tf", config_for(task), task, dtype=dtype)
    output = model(batch_for(model.config, task))
    assert output[-1].dtype.name == dtype
    assert {v.dtype for v in model.weights} == {dtype}
    assert all(np.isfinite(np.asarray(value, np.float64)).all() for value in output.values())


def test_mixed_precision(task):
    model = build("tf", config_for(task), task, dtype="mixed_bfloat16")
    full = build("tf", config_for(task), task, dtype="float32")
    batch = batch_for(model.config, task)
    output = model(batch)
    assert {v.dtype for v in model.weights} == {"float32"}
    assert output[-1].dtype == tf.bfloat16
    if "loss" in output:
        assert output.loss.dtype == tf.float32
    same({"a": tf.cast(output[-1], tf.float32)}, {"a": full(batch)[-1]}, rtol=0.1, atol=0.1)


def test_follows_the_global_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        from distil.tf import TFDistilBertModel

        model = TFDistilBertModel(config_for("base"))
        assert model.compute_dtype == "bfloat16"
        assert model.transformer.layer[0].ffn.lin1.compute_dtype == "bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("task", HEADS)
def test_fits_with_its_own_loss_on_labels_among_the_inputs(task):
    model = build("tf", config_for(task, **NO_DROPOUT), task, dtype="float32")
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    data = tf.data.Dataset.from_tensor_slices(batch_for(model.config, task, rows=8)).batch(4)
    history = model.fit(data, shuffle=False, epochs=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert model.evaluate(data, verbose=0) < history[0]


@pytest.mark.parametrize("task", HEADS)
def test_fits_with_its_own_loss_on_y(task):
    model = build("tf", config_for(task, **NO_DROPOUT), task, dtype="float32")
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    batch = batch_for(model.config, task, rows=8)
    names = [name for name in batch if name.endswith("s") and name != "input_ids"]
    y = tuple(batch.pop(name) for name in names)
    history = model.fit(batch, y if len(y) > 1 else y[0], epochs=4, verbose=0, batch_size=4)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_fits_with_a_keras_loss_and_metric():
    model = classifier()
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    batch = batch_for(model.config, CLASSIFIER, rows=8)
    labels = batch.pop("labels")
    history = model.fit(batch, labels, epochs=2, verbose=0).history
    assert set(history) == {"loss", "accuracy"}
    own = float(model(**batch, labels=labels).loss)
    assert model.evaluate(batch, labels, verbose=0, return_dict=True)["loss"] == pytest.approx(own)


def test_predicts_batch_by_batch(model):
    batch = batch_for(model.config, model.task, rows=5, labels=False)
    same(model.predict(batch, batch_size=2, verbose=0), model(batch), atol=1e-5)


def test_fit_refuses_labels_that_cannot_be_meant():
    model = classifier()
    model.compile(optimizer="sgd")
    batch = batch_for(model.config, CLASSIFIER)
    batch["labels"][1] = 7
    with pytest.raises((InputError, tf.errors.InvalidArgumentError), match="labels"):
        model.fit(batch, verbose=0)


def test_labels_that_cannot_be_meant_change_no_weight_under_xla():
    model = classifier()
    model.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=True)
    batch = batch_for(model.config, CLASSIFIER)
    batch["labels"][1] = 7
    before = [np.array(v) for v in model.weights]
    assert np.isnan(model.fit(batch, verbose=0).history["loss"][0])
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, np.array(new))


def test_saves_and_loads_as_keras_files(model, batch, tmp_path):
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    assert type(other) is type(model)
    same(other(batch), model(batch), rtol=0)
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = type(model)(model.config)
    fresh.load_weights(tmp_path / "model.weights.h5")
    same(fresh(batch), model(batch), rtol=0)


def test_exports_a_saved_model_that_takes_any_length(model, tmp_path):
    model.export(tmp_path / "saved")
    serve = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    for rows, length in ((3, 9), (1, 17)):
        batch = batch_for(model.config, model.task, rows=rows, length=length, labels=False)
        batch = {name: tf.constant(array, tf.int32) for name, array in batch.items()}
        expected = model(batch)
        output = serve(**batch)
        assert set(output) == set(expected.keys())
        for name, value in output.items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5)


def test_saves_through_tensorflow_as_well(tmp_path):
    model = classifier()
    tf.saved_model.save(model, str(tmp_path / "saved"))
    assert tf.saved_model.contains_saved_model(str(tmp_path / "saved"))


def test_takes_part_in_a_functional_model():
    encoder = build("tf", config_for("base"), "base", dtype="float32")
    ids = keras.Input((None,), dtype="int32")
    mask = keras.Input((None,), dtype="int32")
    hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    whole = keras.Model([ids, mask], keras.layers.Dense(2)(hidden[:, 0]))
    batch = batch_for(encoder.config, "base", rows=4, labels=False)
    whole.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(True))
    whole.fit([batch["input_ids"], batch["attention_mask"]], np.array([0, 1, 0, 1]), verbose=0)
    assert len(whole.trainable_weights) == len(encoder.trainable_weights) + 2


def test_dropout_only_in_training(model):
    batch = batch_for(model.config, model.task, labels=False)
    assert not np.array_equal(model(batch, training=True)[0], model(batch, training=True)[0])
    assert np.array_equal(model(batch)[0], model(batch)[0])


def test_dropout_keeps_the_mean():
    keras.utils.set_random_seed(0)
    model = classifier(**NO_DROPOUT | {"seq_classif_dropout": 0.5})  # a linear layer follows it
    batch = batch_for(model.config, CLASSIFIER, labels=False)
    drawn = np.array([model(batch, training=True).logits for _ in range(200)])
    error_of_mean = drawn.std(0) / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(0) - model(batch).logits) < 5 * error_of_mean).all()


@pytest.mark.parametrize("loss", [None, "keras"])
def test_trains_on_two_replicas_as_on_one(two_devices, loss):
    batch = batch_for(config_for(CLASSIFIER), CLASSIFIER, rows=4, seed=3)
    if loss is not None:
        batch = (batch, batch.pop("labels"))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    data = tf.data.Dataset.from_tensor_slices(batch).batch(4)
    config = config_for(CLASSIFIER, **NO_DROPOUT)

    def trained():
        model = build("tf", config, CLASSIFIER, dtype="float64")
        model.compile(keras.optimizers.SGD(0.1), loss=loss, metrics=loss and ["accuracy"])
        model.fit(data, shuffle=False, verbose=0)
        return [np.array(v) for v in model.weights]

    alone = trained()
    with two_devices.scope():
        together = trained()
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_sinusoids_are_not_trained():
    model = build("tf", config_for("base", sinusoidal_pos_embds=True), "base")
    assert model.get_position_embeddings().embeddings is model.non_trainable_weights[0]
    assert len(model.trainable_weights) == len(model.weights) - 1
