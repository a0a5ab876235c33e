"""A hundred steps of training: the same losses, step by step, from both frameworks' optimizers.

The optimizers are the frameworks' own.  Their formulas agree once two things are seen to:

- PyTorch's SGD has the learning rate outside of the velocity and Keras's inside, which is the
  same as long as the rate is constant.
- PyTorch's AdamW divides by sqrt(v / (1 - beta2^t)) + epsilon, Keras's by
  (sqrt(v) + epsilon) / sqrt(1 - beta2^t): its epsilon counts for 1 / sqrt(1 - beta2^t) times as
  much, 32 times in the first step.  So here Keras's is set to epsilon * sqrt(1 - beta2^t) before
  each step.

All settings are sums of few powers of two: Keras rounds them to float32, whatever the type of
the weights, and 1 - 0.999 in float32 is off by 2e-5.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from support.models import batch_for, build, config_for, spread

pytestmark = [pytest.mark.pt, pytest.mark.tf]

STEPS = 100
SGD = {"lr": 2**-9, "momentum": 0.875}
ADAMW = {"lr": 2**-11, "betas": (0.875, 1 - 2**-10), "eps": 1e-8, "weight_decay": 2**-7}

TASKS = ("masked-lm", "sequence-classification", "question-answering")
# Largest seen: 5e-15 and 1.5e-6.
TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


def train_pt(config, task, weights, batches, optimizer, dtype):
    """The loss before each step."""
    model = build("pt", config, task, weights, dtype=dtype).train()
    cls, options = {"sgd": (torch.optim.SGD, SGD), "adamw": (torch.optim.AdamW, ADAMW)}[optimizer]
    optimizer = cls(model.parameters(), **options)
    for inputs in batches:
        loss = model(**{name: torch.from_numpy(value) for name, value in inputs.items()}).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


def train_tf(config, task, weights, batches, optimizer, dtype):
    """The loss before each step."""
    model = build("tf", config, task, weights, dtype=dtype)
    epsilon = tf.Variable(0.0, dtype=dtype)  # a variable, for the graph below to see it change
    if optimizer == "sgd":
        optimizer = keras.optimizers.SGD(SGD["lr"], SGD["momentum"])
    else:
        (beta_1, beta_2), decay = ADAMW["betas"], ADAMW["weight_decay"]
        optimizer = keras.optimizers.AdamW(
            ADAMW["lr"], beta_1=beta_1, beta_2=beta_2, weight_decay=decay, epsilon=epsilon
        )

    @tf.function
    def step(inputs):
        with tf.GradientTape() as tape:
            loss = model(**inputs, training=True).loss
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    for number, inputs in enumerate(batches, 1):
        epsilon.assign(ADAMW["eps"] * (1 - ADAMW["betas"][1] ** number) ** 0.5)
        yield step({name: tf.constant(value) for name, value in inputs.items()}).numpy().item()


def tame(weights):
    """Matrices of half the size: with the full one training is chaotic, and grows a difference of
    1e-16 to 1e-6 in a hundred steps of either framework.
    """
    return {
        name: w / 2 if w.ndim == 2 and "embed" not in name else w for name, w in weights.items()
    }


@pytest.mark.parametrize("framework", ["pt", "tf"])
def test_gradients_of_embeddings_are_tables(framework):
    """Keras's Adam would square a sparse one, token by token, before adding up repetitions."""
    model = build(framework, config_for("base"), "base")
    ids = np.array([[7, 7, 7, 8]])
    if framework == "pt":
        model(torch.from_numpy(ids), position_ids=torch.from_numpy(ids))[0].sum().backward()
        layers = (model.get_input_embeddings(), model.get_position_embeddings())
        assert not any(layer.weight.grad.is_sparse for layer in layers)
        return
    layers = (model.get_input_embeddings(), model.get_position_embeddings())
    with tf.GradientTape() as tape:
        target = tf.reduce_sum(model(ids, position_ids=ids)[0])
    gradients = tape.gradient(target, [layer.embeddings.value for layer in layers])
    assert not any(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("task", TASKS)
def test_losses_agree_at_every_step(task, optimizer, dtype):
    off = dict.fromkeys(("dropout", "attention_dropout", "seq_classif_dropout", "qa_dropout"), 0.0)
    config = config_for(task, **off)
    weights = tame(spread(config, task))
    # Ten batches, again and again: something can be learned from them.
    batches = [batch_for(config, task, seed=number % 10) for number in range(STEPS)]
    arguments = (config, task, weights, batches, optimizer, dtype)
    by_pt, by_tf = (np.array(list(train(*arguments))) for train in (train_pt, train_tf))
    assert len(by_pt) == len(by_tf) == STEPS
    assert by_pt[-10:].mean() < by_pt[:10].mean()
    apart = np.abs(by_pt - by_tf) / by_pt
    assert apart.max() <= TOLERANCES[dtype]
