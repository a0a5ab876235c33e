"""Same weights, same inputs: the same outputs, loss and gradients from both frameworks."""

import numpy as np
import pytest
import tensorflow as tf
import torch

from distil.common.config_rules import ACTIVATIONS
from distil.common.measurement import differences
from distil.errors import InputError
from support.models import ALL_TASKS, CONFIGS, batch_for, build, config_for, measure, spread
from support.parity import (
    FRAMEWORKS,
    NOTHING,
    assert_agree,
    batch,
    gradient_differences,
    measure_both,
    pair,
    without_attentions,
)

pytestmark = [pytest.mark.pt, pytest.mark.tf]

MASKS = ("none", "every kind")
LONGEST = config_for("base").max_position_embeddings

every_task = pytest.mark.parametrize("task", ALL_TASKS)
every_config = pytest.mark.parametrize("config", CONFIGS)


# The table: head x config x mask.


@pytest.mark.parametrize("mask", MASKS)
@every_config
@every_task
def test_float64(task, config, mask):
    models, inputs = pair(task, config), batch(task, config, mask)
    pt, tf = measure_both(models, inputs)
    assert_agree(pt, tf)
    # PyTorch computes attention in another way when nobody asks for its weights.
    fused = measure("pt", models["pt"], inputs, attentions=False)
    assert_agree(fused, without_attentions(tf))


@pytest.mark.parametrize("mask", MASKS)
@every_config
@every_task
def test_float32(task, config, mask):
    models, inputs = pair(task, config, "float32"), batch(task, config, mask)
    pt, tf = measure_both(models, inputs)
    assert_agree(pt, tf, "float32")
    fused = measure("pt", models["pt"], inputs, attentions=False)
    assert_agree(fused, without_attentions(tf), "float32")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@every_task
def test_gradients_in_float32_are_near_the_true_ones(task, framework):
    """Justifies the tolerance of `test_float32`: what is left there is rounding."""
    for config in ("plain", "pruned"):  # pruned: the worst
        inputs = batch(task, config, "empty row")
        true = measure(framework, pair(task, config)[framework], inputs).gradients
        found = measure(framework, pair(task, config, "float32")[framework], inputs).gradients
        found = {name: value.astype(np.float64) for name, value in found.items()}
        apart = gradient_differences(found, true, nothing=NOTHING["float32"])
        assert max(distance for _, distance in apart) <= 5e-5


@every_task
def test_what_is_measured(task):
    """Every output, and a gradient for every weight: an empty comparison would always pass."""
    models, inputs = pair(task), batch(task)
    config = models["pt"].config
    for measured in measure_both(models, inputs):
        first = {
            "base": {"last_hidden_state"},
            "question-answering": {"loss", "start_logits", "end_logits"},
        }.get(task, {"loss", "logits"})
        layers = config.n_layers
        hidden = {f"hidden_states.{number}" for number in range(layers + 1)}
        attentions = {f"attentions.{number}" for number in range(layers)}
        assert measured.outputs.keys() == first | hidden | attentions
        assert measured.gradients.keys() == {name for name, _ in models["pt"].named_arrays()}
        assert all(np.isfinite(value).all() for value in measured.outputs.values())
        assert all(np.isfinite(value).all() for value in measured.gradients.values())


def test_sinusoids_are_not_trained():
    models = pair("base", "sinusoidal")
    for measured in measure_both(models, batch("base", "sinusoidal")):
        assert "embeddings.position_embeddings.weight" not in measured.gradients


# Other things that a configuration or an input can ask for.


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    config = config_for("masked-lm", activation=activation, n_layers=1)
    models = {name: build(name, config, "masked-lm") for name in FRAMEWORKS}
    assert_agree(*measure_both(models, batch_for(config, "masked-lm")))


LENGTHS = {
    "one token": {"length": 1},
    "one row": {"rows": 1},
    "one row of one token": {"rows": 1, "length": 1},
    "the longest length": {"length": LONGEST},
    "nothing shown anywhere": {"rows": 1, "mask": "empty row"},
}


@pytest.mark.parametrize("shape", LENGTHS)
@every_task
def test_extreme_shapes(task, shape):
    models = pair(task)
    inputs = batch_for(models["pt"].config, task, **LENGTHS[shape])
    pt, tf = measure_both(models, inputs)
    assert_agree(pt, tf)
    assert_agree(measure("pt", models["pt"], inputs, attentions=False), without_attentions(tf))


def test_one_choice():
    models = pair("multiple-choice")
    inputs = batch_for(models["pt"].config, "multiple-choice", choices=1)
    assert_agree(*measure_both(models, inputs))


@pytest.mark.parametrize("shape", ["heads", "layers and heads"])
@every_task
def test_head_mask(task, shape):
    models, inputs = pair(task), batch(task, "plain", "empty row")
    config = models["pt"].config
    sizes = {"heads": (config.n_heads,), "layers and heads": (config.n_layers, config.n_heads)}
    factors = np.random.default_rng(3).random(sizes[shape]).round(1)
    factors[..., 0] = 0
    assert_agree(*measure_both(models, {**inputs, "head_mask": factors}))
    assert_agree(*measure_both(models, {**inputs, "head_mask": factors}, attentions=False))


@pytest.mark.parametrize("shape", ["batch and length", "length"])
@every_task
def test_position_ids(task, shape):
    models, inputs = pair(task), batch(task)
    ids = inputs["input_ids"]
    sizes = ids.shape if shape == "batch and length" else ids.shape[-1:]
    positions = np.random.default_rng(4).integers(0, LONGEST, sizes)
    assert_agree(*measure_both(models, {**inputs, "position_ids": positions}))


@pytest.mark.parametrize("framework", FRAMEWORKS)
@every_task
def test_positions_count_from_0(task, framework):
    model, inputs = pair(task)[framework], batch(task)
    positions = np.arange(inputs["input_ids"].shape[-1])
    given = measure(framework, model, {**inputs, "position_ids": positions})
    assert_agree(given, measure(framework, model, inputs))


@every_task
def test_inputs_embeds(task):
    models = pair(task)
    inputs = dict(batch(task))
    ids = inputs.pop("input_ids")
    inputs["inputs_embeds"] = np.random.default_rng(5).standard_normal((*ids.shape, 32)) / 20
    assert_agree(*measure_both(models, inputs))


@pytest.mark.parametrize("framework", FRAMEWORKS)
@every_task
def test_embeddings_of_the_ids_are_as_good_as_the_ids(task, framework):
    model, inputs = pair(task)[framework], dict(batch(task))
    table = spread(model.config, task)
    table = next(values for name, values in table.items() if "word_embeddings" in name)
    by_ids = measure(framework, model, inputs, gradients=False)
    inputs["inputs_embeds"] = table[inputs.pop("input_ids")]
    assert_agree(measure(framework, model, inputs, gradients=False), by_ids)


@every_task
def test_gradients_of_inputs(task):
    """What attributions (of embeddings) and the importance of heads are made of."""
    ids = batch(task)["input_ids"]
    inputs = {n: v for n, v in batch(task).items() if n != "input_ids"}
    inputs["inputs_embeds"] = np.random.default_rng(5).standard_normal((*ids.shape, 32)) / 20
    inputs["head_mask"] = np.ones((2, 4))
    wanted = ("inputs_embeds", "head_mask")
    by_pt = gradients_pt(pair(task)["pt"], inputs, wanted)
    by_tf = gradients_tf(pair(task)["tf"], inputs, wanted)
    assert all(np.abs(by_pt[name]).max() > 1e-6 for name in wanted)
    assert all(found.relative < 1e-12 for found in differences(by_pt, by_tf))


def gradients_pt(model, inputs, wanted):
    tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
    for name in wanted:
        tensors[name].requires_grad_()
    first = model(**tensors)[0]  # the loss, or hidden states
    target = first if first.dim() == 0 else (first**3).sum()
    values = torch.autograd.grad(target, [tensors[name] for name in wanted])
    return {name: value.numpy() for name, value in zip(wanted, values, strict=True)}


def gradients_tf(model, inputs, wanted):
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    with tf.GradientTape() as tape:
        tape.watch([tensors[name] for name in wanted])
        first = model(**tensors)[0]
        target = first if first.shape.rank == 0 else tf.reduce_sum(first**3)
    values = tape.gradient(target, [tensors[name] for name in wanted])
    return {name: value.numpy() for name, value in zip(wanted, values, strict=True)}


# The form of the output.


def call(framework, model, inputs, **options):
    """The model's own answer to numpy inputs."""
    tensor = {"pt": torch.from_numpy, "tf": tf.constant}[framework]
    return model(**{name: tensor(value) for name, value in inputs.items()}, **options)


@pytest.mark.parametrize("attentions", [False, True])
@pytest.mark.parametrize("hidden_states", [False, True])
@every_task
def test_tuples_hold_what_objects_hold(task, hidden_states, attentions):
    asked = {"output_hidden_states": hidden_states, "output_attentions": attentions}
    fields = {}
    for framework in FRAMEWORKS:
        model, inputs = pair(task)[framework], batch(task)
        output = call(framework, model, inputs, **asked)
        values = call(framework, model, inputs, **asked, return_dict=False)
        fields[framework] = list(output)
        assert ("hidden_states" in output) == hidden_states
        assert ("attentions" in output) == attentions
        assert isinstance(values, tuple)
        for one, other in zip(output.to_tuple(), values, strict=True):
            assert len(one) == len(other) if isinstance(one, tuple) else True
            np.testing.assert_array_equal(arrays(one), arrays(other))
    assert fields["pt"] == fields["tf"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_configuration_can_ask_for_everything(framework):
    config = config_for("base", output_hidden_states=True, output_attentions=True)
    inputs = batch("base")
    model = build(framework, config, "base")
    assert list(call(framework, model, inputs)) == [
        "last_hidden_state", "hidden_states", "attentions"
    ]  # fmt: skip
    # What a call says goes before what the configuration says.
    quiet = {"output_hidden_states": False, "output_attentions": False}
    assert list(call(framework, model, inputs, **quiet)) == ["last_hidden_state"]
    model = build(framework, config.replace(return_dict=False), "base")
    assert isinstance(call(framework, model, inputs), tuple)
    assert not isinstance(call(framework, model, inputs, return_dict=True), tuple)


def arrays(value):
    """A tensor, or a tuple of tensors of one shape, as an array."""
    if isinstance(value, tuple):
        return np.stack([arrays(one) for one in value])
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


# Types that ids, masks and labels come in.

INTEGERS = ("int8", "int16", "int32", "int64", "uint8")


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
@every_task
def test_the_width_of_integers_does_not_matter(task, framework, dtype):
    inputs = dict(batch(task))
    inputs["position_ids"] = np.broadcast_to(np.arange(9), inputs["input_ids"].shape).copy()
    if dtype == "uint8" and task == "masked-lm":
        inputs["labels"] = np.abs(inputs["labels"]) % 50  # there is no -100 in uint8
    model = pair(task)[framework]
    expected = measure(framework, model, inputs)
    found = measure(framework, model, {name: v.astype(dtype) for name, v in inputs.items()})
    for name, value in expected.outputs.items():
        np.testing.assert_array_equal(found.outputs[name], value)
    assert found.gradients.keys() == expected.gradients.keys()


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_ids_may_be_narrower_than_the_vocabulary(framework, dtype):
    """300 does not fit 8 bits: neither the size of the vocabulary nor its padding token."""
    model = build(framework, config_for("base", vocab_size=301, pad_token_id=300), "base")
    inputs = {"input_ids": np.array([[1, 44, 127]])}  # 300 as an 8-bit number is 44
    expected = measure(framework, model, inputs)
    assert_agree(
        measure(framework, model, {"input_ids": inputs["input_ids"].astype(dtype)}), expected
    )


@pytest.mark.parametrize("dtype", ["bool", "float32", "float64", "int8", "int32"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_mask_can_be_of_any_type(framework, dtype):
    inputs, model = batch("base", "plain", "holes"), pair("base")[framework]
    shown = inputs["attention_mask"].astype(dtype)
    for attentions in (True, False):
        expected = measure(framework, model, inputs, gradients=False, attentions=attentions)
        given = {**inputs, "attention_mask": shown}
        found = measure(framework, model, given, gradients=False, attentions=attentions)
        for name, value in expected.outputs.items():
            np.testing.assert_array_equal(found.outputs[name], value)


@every_task
def test_a_mask_shows_whatever_is_not_0(task):
    inputs = dict(batch(task, "plain", "holes"))
    expected = measure_both(pair(task), inputs)
    inputs["attention_mask"] = np.where(inputs["attention_mask"] == 1, -0.25, 0.0)
    for one, other in zip(measure_both(pair(task), inputs), expected, strict=True):
        assert_agree(one, other)


# What is hidden has no effect.


@pytest.mark.parametrize("attentions", [True, False])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_hidden_tokens_have_no_effect(framework, attentions):
    inputs, model = dict(batch("base", "plain", "ragged")), pair("base")[framework]
    shown = inputs["attention_mask"] == 1
    before = measure(framework, model, inputs, attentions=attentions).outputs["last_hidden_state"]
    inputs["input_ids"] = np.where(shown, inputs["input_ids"], 60 - inputs["input_ids"])
    after = measure(framework, model, inputs, attentions=attentions).outputs["last_hidden_state"]
    np.testing.assert_array_equal(before[shown], after[shown])
    assert not np.array_equal(before[~shown], after[~shown])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_row_with_nothing_shown_attends_evenly(framework):
    inputs, model = batch("base", "plain", "empty row"), pair("base")[framework]
    outputs = measure(framework, model, inputs, gradients=False).outputs
    for layer in range(2):
        np.testing.assert_allclose(outputs[f"attentions.{layer}"][0], 1 / 9, rtol=1e-15)


# Inputs that are refused, in the same words.

ZEROS = np.zeros((3, 9), np.int64)
REFUSED = {
    "nothing": {},
    "ids and embeddings": {"input_ids": ZEROS, "inputs_embeds": np.zeros((3, 9, 32))},
    "ids of one axis": {"input_ids": ZEROS[0]},
    "ids of three axes": {"input_ids": ZEROS[None]},
    "ids that are not integers": {"input_ids": ZEROS * 1.0},
    "ids that are truth values": {"input_ids": ZEROS == 0},
    "an id beyond the vocabulary": {"input_ids": ZEROS + 61},
    "a negative id": {"input_ids": ZEROS - 1},
    "a text too long": {"input_ids": np.zeros((3, LONGEST + 1), np.int64)},
    "embeddings too long": {"inputs_embeds": np.zeros((3, LONGEST + 1, 32))},
    "embeddings of another width": {"inputs_embeds": np.zeros((3, 9, 31))},
    "embeddings of two axes": {"inputs_embeds": np.zeros((9, 32))},
    "a mask too short": {"input_ids": ZEROS, "attention_mask": ZEROS[:, :8]},
    "a mask of too few rows": {"input_ids": ZEROS, "attention_mask": ZEROS[:1]},
    "a mask of three axes": {"input_ids": ZEROS, "attention_mask": ZEROS[:, None]},
    "positions too short": {"input_ids": ZEROS, "position_ids": ZEROS[:, :8]},
    "a position beyond the last": {"input_ids": ZEROS, "position_ids": ZEROS + LONGEST},
    "a negative position": {"input_ids": ZEROS, "position_ids": ZEROS - 1},
    "positions that are not integers": {"input_ids": ZEROS, "position_ids": ZEROS * 1.0},
    "a head mask for three heads": {"input_ids": ZEROS, "head_mask": np.ones(3)},
    "a head mask for three layers": {"input_ids": ZEROS, "head_mask": np.ones((3, 4))},
}


def refusal(framework, model, inputs):
    with pytest.raises(InputError) as caught:
        call(framework, model, inputs)
    return str(caught.value)


@pytest.mark.parametrize("inputs", REFUSED.values(), ids=REFUSED.keys())
def test_wrong_inputs_are_refused_in_the_same_words(inputs):
    said = {name: refusal(name, pair("base")[name], inputs) for name in FRAMEWORKS}
    assert said["pt"] == said["tf"]
    assert "torch" not in said["pt"]


def test_choices_need_an_axis_of_their_own():
    models = pair("multiple-choice")
    said = {name: refusal(name, models[name], {"input_ids": ZEROS}) for name in FRAMEWORKS}
    assert said["pt"] == said["tf"]
    assert "(batch, choices, length)" in said["pt"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_head_mask_is_refused_where_heads_are_gone(framework):
    inputs = {"input_ids": ZEROS, "head_mask": np.ones(4)}
    assert "pruned" in refusal(framework, pair("base", "pruned")[framework], inputs)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_token_types_are_ignored_with_one_warning(framework, monkeypatch):
    monkeypatch.setattr("distil.common.inputs._said", set())
    model, inputs = pair("base")[framework], batch("base")
    expected = call(framework, model, inputs).last_hidden_state
    inputs = {**inputs, "token_type_ids": np.ones_like(inputs["input_ids"])}
    with pytest.warns(UserWarning, match="token_type_ids are ignored"):
        found = call(framework, model, inputs).last_hidden_state
    np.testing.assert_array_equal(arrays(found), arrays(expected))
    call(framework, model, inputs)  # a second warning would be an error
