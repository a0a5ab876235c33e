"""Every likely mistake, made on purpose in one framework, is seen by comparing with the other.

A mutant is a healthy model of which one thing is changed, never a copy of its code.  Who judges
is the instrument of `distil.compare`: a mutant is caught where that sees it even with the
tolerances of float32.  How far each is apart, in the task where that is least, is in the table
that `pytest -s` prints, and that is written to the file named in the environment variable
DISTIL_MUTANTS.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch

from distil.common import spec
from distil.common.tasks import TASKS
from distil.parity.judging import TOLERANCES, judge
from support.models import ALL_TASKS, CONFIGS, build, config_for, measure
from support.parity import batch, pair

functional = torch.nn.functional

pytestmark = [pytest.mark.pt, pytest.mark.tf]

LEARNING = tuple(task for task in ALL_TASKS if task != "base")
CLASSIFIERS = ("sequence-classification", "multiple-choice")


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        make: Makes it, given a patcher and a model that nobody else uses.
        side: The framework to make it in.
        tasks: Those it must show in, each of them.
        config: Name of the configuration.
        mask: Kind of mask.
        inputs: More inputs, or others.
        attentions: Whether PyTorch computes attention step by step rather than fused.
        outputs: Whether outputs show it; else only gradients do.
    """

    make: Callable[[pytest.MonkeyPatch, Any], None]
    side: str = "pt"
    tasks: tuple[str, ...] = ALL_TASKS
    config: str = "plain"
    mask: str = "ragged"
    inputs: dict[str, Any] = field(default_factory=dict)
    attentions: bool = True
    outputs: bool = True


MUTANTS = {}


def mutant(name, **options):
    """Enter a mistake into the table, by a name that says what is wrong."""

    def enter(make):
        MUTANTS[name] = Mutant(make, **options)
        return make

    return enter


def modules(model, kind):
    """The modules of a PyTorch model whose class is called `kind`."""
    return [module for module in model.modules() if type(module).__name__ == kind]


def encoder(model):
    return getattr(model, "distilbert", model)


# Activations and norms.


def set_epsilon(value):
    def make(patch, model):
        for norm in modules(model, "LayerNorm"):
            norm.eps = value

    return make


for _epsilon in (1e-3, 1e-5, 1e-7):  # Keras's default, PyTorch's, and a slip of the finger
    mutant(f"LayerNorm epsilon {_epsilon:.0e}")(set_epsilon(_epsilon))


@mutant("tanh GELU")
def _(patch, model):
    for ffn in modules(model, "FeedForward"):
        ffn.activation = torch.nn.GELU(approximate="tanh")


@mutant("tanh GELU, TensorFlow", side="tf")
def _(patch, model):
    for layer in encoder(model).transformer.layer:
        layer.ffn.activation = lambda x: tf.nn.gelu(x, approximate=True)


@mutant("tanh GELU in the masked-LM head only", tasks=("masked-lm",))
def _(patch, model):
    model.activation = torch.nn.GELU(approximate="tanh")


@mutant("no activation in the masked-LM head", tasks=("masked-lm",))
def _(patch, model):
    model.activation = torch.nn.Identity()


@mutant("GELU in the classifier instead of ReLU", tasks=CLASSIFIERS)
def _(patch, model):
    patch.setattr("distil.pt.heads.functional", SimpleNamespace(relu=functional.gelu))


@mutant("no ReLU in the classifier", tasks=CLASSIFIERS)
def _(patch, model):
    patch.setattr("distil.pt.heads.functional", SimpleNamespace(relu=lambda x: x))


@mutant("LayerNorm by the deviation of n - 1")
def _(patch, model):
    for norm in modules(model, "LayerNorm"):

        def forward(x, norm=norm):
            return (
                norm.weight * (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True) + norm.bias
            )

        norm.forward = forward


@mutant("no bias in the last LayerNorm")
def _(patch, model):
    encoder(model).transformer.layer[-1].output_layer_norm.bias.data.zero_()


@mutant("no bias in the last LayerNorm, TensorFlow", side="tf")
def _(patch, model):
    norm = encoder(model).transformer.layer[-1].output_layer_norm
    norm.beta.assign(tf.zeros_like(norm.beta))


@mutant("pre-LN instead of post-LN")
def _(patch, model):
    for block in modules(model, "TransformerBlock"):

        def forward(x, attention_mask, head_mask, output_attentions, block=block):
            attended, weights = block.attention(
                block.sa_layer_norm(x), attention_mask, head_mask, output_attentions
            )
            x = attended + x
            return block.ffn(block.output_layer_norm(x)) + x, weights

        block.forward = forward


@mutant("the two LayerNorms of a layer swapped")
def _(patch, model):
    for block in modules(model, "TransformerBlock"):
        one, other = block.sa_layer_norm, block.output_layer_norm
        block.sa_layer_norm, block.output_layer_norm = other, one


@mutant("no residual around the feed-forward part")
def _(patch, model):
    for ffn in modules(model, "FeedForward"):
        inner = ffn.forward
        ffn.forward = lambda x, inner=inner: inner(x) - x


# Attention.


@mutant("queries and keys swapped")
def _(patch, model):
    for attention in modules(model, "MultiHeadSelfAttention"):
        attention.q_lin, attention.k_lin = attention.k_lin, attention.q_lin


@mutant("a square kernel not transposed")
def _(patch, model):
    for attention in modules(model, "MultiHeadSelfAttention"):
        attention.out_lin.weight.data = attention.out_lin.weight.data.T.contiguous()


@mutant("a square kernel not transposed, TensorFlow", side="tf")
def _(patch, model):
    for layer in encoder(model).transformer.layer:
        layer.attention.q_lin.kernel.assign(tf.transpose(layer.attention.q_lin.kernel))


def scale_queries(factor):
    def make(patch, model):
        for attention in modules(model, "MultiHeadSelfAttention"):
            for parameter in attention.q_lin.parameters():
                parameter.data *= factor

    return make


mutant("scores not divided by the root of the head's width")(scale_queries(8**0.5))
mutant("scores divided by the root of the model's width")(scale_queries(4**-0.5))


@mutant("no bias of the queries")
def _(patch, model):
    for attention in modules(model, "MultiHeadSelfAttention"):
        attention.q_lin.bias.data.zero_()


@mutant("heads taken from interleaved columns")
def _(patch, model):
    for attention in modules(model, "MultiHeadSelfAttention"):
        width = attention.head_dim
        attention.split_heads = lambda x, e=width: x.unflatten(2, (e, -1)).permute(0, 3, 1, 2)
        attention.join_heads = lambda x: x.permute(0, 2, 3, 1).flatten(2)


@mutant("heads joined without transposing")
def _(patch, model):
    for attention in modules(model, "MultiHeadSelfAttention"):
        attention.join_heads = lambda x: x.reshape(x.shape[0], x.shape[2], -1)


@mutant("softmax over queries instead of keys")
def _(patch, model):
    softmax = torch.softmax
    patch.setattr(torch, "softmax", lambda x, dim: softmax(x, dim=-2))


@mutant("padding not masked")
def _(patch, model):
    patch.setattr(torch.Tensor, "masked_fill_", lambda x, mask, value: x)


@mutant("padding not masked, fused attention", attentions=False)
def _(patch, model):
    patch.setattr("distil.pt.encoder.hide", lambda q, mask: (q, None))


@mutant("padding not masked, TensorFlow", side="tf")
def _(patch, model):
    patch.setattr("distil.tf.encoder.hide", lambda scores, mask: scores)


@mutant("the mask upside down", side="tf", mask="holes")
def _(patch, model):
    patch.setattr("distil.tf.encoder.hide", lambda x, mask: tf.where(mask, x.dtype.min, x))


def add_to_hidden(value):
    def make(patch, model):
        patch.setattr(
            "distil.tf.encoder.hide",
            lambda scores, mask: scores + tf.where(mask, tf.zeros((), scores.dtype), value),
        )

    return make


# An added -1e30 is not here: it swallows the scores, leaves the row even, and is right.
mutant("-1e4 added in an empty row", side="tf", mask="empty row")(add_to_hidden(-1e4))
mutant("-infinity added in an empty row", side="tf", mask="empty row")(add_to_hidden(-np.inf))


@mutant("head_mask ignored", inputs={"head_mask": np.array([1, 0.5, 1, 1])})
def _(patch, model):
    transformer = encoder(model).transformer
    inner = transformer.forward
    transformer.forward = lambda x, mask, heads, *flags: inner(x, mask, None, *flags)


# Embeddings and layers.


@mutant("positions counted from 1")
def _(patch, model):
    embeddings = encoder(model).embeddings
    inner = embeddings.forward
    embeddings.forward = lambda ids, positions, embeds: inner(
        ids, torch.arange(1, ids.shape[1] + 1), embeds
    )


@mutant("sinusoids in halves instead of turns", config="sinusoidal")
def _(patch, model):
    table = encoder(model).embeddings.position_embeddings.weight.data
    table.copy_(torch.cat([table[:, 0::2], table[:, 1::2]], 1))


@mutant("sinusoids trained", config="sinusoidal", outputs=False)
def _(patch, model):
    encoder(model).embeddings.position_embeddings.weight.requires_grad_(True)


@mutant("the padding token trained", config="padding token 5", outputs=False)
def _(patch, model):
    encoder(model).embeddings.word_embeddings.padding_idx = None


@mutant("the padding token trained, TensorFlow", side="tf", config="padding token 5", outputs=False)
def _(patch, model):
    encoder(model).embeddings.padding_idx = None


@mutant("no LayerNorm of the embeddings")
def _(patch, model):
    encoder(model).embeddings.LayerNorm.forward = lambda x: x


@mutant("layers in the wrong order")
def _(patch, model):
    layers = encoder(model).transformer.layer
    layers[0], layers[1] = layers[1], layers[0]


@mutant("dropout left on")
def _(patch, model):
    torch.manual_seed(0)
    model.train()


@mutant("dropout left on, TensorFlow", side="tf")
def _(patch, model):
    patch.setattr("distil.tf.heads.dropout_seed", lambda model, training: tf.constant([1, 2]))


@mutant("weights rounded to bfloat16")
def _(patch, model):
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().double()


# Heads and losses.


@mutant("decoder untied after loading", tasks=("masked-lm",), outputs=False)
def _(patch, model):
    model.vocab_projector.weight = torch.nn.Parameter(model.vocab_projector.weight.data.clone())


@mutant("decoder with a matrix of its own", tasks=("masked-lm",))
def _(patch, model):
    other = 0.05 * torch.randn(61, 32, dtype=torch.float64, generator=torch.manual_seed(0))
    model.vocab_projector.weight = torch.nn.Parameter(other)


@mutant("no bias of the decoder", tasks=("masked-lm",))
def _(patch, model):
    model.vocab_projector.bias.data.zero_()


@mutant("classified by the last token instead of the first", tasks=CLASSIFIERS)
def _(patch, model):
    inner = model.head
    model.head = lambda hidden: inner(hidden.flip(1))


@mutant("start and end swapped", tasks=("question-answering",))
def _(patch, model):
    inner = model.head
    model.head = lambda hidden: inner(hidden).flip(-1)


def replace_cross_entropy(by):
    def make(patch, model):
        patch.setattr("distil.pt.losses.cross_entropy", by)

    return make


def cross_entropy(logits, labels, **options):
    return functional.cross_entropy(logits, labels.long(), ignore_index=-100, **options)


mutant("loss summed instead of averaged", tasks=LEARNING)(
    replace_cross_entropy(lambda logits, labels: cross_entropy(logits, labels, reduction="sum"))
)
mutant("loss averaged over ignored labels too", tasks=("masked-lm",))(
    replace_cross_entropy(
        lambda logits, labels: cross_entropy(logits, labels, reduction="sum") / len(labels)
    )
)
mutant("-100 learned as class 0", tasks=("masked-lm",))(
    replace_cross_entropy(lambda logits, labels: cross_entropy(logits, labels.clamp(min=0)))
)
mutant("labels smoothed", tasks=LEARNING)(
    replace_cross_entropy(
        lambda logits, labels: cross_entropy(logits, labels, label_smoothing=1e-3)
    )
)

OUTSIDE = {"start_positions": np.array([-1, 2, 3]), "end_positions": np.array([9, 4, 12])}


@mutant("answers outside clamped into the text", tasks=("question-answering",), inputs=OUTSIDE)
def _(patch, model):
    patch.setattr(
        "distil.pt.losses.span",
        lambda start_logits, end_logits, start, end: sum(
            cross_entropy(logits, positions.clamp(0, 8)) / 2
            for logits, positions in ((start_logits, start), (end_logits, end))
        ),
    )


@mutant("loss of the start only", tasks=("question-answering",))
def _(patch, model):
    patch.setattr(
        "distil.pt.losses.span", lambda logits, _, start, __: cross_entropy(logits, start)
    )


# The trial.


@cache
def healthy(framework, task, config, mask, attentions, extra=()):
    """What the unbroken model computes."""
    inputs = {**batch(task, config, mask), **{n: np.array(v) for n, v in extra}}
    return measure(framework, pair(task, config)[framework], inputs, attentions=attentions)


def findings(broken, task, patch, dtype="float32"):
    """What the instrument finds between a mutant and the healthy other side.

    Args:
        broken: The mutant.
        task: Of the model.
        patch: A patcher.
        dtype: Whose tolerances are meant; what is computed is float64 always.

    Returns:
        The findings of outputs, and those of gradients.
    """
    extra = tuple((name, tuple(value.tolist())) for name, value in broken.inputs.items())
    other = {"pt": "tf", "tf": "pt"}[broken.side]
    expected = healthy(other, task, broken.config, broken.mask, broken.attentions, extra)
    config = config_for(task, **CONFIGS[broken.config])
    model = build(broken.side, config, task)
    inputs = {**batch(task, broken.config, broken.mask), **broken.inputs}
    with patch.context() as patcher:
        broken.make(patcher, model)
        found = measure(broken.side, model, inputs, attentions=broken.attentions)
    mask = inputs["attention_mask"].reshape(-1, inputs["attention_mask"].shape[-1]) == 1
    weights = spec.weights(config, task)
    judged = judge(found, expected, mask, TASKS[task], weights, TOLERANCES[dtype])
    outputs = [one for one in judged if one.kind != "gradient"]
    return outputs, [one for one in judged if one.kind == "gradient"]


def worst(findings):
    """The difference that exceeds its tolerance most, relative to its scale."""
    return max(findings, key=lambda one: one.excess).relative


@pytest.fixture(scope="module")
def table():
    """Lines for the reader, written when all mutants have been tried."""
    lines = [f"{'mutant':<55} {'outputs':>9} {'gradients':>9}"]
    yield lines
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    if "DISTIL_MUTANTS" in os.environ:
        Path(os.environ["DISTIL_MUTANTS"]).write_text(text)


@pytest.mark.parametrize("name", MUTANTS)
def test_caught(name, table, monkeypatch):
    broken = MUTANTS[name]
    found = [findings(broken, task, monkeypatch) for task in broken.tasks]
    outputs, gradients = (min(map(worst, each)) for each in zip(*found, strict=True))
    table.append(f"{name:<55} {outputs:9.1e} {gradients:9.1e}")
    for by_outputs, by_gradients in found:
        if broken.outputs:
            assert not all(one.agrees for one in by_outputs)
        else:
            assert all(one.relative <= TOLERANCES["float64"].output for one in by_outputs)
            assert not all(one.agrees for one in by_gradients)


@pytest.mark.parametrize("side", ["pt", "tf"])
@pytest.mark.parametrize("task", ALL_TASKS)
def test_a_healthy_model_is_not_caught(task, side, monkeypatch):
    """The trial finds nothing where nothing is wrong, even in float64."""
    nothing = Mutant(lambda patch, model: None, side=side)
    for each in findings(nothing, task, monkeypatch, dtype="float64"):
        assert each
        assert all(one.agrees for one in each)
